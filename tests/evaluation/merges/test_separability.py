"""Two classes given only each other: AUC and its interval, and which lies within which."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from imgcli.evaluation.merges import separability as module
from imgcli.evaluation.merges.separability import (
    ExpectedAuc,
    auc_interval,
    log_odds,
    passed,
    separability,
)
from imgcli.evaluation.merges.suggest import suggest_merges
from tests.support.predictions import of_confusion, predictions, sure, with_twins


def of_scores(of_a: np.ndarray, of_b: np.ndarray):
    """Predictions of two classes, and of a third that nobody is, with these log-odds."""
    scores = np.concatenate([of_a, of_b])
    probs = np.stack([np.exp(scores), np.ones(len(scores)), np.full(len(scores), 0.5)], axis=1)
    targets = np.repeat([0, 1], [len(of_a), len(of_b)])
    return predictions(targets, probs / probs.sum(axis=1, keepdims=True))


def test_log_odds_are_of_the_two_classes_only() -> None:
    probs = np.array([[0.6, 0.2, 0.2], [0.1, 0.1, 0.8], [0.2, 0.4, 0.4], [0.0, 0.0, 1.0]])
    of_a, of_b = log_odds(predictions([0, 0, 1, 2], probs), 0, 1)
    assert of_a == pytest.approx(np.log([3, 1]))
    assert of_b == pytest.approx(np.log([0.5]))


def test_impossible_classes_give_finite_log_odds() -> None:
    of_a, of_b = log_odds(predictions([0, 1], np.eye(3)[[0, 2]]), 0, 1)
    assert np.isfinite(of_a).all() and of_b.tolist() == [0.0]


def test_near_duplicates_are_one_photo_with_their_mean() -> None:
    probs = np.array([[0.8, 0.2], [0.5, 0.5], [0.2, 0.8], [0.5, 0.5]])
    of_a, of_b = log_odds(predictions([0, 0, 0, 1], probs, groups=[5, 5, 2, 5]), 0, 1)
    assert sorted(of_a) == pytest.approx([np.log(1 / 4), np.log(4) / 2])
    assert of_b.tolist() == [0.0]


def test_passed_counts_the_other_class_on_the_wrong_side_and_ties_half() -> None:
    passed_a, passed_b = passed(np.array([3.0, 1.0]), np.array([0.0, 1.0, 2.0, -1.0]))
    assert passed_a.tolist() == [0.0, (0.5 + 1) / 4]
    assert passed_b.tolist() == [0.0, 0.5 / 2, 1 / 2, 0.0]


@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=30),
    st.lists(st.integers(-3, 3), min_size=1, max_size=30),
)
@settings(deadline=None)
def test_auc_agrees_with_scikit_learn_also_with_ties(a: list[int], b: list[int]) -> None:
    passed_a, passed_b = passed(np.array(a, float), np.array(b, float))
    expected = roc_auc_score([1] * len(a) + [0] * len(b), a + b)
    assert 1 - passed_a.mean() == pytest.approx(expected)
    assert 1 - passed_b.mean() == pytest.approx(expected)


@given(st.floats(0, 1), st.integers(1, 500), st.integers(1, 500))
@settings(deadline=None)
def test_interval_holds_its_auc_and_mirrors(auc: float, m: int, n: int) -> None:
    low, high = auc_interval(auc, m, n)
    assert 0 <= low <= auc <= high <= 1
    assert auc_interval(1 - auc, n, m) == pytest.approx((1 - high, 1 - low), abs=1e-6)


def test_interval_of_classes_always_told_apart_is_no_certainty() -> None:
    low, high = auc_interval(1.0, 20, 20)
    assert high == 1.0 and 0.85 < low < 0.95
    assert auc_interval(1.0, 200, 200)[0] > 0.98


@pytest.mark.parametrize("auc", [0.5, 0.75, 0.95])
def test_interval_holds_the_true_auc_about_as_often_as_it_says(auc: float) -> None:
    rng = np.random.default_rng(0)
    apart = norm.ppf(auc) * np.sqrt(2)
    held = 0
    for m, n in [(40, 40), (60, 25)] * 300:
        passed_a, _ = passed(rng.normal(apart, size=m), rng.normal(size=n))
        low, high = auc_interval(1 - passed_a.mean(), m, n)
        held += low <= auc <= high
    assert 0.92 <= held / 600 <= 0.98


def test_of_a_part_all_photos_lie_among_the_whole_but_not_the_other_way_round() -> None:
    rng = np.random.default_rng(0)
    part = rng.normal(size=60)
    whole = np.concatenate([rng.normal(size=30), rng.normal(8, size=30)])
    found = separability(of_scores(whole, part), 0, 1)
    among_whole, among_part = found.among[1], found.among[0]
    assert among_whole > 0.85 and among_part == pytest.approx(0.95 / 2, abs=0.07)
    assert (among_whole - among_part) > 3 * found.among_error


def test_separability_mirrors_and_depends_on_the_seed_in_its_error_alone() -> None:
    rng = np.random.default_rng(0)
    some = of_scores(rng.normal(1, size=50), rng.normal(size=40))
    one, other = separability(some, 0, 1), separability(some, 1, 0)
    assert other.auc == pytest.approx(one.auc) and other.among == one.among[::-1]
    again, reseeded = separability(some, 0, 1), separability(some, 0, 1, seed=1)
    assert again == one and reseeded.auc_ci95 == one.auc_ci95
    assert reseeded.among_error != one.among_error


# --- expected -------------------------------------------------------------------------------------


def test_a_loss_is_one_less_the_auc_and_never_nothing() -> None:
    expected = ExpectedAuc(of_confusion([[8, 2, 0], [4, 6, 0], [0, 0, 10]]))
    # Of 100 pairs 48 are told, 44 are ties: 1 - 0.7.
    assert expected.loss(0, 1) == expected.loss(1, 0) == pytest.approx(0.3)
    assert expected.loss(0, 2) == pytest.approx(0.5 / 10)


def test_losses_are_taken_to_be_products_of_what_classes_lose_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = ExpectedAuc(of_confusion(np.diag([10] * 6).tolist()))

    def loss(*pair: int) -> float:
        if set(pair) == {0, 1}:
            return 0.5  # of no account for itself
        return 0.02 * (4 if 0 in pair else 1) * (3 if 1 in pair else 1)

    monkeypatch.setattr(expected, "loss", loss)
    assert expected.expected_loss(0, 1) == pytest.approx(0.02 * 4 * 3)


def test_with_three_classes_the_third_is_the_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = ExpectedAuc(of_confusion(np.diag([10] * 3).tolist()))
    losses = {(0, 1): 0.5, (0, 2): 0.1, (1, 2): 0.2}
    monkeypatch.setattr(expected, "loss", lambda *pair: losses[tuple(sorted(pair))])
    assert expected.expected_loss(0, 1) == 0.2


def test_two_classes_have_nothing_to_be_measured_by() -> None:
    groups = np.r_[np.arange(5), np.arange(5)]
    both = predictions(np.repeat([0, 1], 5), sure([0] * 10, 3), groups=groups)
    assert ExpectedAuc(both).expected_loss(0, 1) == 0.5
    assert suggest_merges(both) == []


def test_a_third_class_of_the_same_kind_is_no_excuse() -> None:
    found = ExpectedAuc(with_twins(np.random.default_rng(0), 8, 3, 40))
    assert found.expected_loss(0, 1) < 0.05 < 0.3 < found.loss(0, 1)


def test_a_model_that_knows_little_of_any_class_brings_no_suggestion() -> None:
    """As after one epoch: a few names for all, which one depends little on the photo."""
    rng = np.random.default_rng(0)
    targets = np.repeat(np.arange(12), 40)
    leanings = rng.dirichlet([9.0, 6.0, 3.0], 12)  # of each class towards the three names
    said = (leanings[targets].cumsum(axis=1) > rng.random((480, 1))).argmax(axis=1)
    assert suggest_merges(predictions(targets, sure(said, 12))) == []


def test_hard_classes_and_popular_names_rarely_make_a_pair() -> None:
    """Errors that fall by how hard the one class is and how readily the other is named."""
    rng = np.random.default_rng(0)
    alarms = 0
    for k, wrong in list(product([4, 5, 8], [0.05, 0.1, 0.2, 0.4])) * 10:
        targets = np.repeat(np.arange(k), rng.integers(30, 101, k))
        hard, named = np.exp(rng.normal(size=(2, k)))
        shares = np.where(np.eye(k) > 0, 0.0, named)
        shares *= (np.minimum(wrong * hard, 0.9) / shares.sum(axis=1))[:, None]
        shares += np.diag(1 - shares.sum(axis=1))
        preds = (shares[targets].cumsum(axis=1) > rng.random((len(targets), 1))).argmax(axis=1)
        alarms += bool(suggest_merges(predictions(targets, sure(preds, k))))
    assert alarms <= 6  # of 120 data sets


def test_resamples_are_compared_a_chunk_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    targets = np.repeat([0, 1], 100)
    some = predictions(targets, rng.dirichlet(np.ones(2), 200))
    whole = separability(some, 0, 1)
    sizes = []
    compare = passed

    def counted(of_a: np.ndarray, of_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sizes.append(of_a.size + of_b.size)
        return compare(of_a, of_b)

    monkeypatch.setattr(module, "passed", counted)
    monkeypatch.setattr(module, "CHUNK", 2_000)
    chunked = separability(some, 0, 1)
    assert sum(sizes) == 200 * (1 + module.RESAMPLES) and max(sizes) == 2_000
    assert chunked.among == whole.among
    assert chunked.among_error == pytest.approx(whole.among_error, rel=0.3)
