"""A planted power law is found again, and what more photos bring is told with its doubt."""

import numpy as np
import pytest

from imgcli.evaluation.intervals import retraining
from imgcli.evaluation.learning_curve import curve_sentence, extrapolated, learning_curve
from imgcli.evaluation.metrics import wilson_interval

PHOTOS = np.array([100.0, 180, 320, 560, 1000])


def law(n: np.ndarray | float, a: float = 0.05, b: float = 2.0, c: float = 0.5) -> np.ndarray:
    return a + b * np.asarray(n) ** -c


def test_a_power_law_is_found_again() -> None:
    errors = law(PHOTOS)[None]
    power, now, then = extrapolated(PHOTOS, errors, np.ones((1, 5)))
    assert power[0] == pytest.approx(0.5, abs=0.03)
    assert now[0] == pytest.approx(law(1000.0), abs=1e-3)
    assert then[0] == pytest.approx(law(2000.0), abs=1e-3)


def test_a_rising_or_level_error_promises_nothing_and_none_falls_below_zero() -> None:
    errors = np.array([[0.1, 0.1, 0.1, 0.1, 0.1], [0.1, 0.2, 0.3, 0.4, 0.5], [0, 0, 0, 0, 0.0]])
    steep = np.array([[0.4, 0.2, 0.1, 0.02, 0.0]])
    _, now, then = extrapolated(PHOTOS, np.r_[errors, steep], np.ones((4, 5)))
    assert now[:3] - then[:3] == pytest.approx(np.zeros(3))
    assert 0 <= then[3] <= now[3]


def drawn(seed: int, m: int = 600, **power: float) -> dict[str, object]:
    """Photos of which each has its own hardness, so that what is right with few stays so."""
    rng = np.random.default_rng(seed)
    right = rng.random(m) >= law(PHOTOS, **power)[:, None]
    targets = np.arange(m) % 3
    return learning_curve(("a", "b", "c"), PHOTOS, right, targets, np.arange(m), 5, seed)


def test_what_twice_the_photos_bring_lies_in_its_interval() -> None:
    truth = 1 - float(law(2000.0))
    held = 0
    for seed in range(10):
        expected = drawn(seed)["expected"]
        assert isinstance(expected, dict)
        low, high = expected["ci95"]
        assert low <= expected["accuracy"] <= high
        held += low <= truth <= high
    assert held >= 8


def test_classes_are_told_apart_and_one_without_photos_is_left_out() -> None:
    rng = np.random.default_rng(0)
    targets = np.repeat([0, 2], 300)
    right = np.where(targets == 0, True, rng.random((5, 600)) >= law(PHOTOS)[:, None] * 3)
    found = learning_curve(("easy", "none", "hard"), PHOTOS, right, targets, np.arange(600), 5)
    assert [row["class"] for row in found["per_class"]] == ["hard", "easy"]
    hard, easy = found["per_class"]
    assert easy["gain"] == 0 and easy["recall"] == [1.0] * 5 and hard["gain"] > 0.01
    assert [point["photos"] for point in found["points"]] == PHOTOS.tolist()


def test_intervals_of_points_are_of_networks_that_are_retrained() -> None:
    right = np.arange(100) < np.array([[80], [82], [84], [86], [90]])
    found = learning_curve(("a",), PHOTOS, right, np.zeros(100, np.int64), np.arange(100), 5)
    low, high = found["points"][-1]["ci95"]
    assert (low, high) == wilson_interval(0.9, 100 / retraining(5))
    assert low < wilson_interval(0.9, 100)[0]


def sentence(gain: float, low: float, high: float) -> str:
    expected = {"accuracy": 0.9 + gain, "gain": gain, "gain_ci95": [low, high]}
    return curve_sentence({"expected": expected, "points": [{"accuracy": 0.9}]})


def test_the_sentence_says_whether_photos_are_worth_it() -> None:
    assert sentence(0.02, 0.01, 0.03) == (
        "Expected accuracy with twice the photos: 92.0 %, from 90.0 % (+2.0 points; 95 % interval "
        "+1.0 to +3.0). More photos will help."
    )
    assert "another network may" in sentence(0.001, 0.0, 0.004)
    assert "Whether more photos help much cannot be told" in sentence(0.01, 0.0, 0.02)
