"""Photos of none of the classes: the promised false alarms are kept, and far photos are told."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imgcli.errors import DataError, RunError
from imgcli.evaluation import decisions, novelty
from imgcli.evaluation.novelty import NoveltyDetector, fit_novelty, needed
from imgcli.records import FloatArray, IntArray, Predictions
from imgcli.runs import Run
from tests.support.predictions import predictions

K, D = 4, 12


def population(rng: np.random.Generator, n: int) -> tuple[FloatArray, IntArray, FloatArray]:
    """Features around the corners of a simplex, targets, and the probabilities of distances."""
    targets = rng.integers(K, size=n)
    features = 1 + 3 * np.eye(K, D)[targets] + 0.2 * rng.normal(size=(n, D))
    return features, targets, probs_of(features)


def probs_of(features: FloatArray) -> FloatArray:
    logits = features[:, :K] * 2
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exp / exp.sum(axis=1, keepdims=True))


def held_out(rng: np.random.Generator, n: int) -> tuple[FloatArray, Predictions]:
    features, targets, probs = population(rng, n)
    return features, predictions(targets, probs, fold=np.arange(n) % 5)


def with_known(known: list[float], weights: list[float] | None = None) -> NoveltyDetector:
    """A detector of which only the held-out scores matter."""
    nothing, ones = np.zeros(2), np.ones(len(known))
    return NoveltyDetector(
        *(nothing, np.eye(2), nothing[None], nothing, nothing + 1),
        *(np.array(known), ones if weights is None else np.array(weights)),
    )


def test_the_threshold_is_the_quantile_of_split_conformal_prediction() -> None:
    found = with_known(list(np.arange(1.0, 20)))  # 19 photos: one false alarm of 20 is the new one
    assert found.threshold(0.05) == 19 and found.threshold(0.1) == 18
    assert found.threshold(0.049) == float("inf")
    assert needed(0.05) == 19 and needed(0.01) == 99


def test_copies_of_a_photo_count_once() -> None:
    once = with_known(list(np.arange(1.0, 40)))
    twice = with_known(np.repeat(np.arange(1.0, 40), 2).tolist(), [0.5] * 78)
    assert once.threshold(0.1) == twice.threshold(0.1) and twice.groups == 39


def test_fresh_photos_of_the_classes_are_rarely_of_none_of_them() -> None:
    rates = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found = fit_novelty(*held_out(rng, 150))
        features, _, probs = population(rng, 300)
        rates.append((found.scores(features, probs) > found.threshold(0.1)).mean())
    assert 0.06 < np.mean(rates) < 0.11  # the mean of 20; each spreads by about .03


def test_photos_far_from_every_class_are_told() -> None:
    rng = np.random.default_rng(0)
    found = fit_novelty(*held_out(rng, 200))
    far = 1 + 3 * np.eye(K, D)[np.zeros(100, int)]
    far[:, K + 2] += 10  # as sure of a class, in a direction that no photo has
    far += 0.2 * rng.normal(size=far.shape)
    assert (found.scores(far, probs_of(far)) > found.threshold(0.05)).mean() > 0.95


def test_features_that_are_all_alike_or_very_many_are_no_error() -> None:
    rng = np.random.default_rng(0)
    _, known = held_out(rng, 40)
    for features in (np.ones((40, D)), rng.normal(size=(40, novelty.MOST_FEATURES + 50))):
        found = fit_novelty(features, known)
        assert np.isfinite(found.scores(features, known.probs)).all()


def test_without_folds_there_is_nothing_to_promise_by() -> None:
    features, known = held_out(np.random.default_rng(0), 40)
    with pytest.raises(DataError, match="predictions of folds"):
        fit_novelty(features, replace(known, fold=np.full(40, -1)))


def test_what_is_kept_is_read_back_and_refused_when_it_was_changed(tmp_path: Path) -> None:
    features, known = held_out(np.random.default_rng(0), 60)
    found, run = fit_novelty(features, known), Run(tmp_path)
    run.save_predictions("predictions-folds.npz", known)
    assert novelty.load(run, 1.0) is None
    novelty.save(run, found, 1.0)
    kept = novelty.load(run, 1.0)
    assert kept is not None and kept.threshold(0.1) == found.threshold(0.1)
    np.testing.assert_allclose(
        kept.scores(features, known.probs), found.scores(features, known.probs), atol=1e-3
    )
    assert novelty.load(run, 1.5) is None  # calibrated otherwise since
    run.save_predictions("predictions-folds.npz", replace(known, fold=known.fold[::-1].copy()))
    assert novelty.load(run, 1.0) is None  # evaluated again since
    novelty.save(run, found, 1.0)
    path = tmp_path / novelty.NAME
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(RunError, match=r"novelty\.npz' cannot be read"):
        novelty.load(run, 1.0)


def test_none_of_these_goes_before_other_answers() -> None:
    probs = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    plain = decisions.by_confidence(probs, ["cat", "dog"], 0.7)
    found = decisions.with_novelty(plain, probs, ["cat", "dog"], np.array([5.0, 0.0, 1.0]), 1.0)
    assert found.answers.tolist() == [decisions.NOVEL, -1, 1]
    assert [said["none_of_these"] for said in found.photos] == [True, False, False]
    assert [said["unsure"] for said in found.photos] == [False, True, False]
    assert found.document["answered"] == 1 and found.document["unsure"] == 1
