"""One temperature for the logits: chosen, checked, kept, and what it does to confidence."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from imgcli.errors import RunError
from imgcli.evaluation import metrics
from imgcli.evaluation.calibration import (
    NAME,
    best_temperature,
    calibrated,
    calibration_json,
    checked_json,
    cross_calibrated,
    reliability,
    temperature_of,
)
from imgcli.records import FloatArray, Predictions
from tests.support.predictions import predictions, sure
from tests.support.runs import evaluated_run


def overconfident(temperature: float = 3.0, m: int = 3000, folds: int = 5) -> Predictions:
    """Predictions that are calibrated once their logits are divided by `temperature`."""
    rng = np.random.default_rng(0)
    probs: FloatArray = rng.dirichlet(np.ones(4), m)
    targets = (probs.cumsum(axis=1) > rng.random((m, 1))).argmax(axis=1)
    return predictions(targets, calibrated(probs, 1 / temperature), fold=np.arange(m) % folds)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_divides_the_logits(temperature: float) -> None:
    some = overconfident(temperature)
    found = best_temperature(metrics.log_probs(some.probs), some.targets)
    assert found == pytest.approx(temperature, rel=0.06)
    np.testing.assert_allclose(
        calibrated(some.probs, found), softmax(metrics.log_probs(some.probs) / found, axis=1)
    )


@pytest.mark.parametrize("classes", [2, 30])
@pytest.mark.parametrize("temperature", [0.05, 0.4, 1.0, 3.0, 40.0, 1000.0])
def test_the_temperature_is_that_of_a_search_over_all(temperature: float, classes: int) -> None:
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.full(classes, 0.3), 600)
    targets = (probs.cumsum(axis=1) > rng.random((600, 1))).argmax(axis=1)
    scores = metrics.log_probs(probs) * temperature

    def loss(exponent: float) -> float:
        scaled = log_softmax(scores / np.exp(exponent), axis=1)
        return -float(scaled[np.arange(600), targets].mean())

    searched = minimize_scalar(loss, bounds=(-5.0, 5.0), method="bounded")
    found = best_temperature(scores, targets)
    assert found == pytest.approx(np.exp(searched.x), rel=1e-4)
    assert loss(np.log(found)) <= searched.fun + 1e-9


def test_photos_that_a_temperature_is_not_chosen_by_do_not_count() -> None:
    some = overconfident()
    scores, rows = metrics.log_probs(some.probs), np.arange(0, 3000, 3)
    assert best_temperature(scores, some.targets, rows) == best_temperature(
        scores[rows], some.targets[rows]
    )


def test_calibrating_changes_no_answer_and_sums_to_one() -> None:
    some = overconfident()
    after = calibrated(some.probs, 3.0)
    np.testing.assert_array_equal(after.argmax(axis=1), some.preds)
    np.testing.assert_allclose(after.sum(axis=1), 1)
    np.testing.assert_allclose(calibrated(some.probs, 1.0), some.probs)


def test_certainty_stays_certainty() -> None:
    np.testing.assert_allclose(calibrated(np.eye(3), 2.0), np.eye(3), atol=1e-12)
    assert np.isfinite(best_temperature(metrics.log_probs(np.eye(3)), np.array([0, 1, 1])))


def test_each_fold_is_calibrated_by_the_others() -> None:
    some = overconfident()
    held = some.fold == 2
    other = replace(some, targets=np.where(held, (some.targets + 1) % 4, some.targets))
    np.testing.assert_array_equal(
        cross_calibrated(some).probs[held], cross_calibrated(other).probs[held]
    )
    assert not np.allclose(
        cross_calibrated(some).probs[~held], cross_calibrated(other).probs[~held]
    )


def test_held_out_error_falls_to_what_chance_leaves() -> None:
    found = calibration_json(overconfident())
    assert found["ece_before"] > 0.15 and found["ece"] < 0.03
    assert (found["n"], found["folds"]) == (3000, 5)
    assert found["temperature"] == pytest.approx(3.0, rel=0.06)
    assert found["factor"] == pytest.approx(1 / found["temperature"])
    checked = checked_json(overconfident(), found["temperature"])
    assert checked["ece"] == pytest.approx(found["ece"], abs=0.01)


def test_what_is_calibrated_stays_as_it_is() -> None:
    """A temperature fitted to few photos would make the calibration error larger."""
    kept = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        probs: FloatArray = rng.dirichlet(np.ones(4), 60)
        targets = (probs.cumsum(axis=1) > rng.random((60, 1))).argmax(axis=1)
        some = predictions(targets, probs, fold=np.arange(60) % 5)
        found = calibration_json(some)
        kept += found["temperature"] == 1 and found["ece"] == found["ece_before"]
    assert kept >= 7


def test_a_temperature_that_raises_the_calibration_error_is_not_used() -> None:
    """Few photos are much too sure, and weigh in the log loss; the others are calibrated."""
    sure_of = np.repeat([0.75, 0.999], [900, 100])
    correct = np.r_[np.arange(900) % 4 > 0, np.arange(100) % 10 > 0]
    probs = np.c_[sure_of, 1 - sure_of]
    some = predictions(np.where(correct, 0, 1), probs, fold=np.arange(1000) // 10 % 5)
    crossed = cross_calibrated(some)
    before, after = (metrics.log_loss(one.probs, some.targets) for one in (some, crossed))
    assert after < before - 0.01  # and yet
    error = metrics.expected_calibration_error(crossed.probs, some.targets)
    found = calibration_json(some)
    assert found["temperature"] == 1 and found["ece"] == found["ece_before"] < error


def test_without_folds_nothing_is_left_to_choose_on() -> None:
    some = predictions([0, 1], sure([0, 1], 3))
    np.testing.assert_array_equal(cross_calibrated(some).probs, some.probs)


def test_a_run_that_was_not_judged_by_folds_is_left_as_it_is(tmp_path: Path) -> None:
    made = evaluated_run(tmp_path / "runs")
    assert temperature_of(made) == 1.0
    made.write_json(NAME, {"factor": 0.5})
    assert temperature_of(made) == 2.0
    made.write_json(NAME, {"n": 3})
    with pytest.raises(RunError, match=r"calibration\.json' cannot be read"):
        temperature_of(made)


@pytest.mark.parametrize("factor", [0.0, -1.0, np.inf, np.nan])
def test_a_calibration_that_is_none_is_refused(tmp_path: Path, factor: float) -> None:
    made = evaluated_run(tmp_path / "runs")
    made.write_json(NAME, {"factor": factor})
    with pytest.raises(RunError, match=r"calibration\.json' cannot be read"):
        temperature_of(made)


def test_bins_of_reliability_make_up_the_calibration_error() -> None:
    some = overconfident()
    rows = reliability(some)
    assert sum(row["n"] for row in rows) == 3000
    ece = sum(row["n"] * abs(row["confidence"] - row["right"]) for row in rows) / 3000
    assert ece == pytest.approx(metrics.expected_calibration_error(some.probs, some.targets))
    assert all(row["from"] < row["confidence"] <= row["to"] + 1e-9 for row in rows)
    assert all(row["ci95"][0] <= row["right"] <= row["ci95"][1] for row in rows)


def test_bins_counted_by_hand() -> None:
    (row,) = reliability(predictions([0, 1], sure([0, 0], 2, confidence=0.9)))
    assert (row["n"], row["right"]) == (2, 0.5)
    assert row["confidence"] == pytest.approx(0.9)
