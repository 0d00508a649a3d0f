"""Figures of confusion matrices: hand counts, scikit-learn and scipy as oracles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics as sklearn_metrics

from imgcli.evaluation import metrics
from tests.support.predictions import of_confusion, predictions, sure

# Four a (3 right), two b (1 right), no photo of c, one d never predicted.
MATRIX = np.array([[3, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]])

answers = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)


def test_confusion_matrix_counts_rows_as_true_and_keeps_classes_that_do_not_occur() -> None:
    matrix = metrics.confusion_matrix(np.array([0, 0, 2]), np.array([0, 1, 1]), 4)
    assert matrix.tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]


def test_figures_of_a_matrix_counted_by_hand() -> None:
    assert metrics.accuracy(MATRIX) == 4 / 7
    np.testing.assert_array_equal(metrics.precision(MATRIX), [3 / 4, 1 / 2, 0, np.nan])
    np.testing.assert_array_equal(metrics.recall(MATRIX), [3 / 4, 1 / 2, np.nan, 0])
    np.testing.assert_array_equal(metrics.f1(MATRIX), [6 / 8, 2 / 4, 0, 0])


def test_macro_precision_counts_a_never_predicted_class_as_zero_and_leaves_out_one_without_photos():
    assert metrics.macro_precision(MATRIX) == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)
    assert metrics.macro_f1(MATRIX) == pytest.approx((6 / 8 + 2 / 4 + 0) / 3)


def test_giving_up_on_a_class_never_raises_macro_precision() -> None:
    tries = [[8, 2], [8, 2]]  # b is named rarely, and rightly half of the time
    gives_up = [[10, 0], [10, 0]]
    assert metrics.macro_precision(gives_up) < metrics.macro_precision(tries)


def test_a_stack_gives_the_figures_of_each_matrix() -> None:
    stack = np.stack([MATRIX, MATRIX.T, np.eye(4, dtype=int)]).reshape(3, 1, 4, 4)
    for figure in (metrics.accuracy, metrics.precision, metrics.recall, metrics.macro_precision):
        found = figure(stack)
        for i in range(3):
            np.testing.assert_array_equal(found[i, 0], figure(stack[i, 0]))


@given(answers)
@settings(deadline=None)
def test_figures_agree_with_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    targets, preds = np.array(pairs).T
    matrix = metrics.confusion_matrix(targets, preds, 5)
    labels = list(range(5))
    assert matrix.tolist() == (
        sklearn_metrics.confusion_matrix(targets, preds, labels=labels).tolist()
    )
    precision, recall, f1, _ = sklearn_metrics.precision_recall_fscore_support(
        targets, preds, labels=labels, zero_division=0
    )
    np.testing.assert_allclose(np.nan_to_num(metrics.precision(matrix)), precision)
    np.testing.assert_allclose(np.nan_to_num(metrics.recall(matrix)), recall)
    np.testing.assert_allclose(np.nan_to_num(metrics.f1(matrix)), f1)
    assert metrics.accuracy(matrix) == sklearn_metrics.accuracy_score(targets, preds)
    occurring = np.unique(targets)
    for macro, theirs in (
        (metrics.macro_precision, sklearn_metrics.precision_score),
        (metrics.macro_f1, sklearn_metrics.f1_score),
    ):
        expected = theirs(targets, preds, labels=occurring, average="macro", zero_division=0)
        assert macro(matrix) == pytest.approx(expected)


def test_fold_confusions_add_up_to_the_whole() -> None:
    whole = of_confusion([[5, 1], [2, 4]], fold=np.arange(12) % 3)
    folds = metrics.fold_confusions(whole)
    assert folds.shape == (3, 2, 2)
    assert folds.sum(axis=0).tolist() == [[5, 1], [2, 4]]
    assert folds.sum(axis=(1, 2)).tolist() == [4, 4, 4]


def test_without_folds_there_is_one_confusion_matrix() -> None:
    assert metrics.fold_confusions(of_confusion([[5, 1], [2, 4]])).tolist() == [[[5, 1], [2, 4]]]


@given(st.integers(1, 3000), st.data())
@settings(deadline=None)
def test_wilson_agrees_with_scipy(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    expected = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    low, high = metrics.wilson(hits / n, n)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_wilson_ends_at_the_very_edges() -> None:
    assert metrics.wilson(1.0, 20)[1] == 1.0
    assert metrics.wilson(0.0, 20)[0] == 0.0
    assert metrics.wilson(1.0, 20)[0] == pytest.approx(0.8389, abs=1e-4)


def test_ece_of_a_case_counted_by_hand() -> None:
    # Two photos said with 0.9, one of them right; two said with 0.6, both right.
    probs = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    found = metrics.expected_calibration_error(probs, np.array([0, 1, 0, 1]))
    assert found == pytest.approx((2 * abs(0.9 - 0.5) + 2 * abs(0.6 - 1.0)) / 4)


def test_ece_keeps_bins_apart() -> None:
    # 0.90 and 0.95 lie in the last two of 15 bins: too little and too much do not cancel out.
    probs = np.array([[0.90, 0.10], [0.95, 0.05]])
    found = metrics.expected_calibration_error(probs, np.array([0, 1]))
    assert found == pytest.approx((abs(0.90 - 1) + abs(0.95 - 0)) / 2)


def test_ece_puts_confidence_of_one_into_the_last_bin() -> None:
    assert metrics.expected_calibration_error(np.eye(3), np.array([0, 1, 2])) == 0.0
    assert metrics.expected_calibration_error(np.eye(3), np.array([1, 2, 0])) == 1.0


def test_ece_is_small_for_calibrated_probabilities() -> None:
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(4), size=20_000)
    targets = (probs.cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    assert metrics.expected_calibration_error(probs, targets) < 0.015


@given(answers)
@settings(deadline=None)
def test_log_loss_agrees_with_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    targets, preds = np.array(pairs).T
    probs = sure(preds, 5, confidence=0.7)
    expected = sklearn_metrics.log_loss(targets, probs, labels=range(5))
    assert metrics.log_loss(probs, targets) == pytest.approx(expected)


def test_log_loss_of_a_class_held_impossible_is_finite() -> None:
    assert 30 < metrics.log_loss(np.eye(2), np.array([1, 0])) < 40


def test_unseen_classes_keep_their_place() -> None:
    some = predictions([0, 2], sure([0, 2], 4))
    assert metrics.fold_confusions(some)[0].tolist() == np.diag([1, 0, 1, 0]).tolist()
