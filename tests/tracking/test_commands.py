"""Commands that judge runs, or train many networks: what trackers get; same results."""

import csv
from pathlib import Path
from typing import Any

import pytest

from imgcli.commands.evaluate import evaluate
from imgcli.commands.learning_curve import learning_curve
from imgcli.commands.train import train
from imgcli.commands.tune import tune
from imgcli.commands.write_report import write_report
from imgcli.tracking import session
from tests.support.trackers import Memory

TINY: dict[str, Any] = {"image_size": 8, "epochs": 2, "batch_size": 16, "augment": "none"}


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    """What `--track csv` begins in these tests: runs that are kept in memory."""
    found = Memory()
    monkeypatch.setattr("imgcli.tracking.csv.begin", found)
    return found


def lines_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


def test_a_tracked_run_gets_what_is_found_out_about_it_later(here: Path, memory: Memory) -> None:
    given: dict[str, Any] = {"freeze": True, "pretrained": False, "precision": "fp32"}
    made = train("test_resnet", image_size=32, device="cpu", track="csv", **given)
    found = evaluate(2, device="cpu")
    learning_curve(folds=2, device="cpu")
    write_report()
    evaluate(2, device="cpu", track="none")  # is not told
    trained, judged, curve, report = memory.runs
    assert {one.about.name for one in memory.runs} == {made.run.name}
    assert [one.about.adds for one in memory.runs] == [False, True, True, True]
    assert all(one.known for one in memory.runs[1:]) and not trained.known
    assert judged.final["folds/accuracy"] == found.accuracy.value
    assert list(judged.values("by_fold/accuracy").values()) == list(found.accuracy.folds or ())
    assert {"confusion", "folds"} <= {*judged.figures}
    assert [row[0] for row in judged.tables["classes-folds"][1:]] == [*found.classes]
    assert [fold.about.name for fold in judged.children] == ["Fold 1 of 2", "Fold 2 of 2"]
    assert all(0 <= fold.final["held/accuracy"] <= 1 for fold in judged.children)
    assert len(curve.values("learning_curve/accuracy")) > 1
    assert curve.figures == ["learning-curve"] and report.artefacts == ["report.html"]


def test_a_run_of_no_tracker_gets_one_by_evaluate(here: Path) -> None:
    made = train("4C3-G", lr=0.01, device="cpu", **TINY)
    evaluate(2, device="cpu")
    assert not (made.run / "tracking.json").exists()
    result = evaluate(2, device="cpu", track="csv")
    lines = lines_of(made.run / "csv/metrics.csv")
    (found,) = (line["value"] for line in lines if line["name"] == "folds/accuracy")
    assert float(found) == result.accuracy.value
    rows = lines_of(made.run / "csv/classes-folds.csv")
    assert [row["class"] for row in rows] == [*result.classes]


def test_a_search_is_the_same_with_and_without_and_has_its_trials(
    here: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {**TINY, "trials": 2, "device": "cpu", "search": ["lr=0.001..0.1"]}
    alone = tune("4C3-G", name="alone", **given)
    result = tune("4C3-G", name="followed", track="csv", **given)
    for one, other in zip(alone.trials, result.trials, strict=True):
        decided = ("number", "state", "value", "loss", "choices")
        assert {name: one[name] for name in decided} == {name: other[name] for name in decided}
    (search,) = memory.runs
    assert search.about.kind == "tune" and search.status == "finished"
    assert search.final["best/value"] == result.best["value"]
    assert [row[0] for row in search.tables["trials"][1:]] == [0, 1]
    for trial, row in zip(search.children, result.trials, strict=True):
        assert trial.about.searched == ("lr",) and trial.about.group == "tune-followed"
        assert trial.about.config["lr"] == row["choices"]["lr"]
        assert trial.final == {"accuracy": row["value"], "loss": row["loss"]}
        assert list(trial.values("val/accuracy"))

    tune("4C3-G", name="followed", **{**given, "trials": 3})  # goes on, and so does its tracker
    assert memory.runs[1].known and len(memory.runs[1].children) == 1


def test_a_missing_package_is_refused_before_anything_is_made(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = train("4C3-G", lr=0.01, device="cpu", track="tensorboard", **TINY)
    monkeypatch.setattr(session, "find_spec", lambda name: None)
    with pytest.raises(Exception, match=r"pip install 'imgcli\[track\]'"):
        train("4C3-G", lr=0.01, device="cpu", track="mlflow", out="more", **TINY)
    assert not Path("more").exists()
    capsys.readouterr()
    evaluate(2, device="cpu")  # nobody asked for it now
    assert "'tensorboard', which tracks this run, is not installed" in capsys.readouterr().err
    assert (made.run / "evaluation.json").is_file()
