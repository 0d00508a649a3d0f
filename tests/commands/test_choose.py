"""`imgcli.choose` as a function, and as it is typed: heads really trained on small photos."""

import math
import shlex
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import constants

from imgcli.commands.choose import ChooseResult, choose
from imgcli.commands.evaluate import evaluate
from imgcli.commands.train import train
from imgcli.errors import DataError, ModelError, WrongUsage
from imgcli.evaluation import choosing as ranking
from imgcli.models import bundled, hub
from imgcli.models.describe import describe
from imgcli.training import choosing
from imgcli.training.benchmark import extraction_rate
from imgcli.training.choosing import Budget, Judge
from tests.support.photos import coloured_photo
from tests.support.shell import Printed, Shell, as_printed
from tests.support.weights import write_hub_cache

# Random weights tell colours apart; with weights of 0 a network tells nothing.
AT_HAND = {"test_resnet": 1, "test_vit": 2, "test_byobnet": None, "mobilenetv3_small_050": 3}
COLOURS = {"blue": (110, 120, 140), "green": (110, 135, 120), "red": (130, 115, 115)}
CHEAPEST_FIRST = ["mobilenetv3_small_050", "test_byobnet", "test_vit", "test_resnet"]


described = cache(describe)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset of 60 training photos of colours that overlap, and a hub's cache."""
    root, rng = tmp_path_factory.mktemp("choose"), np.random.default_rng(0)
    for name, colour in COLOURS.items():
        for i in range(24):
            file = root / "dataset" / ("train" if i < 20 else "test") / name / f"{i:02}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            light = rng.normal(0, 12, 3)
            coloured_photo([*(colour + light)], int(rng.integers(1 << 30))).save(file)
    write_hub_cache(root / "hub", AT_HAND)
    return root


@pytest.fixture(autouse=True)
def offline(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No network, nothing installed; candidates are first judged on 30 photos.

    All are described once, and as fast as one another: speed decides nothing but what is begun.
    """
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setattr(hub, "is_reachable", lambda *_: False)
    monkeypatch.setattr(bundled, "BUNDLED", {})
    monkeypatch.setattr(choosing, "MIN_PHOTOS", 30)
    monkeypatch.setattr(choosing, "describe", described)
    monkeypatch.setattr(choosing, "extraction_rate", lambda *_: (500.0, "layers"))
    yield


@pytest.fixture(scope="module")
def unlimited(folder: Path) -> dict[str, ChooseResult]:
    return {}


def chosen(unlimited: dict[str, ChooseResult]) -> ChooseResult:
    """What `choose()` finds with time enough, found once."""
    if not unlimited:
        unlimited["it"] = choose(minutes=math.inf, folds=3)
    return unlimited["it"]


def states(result: ChooseResult) -> dict[str, str]:
    return {one["arch"]: one["status"] for one in result.candidates}


def test_all_at_hand_are_judged_and_the_hopeless_dropped_on_a_share(
    unlimited: dict[str, ChooseResult],
) -> None:
    result = chosen(unlimited)
    assert states(result).keys() == AT_HAND.keys()
    assert states(result)["test_byobnet"] == "dropped"
    by_arch = {one["arch"]: one for one in result.candidates}
    assert by_arch["test_byobnet"]["n"] == 30 and by_arch["test_byobnet"]["behind"]["shown"]
    judged = [one for one in result.candidates if one["status"] == "judged"]
    assert {one["n"] for one in judged} == {60} and result.n == result.photos == 60
    figures = [one["accuracy"]["value"] for one in judged]
    assert figures == sorted(figures, reverse=True) and judged[0]["arch"] == result.best
    assert by_arch["mobilenetv3_small_050"]["input"] == [3, 224, 224]  # and the others 160
    assert result.document["minutes_left"] == 0
    assert result.best in repr(result) and result.command in repr(result)


def test_the_pick_is_that_of_full_folds_of_all(
    unlimited: dict[str, ChooseResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = chosen(unlimited)
    monkeypatch.setattr(ranking, "MARGIN", 1.0)  # nobody is hopeless
    full = choose(minutes=math.inf, folds=3)
    assert set(states(full).values()) == {"judged"} and {one["n"] for one in full.candidates} == {
        60
    }
    assert full.best == result.best and full.command == result.command


def test_the_figures_are_those_of_train_and_evaluate(unlimited: dict[str, ChooseResult]) -> None:
    best = chosen(unlimited).candidates[0]
    document = evaluate(3, run=train(best["arch"], freeze=True, out="full").run).document
    for figure in ("accuracy", "macro_precision"):
        # A photo between two classes may fall to either: a head is fitted up to a tolerance.
        assert best[figure]["value"] == pytest.approx(document[figure]["value"], abs=0.02)
        assert best[figure]["ci95"] == pytest.approx(document[figure]["ci95"], abs=0.02)


def test_the_test_part_is_not_used(
    unlimited: dict[str, ChooseResult], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chosen(unlimited).photos == 60
    assert not Path("runs/test-ledger.jsonl").exists()
    for kept in Path("runs/choose/kept").glob("*/predictions-folds.npz"):
        assert all(str(path).startswith("train/") for path in np.load(kept)["paths"])


def test_what_was_judged_is_kept_and_nothing_is_judged_again(
    unlimited: dict[str, ChooseResult], printed: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = chosen(unlimited)
    monkeypatch.setattr(Judge, "judge", lambda *_: pytest.fail("it was kept"))
    assert as_printed(choose(minutes=1e-6, folds=3).to_json()) == as_printed(first.to_json())
    assert printed("choose", "--folds", "3") == as_printed(first.to_json())


def test_what_was_kept_and_is_damaged_is_judged_again(unlimited: dict[str, ChooseResult]) -> None:
    first = chosen(unlimited)
    files = sorted(Path("runs/choose/kept").glob("test_resnet-60-*/predictions-folds.npz"))
    assert len(files) == 1
    files[0].write_bytes(b"no archive")
    again = choose(minutes=math.inf, folds=3)
    for one, other in zip(first.candidates, again.candidates, strict=True):
        assert one["accuracy"] == other["accuracy"]


def allowing(monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    """Time for the first n judgements."""
    left = iter([True] * n)
    monkeypatch.setattr(Budget, "allows", lambda *_: next(left, False))


@pytest.mark.parametrize("n", [2, 5])
def test_what_there_is_no_time_for_is_listed_and_the_command_comes_to_the_same(
    n: int, shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = tmp_path / "runs"
    with monkeypatch.context() as patch:
        patch.setattr(ranking, "MARGIN", 1.0)  # nobody is hopeless, and all are to go on
        allowing(patch, n)
        cut = choose(minutes=5, folds=3, out=out)
    judged = [arch for arch, state in states(cut).items() if state in ("judged", "dropped")]
    late = [arch for arch, state in states(cut).items() if state == "not judged"]
    assert sorted(judged) == sorted(CHEAPEST_FIRST[:n]) and sorted(late) == sorted(
        CHEAPEST_FIRST[n:]
    )
    assert cut.n == 30 and cut.document["minutes_left"] >= 1
    elsewhere = shlex.split(cut.document["repeat"].replace(str(out), str(tmp_path / "again")))
    again = shell.json(*elsewhere[1:])
    assert again["best"] == cut.best and again["n"] == cut.n
    figures = {one["arch"]: one["accuracy"] for one in cut.candidates if one["accuracy"]}
    assert {one["arch"]: one["accuracy"] for one in again["candidates"]} == as_printed(figures)


def test_the_terminal_says_what_was_not_judged(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    allowing(monkeypatch, 2)
    code, out, _ = shell("choose", "--folds", "3", "--out", str(tmp_path / "runs"), "-q")
    said = " ".join(out.split())
    assert code == 0 and "Not judged, for want of time: test_vit, test_resnet." in said
    assert "Again: imgcli choose --archs mobilenetv3_small_050,test_byobnet" in said
    assert "Next: imgcli train --arch" in said and "--freeze" in said


def test_too_little_time_for_one_candidate_says_what_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "extraction_rate", extraction_rate)  # measured
    with pytest.raises(WrongUsage, match=r"too short for one candidate: .*Use --minutes \d+"):
        choose(minutes=1e-6, folds=3, out=tmp_path)


def test_candidates_whose_weights_cannot_be_had_are_left_out(tmp_path: Path) -> None:
    result = choose("resnet18,test_resnet", minutes=math.inf, folds=3)
    assert states(result) == {"test_resnet": "judged", "resnet18": "left out"}
    left_out = result.candidates[-1]
    assert "are not in the cache" in left_out["reason"] and left_out["accuracy"] is None
    with pytest.raises(ModelError, match="published weights of 'resnet18' are not in the cache"):
        choose(["resnet18"], out=tmp_path)


def test_candidates_with_damaged_weights_are_left_out(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_cache = write_hub_cache(tmp_path / "hub", {"test_vit": -1, "test_byobnet": 0})
    (file,) = hub_cache.glob("*byobnet*/snapshots/*/model.safetensors")
    file.write_bytes(b"no tensors")
    shutil.copytree(
        folder / "hub/models--timm--test_resnet.r160_in1k",
        hub_cache / "models--timm--test_resnet.r160_in1k",
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub_cache))
    result = choose(minutes=math.inf, folds=3, out=tmp_path)
    assert result.best == "test_resnet" and states(result)["test_resnet"] == "judged"
    reasons = {one["arch"]: one["reason"] for one in result.candidates if one["reason"]}
    assert reasons.keys() == {"test_vit", "test_byobnet"}
    assert "are no finite numbers: its weights are damaged" in reasons["test_vit"]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--archs", "test_resnet,resnet5O"], 1, "No arch 'resnet5O'"),
        (["--archs", "test_resnet,32C5-P2"], 1, "--archs '32C5-P2': networks of the zoo and in"),
        (["--archs", "bundled"], 1, "--archs bundled: no weights came with this installation"),
        (["--archs", " , "], 2, "--archs names no network"),
        (["--minutes", "-1"], 2, "--minutes -1 must be above 0"),
        (["--minutes", "nan"], 2, "--minutes nan must be above 0"),
        (["--folds", "1"], 2, "--folds 1 is too few"),
        (["--photos", "20"], 2, "--photos 20 is too few: candidates are first judged on 30"),
        (["--photos", "0"], 2, "--photos 0 must be at least 1"),
    ],
)
def test_mistakes_are_sentences(shell: Shell, words: list[str], code: int, sentence: str) -> None:
    found = shell("choose", *words)
    assert found.code == code and found.err.startswith(f"imgcli: {sentence}"), found.err
    assert found.err.count("\n") == 1 and found.out == ""


def test_more_folds_than_photos_is_a_sentence(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--folds 90 needs at least 90 independent photos"):
        choose("test_resnet", minutes=math.inf, folds=90, out=tmp_path)


def test_a_folder_that_cannot_be_written_is_told_before_the_work(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "choose").write_text("a file of the user's")
    monkeypatch.setattr(Judge, "judge", lambda *_: pytest.fail("the work has begun"))
    code, out, error = shell("choose", "--out", str(tmp_path))
    assert code == 1 and out == "" and f"'{tmp_path / 'choose'}" in error
    assert (tmp_path / "choose").read_text() == "a file of the user's"


def test_groups_stay_in_one_fold_and_stand_in_the_commands(tmp_path: Path) -> None:
    result = choose(
        "test_resnet", minutes=math.inf, folds=2, out=tmp_path, group_by=r"/(\d\d)", photos=60
    )
    assert "--group-by" in result.command and "--group-by" in result.document["repeat"]
    (kept,) = tmp_path.glob("choose/kept/*-60-*/predictions-folds.npz")
    found: dict[str, Any] = dict(np.load(kept))
    for group in np.unique(found["groups"]):
        assert len(np.unique(found["fold"][found["groups"] == group])) == 1
    assert len(np.unique(found["groups"])) < 60


def test_trackers_get_each_judgement_as_a_part() -> None:
    result = choose("test_vit", minutes=math.inf, folds=3, out="followed", track="csv")
    lines = (Path("followed/choose/csv/metrics.csv")).read_text().splitlines()
    accuracy = result.candidates[0]["accuracy"]["value"]
    (line,) = (
        one for one in lines if one.startswith('"test_vit, 60 photos"') and ",accuracy," in one
    )
    assert float(line.rpartition(",")[2]) == accuracy
    table = Path("followed/choose/csv/candidates.csv").read_text().splitlines()
    assert table[0].startswith("arch,status,n,accuracy") and table[1].startswith("test_vit,judged")
