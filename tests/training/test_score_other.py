"""A run on photos from elsewhere: by class name, and beside its own evaluations."""

import contextlib
import json
import shutil
from pathlib import Path

import pytest

from imgcli.commands.evaluate import evaluate
from imgcli.config import TrainConfig
from imgcli.errors import DataError, WrongUsage
from imgcli.evaluation.predictions_io import for_decisions
from imgcli.run_lookup import find_run
from imgcli.runs import Run
from imgcli.training.other_data import is_own
from tests.support.photos import coloured_photo, write_dataset
from tests.support.shell import Shell
from tests.support.trained_runs import FROZEN, trained

RED, BLUE, ODD = (200, 50, 40), (40, 60, 200), (120, 120, 10)


def write(root: Path, label: str, n: int, colour: tuple[int, int, int], first: int = 500) -> None:
    (root / label).mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + n):
        coloured_photo(colour, seed).save(root / label / f"{seed}.png")


def files(run: Run) -> dict[Path, bytes]:
    return {
        path: path.read_bytes()
        for path in run.folder.parent.rglob("*")
        if path.is_file() and "other-data" not in path.parts
    }


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a run that has been evaluated by folds and on its test part."""
    folder = tmp_path_factory.mktemp("evaluated")
    with contextlib.chdir(folder):
        write_dataset(Path("dataset"))
        run = trained(FROZEN)
        evaluate(3, run=run.folder, device="cpu")
        evaluate(run=run.folder, device="cpu")
    return folder


@pytest.fixture
def run(evaluated: Path, here: Path) -> Run:
    """The evaluated run, in the current folder."""
    for name in ("runs", ".imgcli"):
        shutil.copytree(evaluated / name, here / name, symlinks=True)
    return find_run("latest")


def test_class_folders_are_scored_by_name_and_nothing_of_the_run_changes(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here / "other", "blue", 5, BLUE)
    write(here / "other", "red", 4, RED, 600)
    write(here / "other", "unicorn", 3, ODD, 700)  # would shift the numbers of classes after it
    before = files(run)
    result = evaluate(run=run.folder, data="other", device="cpu")
    assert files(run) == before
    assert result.n == 9 and result.evaluation.on == "other" and result.test_evaluations is None
    assert result.classes == tuple(run.read_json("model.json")["classes"])
    assert {one.name: one.n for one in result.per_class if one.n} == {"blue": 5, "red": 4}
    absent = sorted({*result.classes} - {"blue", "red"})
    document = result.to_json()
    assert document["left_out"] == [
        {"class": "unicorn", "n": 3, "reason": "not a class of the run"}
    ]
    assert document["absent"] == absent and document["data"] == "other" and document["gap"] is None
    said = capsys.readouterr().err
    assert "not a class of the run: 'unicorn (3)'" in said and f"of class '{absent[0]}'" in said
    (kept,) = (run.folder / "other-data").iterdir()
    assert Run(kept).load_predictions("predictions.npz").paths == result.predictions.paths
    assert all(kept in path.parents for path in result.figures)


def test_photos_that_the_run_was_trained_on_are_left_out(run: Run, here: Path) -> None:
    shutil.copytree(here / "dataset/train", here / "other")
    with pytest.raises(DataError, match="was trained on all of them"):
        evaluate(run=run.folder, data="other", device="cpu")
    write(here / "other", "red", 2, RED)
    result = evaluate(run=run.folder, data="other", device="cpu")
    assert result.n == 2
    assert sum(one["n"] for one in result.to_json()["left_out"]) == 36


def test_no_other_name_for_the_own_test_part_goes_round_the_ledger(run: Run, here: Path) -> None:
    shutil.copytree(here / "dataset/train", here / "raw")
    shutil.copytree(here / "dataset/test", here / "raw", dirs_exist_ok=True)
    with pytest.raises(DataError, match="or they are in its own test part"):
        evaluate(run=run.folder, data="raw", device="cpu")
    write(here / "raw", "red", 2, RED)
    result = evaluate(run=run.folder, data="raw", device="cpu")
    assert result.n == 2
    reasons = {one["reason"] for one in result.to_json()["left_out"]}
    assert reasons == {"trained on by the run", "in the run's own test part"}


def test_of_another_dataset_the_test_part_is_scored(run: Run, here: Path) -> None:
    for part, n, first in (("train", 4, 800), ("test", 2, 900)):
        write(here / f"other/{part}", "red", n, RED, first)
        write(here / f"other/{part}", "zebra", n, ODD, first + 50)
    result = evaluate(run=run.folder, data="other", device="cpu")
    assert result.n == 2 and result.to_json()["part"] == "test"


def test_no_class_in_common_is_a_sentence_with_both(run: Run, here: Path) -> None:
    write(here / "other", "cat", 2, RED)
    write(here / "other", "dog", 2, BLUE)
    with pytest.raises(DataError, match=r"its classes are 'cat' and 'dog', and the run .* knows"):
        evaluate(run=run.folder, data="other", device="cpu")


def test_the_own_dataset_at_another_place_is_still_the_own(run: Run, here: Path) -> None:
    (here / "dataset").rename(here / "moved")
    assert is_own(run, here / "moved") and not is_own(run, here / "nowhere")
    assert evaluate(run=run.folder, data="moved", device="cpu").evaluation.on == "test"
    assert not (run.folder / "other-data").exists()


def test_folds_of_another_dataset_replace_no_folds_of_the_run(run: Run, here: Path) -> None:
    classes = run.read_json("model.json")["classes"]
    for i, name in enumerate(classes):
        write(here / "other/train", name, 6, (200 - 70 * i, 40 + 60 * i, 90), 900 + 20 * i)
    before = {path: data for path, data in files(run).items() if "folds" not in path.parts}
    result = evaluate(3, run=run.folder, data="other", device="cpu")
    after = {path: data for path, data in files(run).items() if "folds" not in path.parts}
    assert after == before and result.n == 18


@pytest.mark.parametrize("of", ["frozen", "trained"])
def test_folds_of_other_class_folders_are_of_the_classes_there(
    of: str, run: Run, here: Path, shell: Shell
) -> None:
    if of == "trained":
        run = trained(TrainConfig.of(arch="4C3-P2", image_size=16, epochs=1))
    for label, colour, first in (("cat", RED, 300), ("dog", BLUE, 400), ("owl", ODD, 500)):
        write(here / "other/site/all", label, 6, colour, first)
    other = ("--data", "other", "--classes-at", "site/all/*")
    found = shell.json("evaluate", "--folds", "3", *other)
    assert found["n"] == 18 and found["on"] == "other" and found["data"] == "other"
    assert found["confusion"]["classes"] == ["cat", "dog", "owl"]
    code, out, err = shell("evaluate", "--folds", "3", *other)
    assert code == 0 and "'other' is not the run's own dataset: networks of its 3 classes" in err
    assert "`predict` will use" not in out
    following = next(line for line in out.splitlines() if line.startswith("Next:"))
    assert following.split() == ["Next:", "imgcli", "suggest-merges", "--data", "other"]
    merges = shell.json(*following.split()[2:])
    assert merges["data"] == "other" and not (run.folder / "merges.json").exists()
    code, _, err = shell("suggest-merges", "--data", "other", "--retrain")
    assert code == 2 and "--retrain repeats the folds of the run's own dataset" in err
    if of == "trained":
        return
    shutil.copytree(here / "other", here / "another")
    code, _, err = shell("suggest-merges", "--data", "another")
    assert code == 1 and f"imgcli evaluate --run {run.folder.name} --folds 10 --data another" in err


def test_folds_of_other_photos_have_none_of_the_own_test_part(
    run: Run, here: Path, shell: Shell
) -> None:
    for part in ("train", "test"):
        shutil.copytree(here / "dataset" / part, here / "raw", dirs_exist_ok=True)
    ledger = (run.folder.parent / "test-ledger.jsonl").read_bytes()
    for on in ("train", "all"):
        code, out, err = shell("evaluate", "--folds", "3", "--data", "raw", "--on", on, "--json")
        assert code == 0 and json.loads(out)["n"] == 36
        assert "Left out, in the run's own test part: 12 photos" in err
    assert (run.folder.parent / "test-ledger.jsonl").read_bytes() == ledger


def test_of_all_photos_of_another_dataset_its_train_part_decides(
    run: Run, here: Path, shell: Shell
) -> None:
    for part, n, first in (("learn", 6, 800), ("exam", 3, 900)):
        write(here / f"other/{part}", "red", n, RED, first)
        write(here / f"other/{part}", "zebra", n, ODD, first + 50)
    typed = ("--folds", "3", "--data", "other", "--parts", "learn=train,exam=test")
    found = shell.json("evaluate", *typed, "--on", "all")
    assert found["n"] == 18 and found["calibration"]["n"] == 12
    (kept,) = (run.folder / "other-data").iterdir()
    stored = Run(kept).load_predictions("predictions-folds.npz")
    assert stored.parts.count("test") == 6
    assert len(for_decisions(stored)) == 12


def test_the_own_dataset_is_read_as_the_run_read_it(run: Run) -> None:
    with pytest.raises(WrongUsage, match=r"is the run's own dataset, and the run .* knows which"):
        evaluate(3, run=run.folder, data="dataset", classes_at=2, device="cpu")


def test_photos_that_the_initial_weights_know_are_in_no_folds_under_any_path(here: Path) -> None:
    first = trained(TrainConfig.of(arch="4C3-P2", image_size=16, epochs=1))
    config = TrainConfig.of(arch="4C3-P2", image_size=16, epochs=1, weights=str(first.folder))
    second = trained(config)
    shutil.copytree(here / "dataset/train", here / "raw")
    with pytest.raises(WrongUsage, match="Folds of 'raw' would be predicted by networks that know"):
        evaluate(3, run=second.folder, data="raw", device="cpu")
