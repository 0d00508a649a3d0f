"""What is decided after `evaluate --folds K --on all`: by the train part alone, and it is said."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgcli.evaluation.calibration import (
    calibrated,
    calibration_json,
    helpful_temperature,
    temperature_of,
)
from imgcli.evaluation.predictions_io import for_decisions
from imgcli.evaluation.selective import selective_prediction
from imgcli.records import Predictions
from imgcli.run_lookup import find_run
from imgcli.runs import Run
from tests.support.photos import write_dataset
from tests.support.shell import imgcli

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]
SAID = "16 photos outside the train part are not used for decisions"


@pytest.fixture
def run(here: Path, monkeypatch: Patch, capsys: Capture) -> Run:
    """A run whose folds were of all photos; of the test part's, every label is wrong."""
    monkeypatch.setenv("COLUMNS", "200")
    write_dataset(here / "dataset", train=30, test=8, classes=2)
    test = here / "dataset/test"
    (test / "blue").rename(test / "aside")
    (test / "green").rename(test / "blue")
    (test / "aside").rename(test / "green")
    train = "train --arch test_resnet --freeze --no-pretrained --image-size 32 --precision fp32"
    assert imgcli(*train.split()) == 0
    capsys.readouterr()
    assert imgcli("evaluate", "--folds", "3", "--on", "all") == 0
    assert SAID in capsys.readouterr().err
    return find_run()


def of_train(run: Run) -> Predictions:
    """The run's out-of-fold predictions of the train part, picked by hand."""
    said = run.load_predictions("predictions-folds.npz")
    assert said.on == "all" and len(said) == 76
    rows = [i for i, path in enumerate(said.paths) if path.split("/")[0] == "train"]
    assert len(rows) == 60
    return replace(
        said,
        **{name: getattr(said, name)[rows] for name in ("indices", "targets", "probs", "fold")},
        groups=said.groups[rows],
        paths=tuple(said.paths[i] for i in rows),
        digests=(),
        parts=(),
        on="train",
    )


def printed(capsys: Capture) -> dict[str, Any]:
    out, err = capsys.readouterr()
    assert SAID in err
    document: dict[str, Any] = json.loads(out)
    return document


def test_nothing_is_decided_by_the_test_part(run: Run, capsys: Capture) -> None:
    expected = of_train(run)
    kept = run.read_json("calibration.json")
    assert kept["n"] == 60
    assert kept["temperature"] == calibration_json(expected)["temperature"]
    assert temperature_of(run) == pytest.approx(kept["temperature"])

    assert imgcli("predict", "dataset/test", "--min-precision", "0.6", "--json") == 0
    scaled = replace(expected, probs=calibrated(expected.probs, temperature_of(run)))
    assert printed(capsys)["promise"] == {
        **selective_prediction(scaled, 0.6).to_json(),
        "precision_ci95": list(selective_prediction(scaled, 0.6).precision_ci95),
    }

    assert imgcli("suggest-merges", "--json") == 0
    assert printed(capsys)["accuracy"] == (expected.preds == expected.targets).mean()

    assert imgcli("check", "--labels", "--json") == 0
    document = printed(capsys)
    assert document["photos"] == 60
    assert not any(issue["path"].startswith("test/") for issue in document["labels"])

    assert imgcli("report", "--quiet") == 0
    assert "16 photos outside the train part are not used" in Path(
        run.folder / "report.html"
    ).read_text("utf-8").replace("\u00a0", " ")


def test_runs_are_compared_by_the_train_part(run: Run, capsys: Capture, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(run.folder.resolve(), tmp_path / "runs" / "second")
    first = run.folder.resolve().name
    assert imgcli("compare", first, "second", "--json") == 0
    document = printed(capsys)
    assert document["paired_on"] == 60
    assert [one["n"] for one in document["runs"]] == [60, 60]


def test_a_calibration_of_earlier_folds_is_not_used(run: Run) -> None:
    said = run.load_predictions("predictions-folds.npz")
    run.write_json("calibration.json", {**run.read_json("calibration.json"), "factor": 0.5})
    sharper = replace(said, probs=calibrated(said.probs, 1 / 30))
    run.save_predictions("predictions-folds.npz", sharper)  # as a kill before the next file leaves
    expected = helpful_temperature(for_decisions(sharper))[0]
    assert temperature_of(run) == pytest.approx(expected) != 2


def test_a_calibration_of_an_earlier_version_is_used_as_it_is(run: Run) -> None:
    kept = run.read_json("calibration.json")
    run.write_json("calibration.json", {"factor": 0.5, "n": kept["n"]})
    assert temperature_of(run) == 2.0
    assert np.isclose(run.read_json("calibration.json")["factor"], 0.5)
