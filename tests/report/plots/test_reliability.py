"""Reliability and the learning curve: drawn in the house style, told in lines."""

import numpy as np
from matplotlib.figure import Figure

from imgcli.report.plots.evaluation import reliability
from imgcli.report.plots.training import learning_curve as curve
from imgcli.report.terminal.evaluation import calibration_line, repeats_line
from imgcli.report.terminal.predictions import promise_lines
from tests.support.evaluations import evaluation


def texts(figure: Figure) -> str:
    figure.canvas.draw()
    found = [
        text.get_text()
        for axes in figure.axes
        for text in axes.findobj()
        if hasattr(text, "get_text")
    ]
    return "\n".join(found)


def test_each_bin_is_drawn_where_it_belongs() -> None:
    bins = [
        {"from": 0.8, "to": 0.9, "n": 3, "confidence": 0.85, "right": 2 / 3, "ci95": [0.2, 0.9]},
        {"from": 0.9, "to": 1.0, "n": 7, "confidence": 0.97, "right": 1.0, "ci95": [0.6, 1.0]},
    ]
    figure = reliability(evaluation([[6, 1], [0, 3]], folds=(0.9, 0.9)), bins)
    upper, lower = figure.axes
    dots = upper.lines[1].get_xydata()
    np.testing.assert_allclose(dots, [[0.85, 2 / 3], [0.97, 1.0]])
    assert [bar.get_height() for bar in lower.patches] == [3, 7]
    assert "Expected calibration error" in texts(figure) and "10 photos" in texts(figure)


def test_the_curve_goes_on_to_what_is_expected() -> None:
    points = [
        {"photos": n, "accuracy": a, "ci95": [a - 0.05, a + 0.02]}
        for n, a in ((100.0, 0.7), (1000.0, 0.9))
    ]
    expected = {"accuracy": 0.93, "ci95": [0.9, 0.95], "gain": 0.03, "gain_ci95": [0.0, 0.05]}
    figure = curve(
        {
            "points": points,
            "expected": expected,
            "times": 2.0,
            "folds": 5,
            "n": 1250,
            "sentence": "S.",
        }
    )
    found, ahead = figure.axes[0].lines
    assert found.get_xydata().tolist() == [[100, 0.7], [1000, 0.9]]
    assert ahead.get_xydata().tolist() == [[1000, 0.9], [2000, 0.93]]
    assert "2,000" in texts(figure) and "1,250 photos" in texts(figure)


def test_lines_say_what_changes() -> None:
    kept = {"factor": 0.7, "ece_before": 0.08, "ece": 0.01, "folds": 5}
    assert calibration_line({"calibration": kept}) == (
        "Expected calibration error (ECE) 8.0 %; 1.0 % with temperature 1.43, which `predict` will "
        "use."
    )
    assert calibration_line({"ece": 0.02}) == "Expected calibration error (ECE) 2.0 %."
    assert repeats_line({"per_repeat": {"accuracy": [0.9]}}) is None
    assert "confidences stay as they are" in str(
        calibration_line({"calibration": {**kept, "factor": 1.0, "ece": 0.08}})
    )
    promise = {
        "min_precision": 0.95,
        "threshold": 0.6,
        "precision": 0.96,
        "lower_bound": 0.956,
        "answered": 90,
        "n": 100,
        "share": 0.9,
        "weak": {"lily": 0.7, "a\x1b": 0.8},
    }
    first, second, third = promise_lines(promise, 4, 5)
    assert third == "Classes of lower precision: lily (70 %), a\\x1b (80 %)."
    assert len(promise_lines({**promise, "weak": {}}, 4, 5)) == 2
    (margin,) = promise_lines({**promise, "lower_bound": 0.952, "weak": {}}, 4, 5)[2:]
    assert margin.startswith("Its lower bound is 95.2 %: no margin")
    assert (
        first.startswith("Answered 4 of 5 photos")
        and "coverage 90.0 % (90 of 100 photos)" in second
    )
