"""evaluate --repeats, predict --min-precision and learning-curve, as they are typed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgcli.text import percent
from tests.support.photos import write_dataset
from tests.support.shell import Shell, imgcli

TRAIN = [
    *("train", "--arch", "test_resnet", "--freeze", "--no-pretrained", "--image-size", "32"),
    *("--precision", "fp32", "--quiet"),
]


@pytest.fixture
def here(here: Path) -> Path:
    """A folder with a dataset of 3 classes, 40 photos each to train on, and a run."""
    write_dataset(here / "dataset", train=40, test=4)
    assert imgcli(*TRAIN) == 0
    return here


def test_repeats_are_pooled_and_the_first_is_the_runs(
    here: Path, capsys: pytest.CaptureFixture[str], shell: Shell
) -> None:
    def evaluated(*words: str) -> dict[str, Any]:
        return shell.json("evaluate", "--folds", "3", *words)

    once = evaluated()
    first = np.load("runs/latest/predictions-folds.npz")["probs"]
    twice = evaluated("--repeats", "2")
    np.testing.assert_array_equal(np.load("runs/latest/predictions-folds.npz")["probs"], first)
    assert (once["repeats"], twice["repeats"]) == (1, 2)
    assert len(twice["accuracy"]["folds"]) == len(twice["train"]["accuracy"]["folds"]) == 6
    assert twice["accuracy"]["folds"][:3] == once["accuracy"]["folds"]
    assert twice["n"] == sum(map(sum, twice["confusion"]["matrix"])) == 120
    each = twice["per_repeat"]["accuracy"]
    assert np.mean(each) == pytest.approx(twice["accuracy"]["value"])
    assert twice["balanced_accuracy"] == twice["macro_recall"] and twice["top5"] is None
    assert twice["log_loss"]["value"] > 0 and len(twice["brier"]["folds"]) == 6
    assert twice["gap"].endswith(".") and twice["calibration"]["folds"] == 3
    stored = json.loads(Path("runs/latest/calibration.json").read_text())
    assert stored["factor"] == twice["calibration"]["factor"]
    assert imgcli("evaluate", "--folds", "3", "--repeats", "2") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "2 repeats of the folds: accuracy" in text
    assert "Also: macro recall (balanced accuracy)" in text and "reliability.png" in text
    assert imgcli("report", "--quiet") == 0
    page = Path("runs/latest/report.html").read_text("utf-8").replace("\u00a0", " ")
    right, run = percent(twice["accuracy"]["value"]), Path("runs/latest").resolve().name
    assert f"Accuracy {right} on 120 held-out photos, each predicted 2 times" in page
    assert "120 photos, 2 × 3 folds of the train part, out-of-fold" in page
    assert f"imgcli evaluate --folds 3 --repeats 2 --run {run}" in page
    evaluated()
    assert not Path("runs/latest/predictions-folds-2.npz").exists()


def test_the_test_part_stands_beside_what_was_learnt_from(here: Path, shell: Shell) -> None:
    document = shell.json("evaluate")
    learnt = json.loads(Path("runs/latest/model.json").read_text())["train"]
    assert document["train"]["accuracy"]["value"] == learnt["accuracy"]
    assert "on training photos" in document["gap"]
    assert document["calibration"] is None  # nothing was learnt from folds yet


def test_a_precision_is_promised_by_the_folds(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", "dataset/test", "--min-precision", "0.9"]
    capsys.readouterr()
    assert imgcli(*words) == 1
    assert "has no out-of-fold predictions" in capsys.readouterr().err
    assert imgcli("evaluate", "--folds", "3") == 0
    capsys.readouterr()
    assert imgcli(*words, "--json", "--csv", "found.csv") == 0
    document = json.loads(capsys.readouterr().out)
    rows = document["predictions"]
    assert document["promise"]["min_precision"] == 0.9 and len(rows) == 12
    for row in rows:
        assert row["unsure"] == (row["confidence"] < document["promise"]["threshold"])
        assert row["class"] == (None if row["unsure"] else row["top"][0][0])
    assert document["answered"] == sum(not row["unsure"] for row in rows)
    lines = Path("found.csv").read_text().splitlines()
    assert lines[0] == "path,class,confidence,class_2,confidence_2,class_3,confidence_3,likely"
    for row, line in zip(rows, lines[1:], strict=True):
        cells = line.split(",")
        assert cells[1] == ("unsure" if row["unsure"] else row["top"][0][0])
        assert cells[-1] == row["top"][0][0]
    assert imgcli(*words) == 0
    assert f"Answered {document['answered']} of 12 photos" in capsys.readouterr().out


def test_sets_and_costs_decide_by_the_folds(here: Path, shell: Shell) -> None:
    words = ("predict", "dataset/test", "--coverage", "0.9")
    assert imgcli("evaluate", "--folds", "3") == 0
    document = shell.json(*words, "--csv", "found.csv")
    rows, sets = document["predictions"], document["sets"]
    assert sets["coverage"] == 0.9 and sets["n"] == sum(one["n"] for one in sets["per_class"])
    for row in rows:
        assert row["unsure"] == (len(row["set"]) > 1) and row["set"][0] == row["top"][0][0]
        assert row["class"] == (None if row["unsure"] else row["set"][0])
        assert row["set"] == [name for name, _ in row["top"] if name in row["set"]]
    assert document["answered"] + document["unsure"] == len(rows)
    head, *lines = Path("found.csv").read_text().splitlines()
    assert head.endswith(",likely,set")
    assert [line.split(",")[-1] for line in lines] == [" | ".join(row["set"]) for row in rows]
    shown = shell(*words).out
    assert f"{document['answered']} of {len(rows)} photos have one class." in shown
    assert "Out-of-fold, sets hold the true class of" in shown

    names = ("blue", "green", "red")  # calling anything else blue costs a hundred
    cost = {(a, b): 0 if a == b else 100 if b == "blue" else 1 for a in names for b in names}
    table = [("class", *names), *((a, *(cost[a, b] for b in names)) for a in names)]
    Path("costs.csv").write_text("\n".join(",".join(map(str, row)) for row in table))
    paid = shell.json("evaluate", "--folds", "3", "--cost", "costs.csv")["cost"]
    assert paid["least"]["value"] <= paid["most_probable"]["value"]
    assert paid["decides"] == "least cost"
    document = shell.json("predict", "dataset/test", "--cost", "costs.csv")
    assert document["cost"]["decides"] == "least cost"
    for row in document["predictions"]:
        p = dict(row["top"])
        expected = {b: sum(p[a] * cost[a, b] for a in names) for b in names}
        assert row["expected_cost"] == pytest.approx(min(expected.values()), abs=1e-6)
        assert expected[row["class"]] == pytest.approx(row["expected_cost"], abs=1e-6)
        assert row["confidence"] == pytest.approx(p[row["class"]])
    assert "Mean cost per held-out photo" in shell(*words[:2], "--cost", "costs.csv").out


@pytest.mark.usefixtures("rendered")
def test_the_learning_curve_is_printed_stored_and_drawn(
    here: Path, capsys: pytest.CaptureFixture[str], shell: Shell
) -> None:
    document = shell.json("learning-curve", "--folds", "2")
    assert document["sentence"].startswith("Expected accuracy with twice the photos")
    assert {row["class"] for row in document["per_class"]} == {"blue", "green", "red"}
    assert document["points"][-1]["photos"] == 60 and document["n"] == 120
    assert (here / "runs/latest/figures/learning-curve.png").is_file()
    assert json.loads(Path("runs/latest/learning-curve.json").read_text())["times"] == 2.0
    assert imgcli("learning-curve", "--folds", "2") == 0
    assert "120, expected" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["evaluate", "--repeats", "2"], "--repeats goes with --folds"),
        (["evaluate", "--folds", "2", "--repeats", "0"], "--repeats 0 must be at least 1"),
        (["predict", "x", "--min-precision", "95"], "--min-precision 95 is not a share between"),
        (["predict", "x", "--min-precision", "nan"], "--min-precision nan is not a share between"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert imgcli(*words) == 2
    assert said in capsys.readouterr().err
