"""How many labels are wrong, and which, on planted ones, by strong predictions and by weak."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from imgcli.evaluation.label_errors import review_labels
from imgcli.evaluation.wrong_labels import WrongLabels, probability_wrong, wrong_labels
from imgcli.records import FloatArray, IntArray
from tests.support.predictions import predictions

K, M = 10, 3000


def planted(seed: int, clearness: float, share: float) -> tuple[FloatArray, IntArray, IntArray]:
    """Log probabilities of true classes, labels of which a share is wrong, and which those are."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, K, M)
    margin = clearness * rng.exponential(size=M)  # some photos are clear, some are not
    logits = rng.normal(size=(M, K))
    logits[np.arange(M), truth] += margin
    wrong = rng.random(M) < share
    labels = np.where(wrong, (truth + rng.integers(1, K, M)) % K, truth)
    return np.asarray(log_softmax(logits, axis=1)), labels, np.flatnonzero(wrong)


@pytest.mark.parametrize("clearness", [3.0, 8.0])  # accuracies of about 65 and 85 %
@pytest.mark.parametrize("share", [0.0, 0.02, 0.05, 0.1])
def test_the_estimate_is_near_what_was_planted(clearness: float, share: float) -> None:
    held, expected = 0, []
    for seed in range(6):
        log_p, labels, wrong = planted(seed, clearness, share)
        found = wrong_labels(log_p, labels)
        held += found.ci95[0] - 0.01 * M <= len(wrong) <= found.ci95[1] + 0.01 * M
        expected.append(found.expected / M)
    assert held >= 5
    assert np.mean(expected) == pytest.approx(share, abs=0.012)


def test_the_list_is_no_longer_than_that_and_its_scores_are_probabilities() -> None:
    for clearness, precision in ((8.0, 0.6), (3.0, 0.25)):
        log_p, labels, wrong = planted(0, clearness, 0.05)
        review = review_labels(predictions(labels, np.exp(log_p)))
        listed = np.array([issue.index for issue in review.issues])
        assert 0 < len(listed) <= round(review.wrong.expected)
        right = np.isin(listed, wrong).mean()
        assert right >= precision
        assert review.expected == pytest.approx(len(listed) * right, abs=0.25 * len(listed))


def test_of_right_labels_next_to_none_is_listed_however_weak_the_predictions_are() -> None:
    for seed in range(4):
        for clearness in (2.0, 4.0, 8.0):
            log_p, labels, _ = planted(seed, clearness, 0.0)
            assert len(review_labels(predictions(labels, np.exp(log_p))).issues) <= 0.01 * M


def test_it_says_so_in_a_sentence() -> None:
    assert WrongLabels(1000, 500, 25).sentence() == (
        "About 50 of 1,000 labels are expected to be wrong (95 % interval 34 to 73): of the 500 "
        "photos predicted with most confidence, 25 (5.0 %) are labelled otherwise."
    )
    assert WrongLabels(1000, 500, 0).sentence().startswith("No label is expected to be wrong (95")


values = st.lists(st.floats(-20, 20), min_size=1, max_size=60)


@given(values, values, st.floats(0, 60))
def test_probabilities_fall_with_the_odds_and_add_up_to_no_more_than_expected(
    odds: list[float], others: list[float], expected: float
) -> None:
    found = probability_wrong(np.array(odds), np.array(others), expected)
    assert (found >= 0).all() and (found <= 1).all() and found.sum() <= expected + 1e-9
    assert (np.diff(found[np.argsort(-np.array(odds), kind="stable")]) <= 1e-12).all()
