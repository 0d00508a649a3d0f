"""The predictions of many photos on the terminal: the first of them, and how many there are."""

import numpy as np
import pytest
from rich.table import Table

from imgcli.records import FloatArray
from imgcli.report.terminal import predictions
from tests.support.reports import piped, words


def test_of_many_photos_the_first_are_listed_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "MAX_PREDICTED", 5)
    paths = [f"{i}.jpg" for i in range(2_000)]
    sure = np.arange(2_000) >= 3
    halves = np.full((2_000, 2), 0.5)
    shown = [*predictions.predicted(paths, ["a", "b"], halves, ["a"] * 2_000, sure)]
    answered, rest, _, unsure = shown
    assert isinstance(answered, Table) and answered.row_count == 5
    assert rest == "The first 5 of 1,997 photos; --csv FILE or --json has all."
    assert isinstance(unsure, Table) and unsure.row_count == 3


def _shown(paths: list[str], classes: list[str], probs: FloatArray) -> str:
    """Photos that are all given their most probable class."""
    best = [classes[k] for k in probs.argmax(axis=1)]
    found = predictions.predicted(paths, classes, probs, best, np.ones(len(paths), bool))
    return piped(*found)


def test_predictions_name_the_class_its_confidence_and_the_runner_up() -> None:
    probs = np.array([[0.2, 0.7, 0.1], [0.5, 0.5, 0.0]])
    text = _shown(["x/1.jpg", "[red]\n.png"], ["a", "b", "c"], probs)
    assert "x/1.jpg b 70.0 % a (20.0 %)" in words(text)
    assert "[red]\\n.png a 50.0 % b (50.0 %)" in words(text)  # a tie goes to the first


def test_a_prediction_between_one_class_has_no_runner_up() -> None:
    assert "100.0 %  –" in _shown(["x.jpg"], ["a"], np.array([[1.0]]))


def test_long_paths_fold_and_lose_nothing() -> None:
    path = "/".join(f"folder_{i}" for i in range(30)) + "/photo.jpg"
    text = _shown([path], ["a", "b"], np.array([[0.25, 0.75]]))
    assert path in "".join(line[:60].split("  ")[0].strip() for line in text.splitlines()[3:])
    assert "75.0 %" in text and "a (25.0 %)" in text


def test_the_answer_is_shown_though_another_class_is_more_probable() -> None:
    probs = np.array([[0.2, 0.7, 0.1]])
    text = piped(*predictions.predicted(["x"], ["a", "b", "c"], probs, ["c"], np.array([True])))
    assert "x c 10.0 % b (70.0 %)" in words(text)


def test_photos_with_several_classes_come_apart_with_all_of_them() -> None:
    probs, sure = np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([True, False])
    sets = [("a",), ("b", "a")]
    text = words(
        piped(*predictions.predicted(["x", "y"], ["a", "b"], probs, ["a", "b"], sure, sets))
    )
    assert "x a (90.0 %)" in text and "More than one class:" in text
    assert "y b (60.0 %), a (40.0 %)" in text


COVERED = {
    "coverage": 0.95,
    "n": 1_850,
    "covered": 0.957,
    "covered_ci95": (0.945, 0.967),
    "classes_per_photo": 1.084,
    "single": 0.93,
    "per_class": [
        {"class": "owl", "n": 60, "covered": 0.8, "covered_ci95": (0.68, 0.88)},
        {"class": "cat", "n": 60, "covered": 0.9, "covered_ci95": (0.8, 0.96)},
    ],
    "few": ["emu"],
}


def test_what_sets_held_is_said_with_the_classes_that_they_hold_less_often() -> None:
    lines = predictions.set_lines(COVERED, 9, 10)
    assert lines[0] == "9 of 10 photos have one class."
    assert "true class of 95.7 % of 1,850 photos (95 % interval 94.5–96.7 %), asked" in lines[1]
    assert lines[2:] == [
        "Less often: owl (80 %), cat (90 %).",
        "Too few photos to hold it by themselves: 'emu'.",
    ]


def test_what_answers_cost_is_said_by_both_rules_and_which_is_used() -> None:
    amount = {"value": 0.5, "ci95": (0.25, 0.75)}
    cost = {"n": 90, "most_probable": amount, "least": amount, "saved": amount, "changed": 3}
    line = predictions.cost_line({**cost, "unsure": 0, "decides": "most probable"})
    assert "0.5 (95 % interval 0.25 to 0.75)" in line and "other answers to 3 of 90 photos" in line
    assert line.endswith("so `predict` gives the most probable class.")
    assert "cost more here" not in predictions.cost_line({**cost, "decides": "least cost"})
    assert predictions.cost_lines({**cost, "decides": "least cost"}, 2, 90)[1].startswith(
        "For 2 of"
    )
