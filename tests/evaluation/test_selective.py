"""The confidence from which on answers are given: counted by hand, and kept in simulation."""

import numpy as np
import pytest

from imgcli.errors import DataError
from imgcli.evaluation.metrics import independent
from imgcli.evaluation.selective import selective_prediction
from imgcli.records import Predictions
from tests.support.predictions import predictions


def said(confidence: np.ndarray, right: np.ndarray, copies: int = 1, k: int = 4) -> Predictions:
    """Photos answered with this confidence, rightly or wrongly; each there `copies` times."""
    m = len(confidence)
    probs = np.repeat(((1 - confidence) / (k - 1))[:, None], k, axis=1)
    probs[:, 0] = confidence
    row = np.repeat(np.arange(m), copies)
    return predictions(np.where(right, 0, 1)[row], probs[row], groups=row)


def test_all_are_answered_where_all_are_right() -> None:
    found = selective_prediction(said(np.linspace(0.5, 0.99, 400), np.ones(400, bool)), 0.95)
    assert (found.answered, found.share, found.precision, found.threshold) == (400, 1.0, 1.0, 0.5)


def test_the_unsure_part_is_left_out() -> None:
    confidence = np.r_[np.linspace(0.8, 0.99, 600), np.linspace(0.4, 0.6, 400)]
    right = np.r_[np.ones(600, bool), np.arange(400) % 2 == 0]
    found = selective_prediction(said(confidence, right), 0.95)
    assert 600 <= found.answered < 660
    assert found.precision >= 0.95 and found.precision_ci95[0] <= found.precision
    assert found.answered == (confidence >= found.threshold).sum() == round(found.share * found.n)


def test_photos_of_one_confidence_are_answered_together_or_not_at_all() -> None:
    confidence = np.r_[np.full(300, 0.9), np.full(300, 0.5)]
    found = selective_prediction(
        said(confidence, np.r_[np.ones(300, bool), np.zeros(300, bool)]), 0.9
    )
    assert (found.answered, found.threshold) == (300, 0.9)


def test_a_higher_promise_never_answers_more() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.beta(8, 1, 3000) * 0.7 + 0.3
    some = said(confidence, rng.random(3000) < confidence)
    answered = [selective_prediction(some, p).answered for p in (0.8, 0.9, 0.95)]
    assert answered == sorted(answered, reverse=True)


def test_classes_whose_own_answers_are_worse_are_named() -> None:
    probs = np.full((1000, 3), 0.02)
    says = np.r_[np.zeros(900, int), np.full(60, 1), np.full(40, 2)]
    probs[np.arange(1000), says] = 0.96
    targets = says.copy()
    targets[900:920] = 0  # a third of what is called class 1 is class 0
    found = selective_prediction(predictions(targets, probs), 0.95)
    assert found.answered == 1000 and list(found.weak.values()) == [pytest.approx(40 / 60)]
    assert list(found.weak) == [predictions(targets, probs).classes[1]]


def test_copies_count_once() -> None:
    assert independent(np.repeat(np.arange(10), 3)) == pytest.approx(10)
    confidence = np.linspace(0.5, 0.99, 50)
    with pytest.raises(DataError, match="cannot be guaranteed by 150 out-of-fold photos"):
        selective_prediction(said(confidence, np.ones(50, bool), copies=3), 0.95)
    assert (
        selective_prediction(said(np.linspace(0.5, 0.99, 150), np.ones(150, bool)), 0.95).answered
        == 150
    )


def test_what_cannot_be_promised_says_why() -> None:
    confidence = np.linspace(0.5, 0.99, 1000)
    with pytest.raises(
        DataError, match=r"\d+ of the \d+ most confident out-of-fold predictions are wrong"
    ):
        selective_prediction(said(confidence, np.arange(1000) % 4 > 0), 0.95)
    with pytest.raises(
        DataError, match=r"0\.9999 cannot be guaranteed by 1,000 out-of-fold photos"
    ):
        selective_prediction(said(confidence, np.ones(1000, bool)), 0.9999)


def test_the_precision_found_on_new_photos_is_what_was_promised() -> None:
    rng, broken, n = np.random.default_rng(0), 0, 200

    def draw(m: int) -> tuple[np.ndarray, np.ndarray]:
        confidence = rng.beta(8, 1, m) * 0.75 + 0.25
        return confidence, 1 - 0.8 * (1 - confidence) - 0.005  # how often it is right

    many, chances = draw(100_000)
    shares = []
    for _ in range(n):
        confidence, chance = draw(1000)
        try:
            found = selective_prediction(said(confidence, rng.random(1000) < chance), 0.9)
        except DataError:
            continue  # nothing promised, nothing broken
        shares.append(found.share)
        broken += chances[many >= found.threshold].mean() < 0.9
    # At most 5 %; 200 repeats know that to about 1.5 %.
    assert broken / n <= 0.08
    assert len(shares) > 0.95 * n and np.mean(shares) > 0.8  # and it is not kept by saying nothing
