"""Sets that hold the true class as often as asked: counted by hand, and kept in simulation."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcli.errors import DataError
from imgcli.evaluation.prediction_sets import SLACK, prediction_sets, sets_of
from imgcli.records import Predictions
from tests.support.predictions import independent, predictions


def in_folds(some: Predictions, k: int = 5) -> Predictions:
    return replace(some, fold=np.arange(len(some)) % k)


def of_own(own: np.ndarray, copies: int = 1) -> Predictions:
    """Photos of one of two classes, whose own class has this probability."""
    row = np.repeat(np.arange(len(own)), copies)
    return in_folds(predictions(np.zeros(len(row), int), np.c_[own, 1 - own][row], groups=row))


def test_the_threshold_is_the_probability_that_enough_photos_have() -> None:
    own = np.arange(1, 20) / 20  # .05 to .95: 18 of 20, with the new one, need 18 of these
    assert prediction_sets(of_own(own), 0.9).thresholds == (pytest.approx(0.1),) * 2
    assert prediction_sets(of_own(own), 0.5).thresholds == (pytest.approx(0.5),) * 2


@given(st.lists(st.floats(0, 1), min_size=19, max_size=60), st.sampled_from([0.5, 0.9, 0.95]))
@settings(max_examples=50, deadline=None)
def test_the_threshold_is_the_quantile_of_split_conformal_prediction(
    own: list[float], coverage: float
) -> None:
    n = len(own)
    score = np.sort(1 - np.array(own))[math.ceil(round((n + 1) * coverage, 9)) - 1]
    probs = np.c_[own, 1 - np.array(own)]
    found = prediction_sets(in_folds(predictions(np.zeros(n, int), probs)), coverage)
    assert found.thresholds[1] == pytest.approx(1 - score)


def test_copies_of_a_photo_change_nothing() -> None:
    own = np.random.default_rng(0).random(40)
    once, often = (prediction_sets(of_own(own, copies), 0.9) for copies in (1, 3))
    assert once.thresholds == often.thresholds
    assert often.covered_ci95[1] - often.covered_ci95[0] > 0.1  # as of 40 photos, not of 120


def test_a_class_of_few_photos_takes_the_least_probable_of_them() -> None:
    own = np.r_[np.full(95, 0.9), 0.85, 0.8, 0.7, 0.6, 0.5]
    some = in_folds(predictions(np.r_[np.zeros(95, int), np.ones(5, int)], np.c_[own, 1 - own]))
    probs = np.where(some.targets[:, None] == 1, some.probs[:, ::-1], some.probs)
    found = prediction_sets(replace(some, probs=probs), 0.9)
    assert found.thresholds == (0.9, 0.5) and found.few == ("c01",)


def test_so_few_photos_promise_nothing() -> None:
    with pytest.raises(DataError, match=r"takes 19 out-of-fold photos, .* there are 18"):
        prediction_sets(of_own(np.full(18, 0.9)), 0.95)
    prediction_sets(of_own(np.full(19, 0.9)), 0.95)


def test_the_most_probable_class_is_in_every_set() -> None:
    probs = np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]])
    assert sets_of(probs, (0.9, 0.25, 0.9)).tolist() == [[True, True, False], [False, False, True]]


@given(st.integers(0, 10**6), st.sampled_from([0.5, 0.8, 0.9, 0.95]))
@settings(max_examples=25, deadline=None)
def test_more_coverage_never_makes_a_set_smaller(seed: int, coverage: float) -> None:
    some = in_folds(independent(np.random.default_rng(seed), 4, 2.0, (30, 40)))
    low, high = (prediction_sets(some, share) for share in (coverage, (1 + coverage) / 2))
    assert all(a >= b for a, b in zip(low.thresholds, high.thresholds, strict=True))


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_new_photos_of_each_class_are_covered_as_often_as_asked(coverage: float) -> None:
    rng = np.random.default_rng(0)
    covered, held, worst = [], [], []
    for _ in range(60):
        some = independent(rng, 6, 1.8, (25, 60))
        some = replace(some, fold=rng.permutation(len(some)) % 10)
        found = prediction_sets(some, coverage)
        new = independent(rng, 6, 1.8, (300, 301))
        inside = sets_of(new.probs, found.thresholds)[np.arange(len(new)), new.targets]
        covered.append(inside.mean())
        worst.append(inside.reshape(6, -1).mean(axis=1))
        held.append(found.covered_ci95[0] <= inside.mean() <= found.covered_ci95[1])
    assert np.mean(covered) >= coverage
    assert np.mean(covered) < coverage + 0.04  # no wider than it takes
    assert np.mean(worst, axis=0).min() > coverage - SLACK
    assert np.mean(held) >= 0.93


def test_each_fold_is_judged_by_the_thresholds_of_the_others() -> None:
    """Photos of one fold that are unlike all others are not covered by their own thresholds."""
    own = np.r_[np.full(80, 0.9), np.full(20, 0.3)]
    some = predictions(np.zeros(100, int), np.c_[own, 1 - own], fold=np.repeat(np.arange(5), 20))
    found = prediction_sets(some, 0.8)
    assert found.covered == pytest.approx(0.8)
    assert prediction_sets(replace(some, fold=np.arange(100) % 5), 0.81).covered == 1.0


def test_what_it_says_of_itself_is_there_for_people_and_programs() -> None:
    found = prediction_sets(in_folds(independent(np.random.default_rng(1), 3, 3.0)), 0.9).to_json()
    assert found["n"] == sum(one["n"] for one in found["per_class"])
    assert [one["class"] for one in found["per_class"]] == ["c00", "c01", "c02"]
    assert 1 <= found["classes_per_photo"] <= 3 and 0 <= found["single"] <= 1
