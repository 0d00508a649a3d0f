"""What independent errors would do: counts by hand, and false alarms by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcli.evaluation.merges.null_model import holm, independent_confusion, null_model
from tests.support.predictions import of_confusion, predictions, sure


def test_errors_fall_on_classes_by_their_sizes() -> None:
    # Nobody is ever called b or c; of a's errors, b (20 photos) gets twice what c (10) gets.
    found = null_model(of_confusion([[24, 3, 3], [0, 20, 0], [0, 0, 10]]))
    np.testing.assert_allclose(found.expected[0], [0, 6 * 20 / 30, 6 * 10 / 30])
    np.testing.assert_array_equal(found.expected[1:], 0)


def test_a_class_named_too_readily_is_no_twin_of_everything() -> None:
    hub = np.diag([30] * 6)
    hub[1:, 0] = 6  # every class is called the first one now and then
    found = null_model(of_confusion((hub).tolist()))
    assert found.p_values.min() > 0.2
    hub[1, 0], hub[2:, 0] = 6, 0  # now only the second is
    assert null_model(of_confusion(hub.tolist())).p_values[0, 1] < 0.05


def test_a_class_named_too_readily_is_known_by_what_most_classes_do() -> None:
    hub = np.full((6, 6), 2) + np.diag([30] * 6)
    hub[1:, 0] = 10
    assert null_model(of_confusion(hub.tolist())).p_values.min() > 0.2


def test_three_classes_that_are_one_do_not_excuse_each_other() -> None:
    matrix = np.diag([60] * 6)
    matrix[:3, :3] = 20
    p = null_model(of_confusion(matrix.tolist())).p_values
    assert max(p[0, 1], p[0, 2], p[1, 2]) < 0.01


def test_confusion_with_one_class_stands_out_from_errors_all_over() -> None:
    matrix = np.full((6, 6), 1) + np.diag([30] * 6)
    matrix[2, 4] = matrix[4, 2] = 8
    p = null_model(of_confusion(matrix.tolist())).p_values
    assert p[2, 4] == p[4, 2] < 1e-4
    assert np.sum(p < 0.05) == 2


def test_between_two_classes_every_error_is_chance() -> None:
    assert null_model(of_confusion([[10, 20], [20, 10]])).p_values.tolist() == [[1, 1], [1, 1]]


def test_classes_without_photos_or_errors_are_nobodys_twin() -> None:
    found = null_model(of_confusion([[10, 0, 0], [0, 10, 0], [0, 0, 0]]))
    assert found.p_values.min() == 1.0 and found.expected.max() == 0.0


def test_near_duplicates_that_err_together_count_once() -> None:
    some = predictions([0] * 5 + [1], sure([1, 1, 1, 1, 0, 1], 3), groups=[4, 4, 4, 9, 9, 4])
    assert independent_confusion(some).tolist() == [[1, 2, 0], [0, 1, 0], [0, 0, 0]]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
@settings(deadline=None)
def test_holm_is_ordered_and_between_the_raw_p_value_and_bonferroni(raw: list[float]) -> None:
    p = np.array(raw)
    corrected = holm(p)
    assert np.all(corrected >= p) and np.all(corrected <= np.minimum(p * len(p), 1.0))
    assert np.all(np.diff(corrected[np.argsort(p, kind="stable")]) >= 0)


def test_holm_of_a_case_by_hand() -> None:
    assert holm(np.array([0.04, 0.01, 0.03])) == pytest.approx([0.06, 0.03, 0.06])


@pytest.mark.parametrize("unequal", [0.0, 0.5])
def test_errors_without_structure_are_rarely_called_structure(unequal: float) -> None:
    """Also where some classes are harder, or named more readily, than others."""
    rng = np.random.default_rng(0)
    alarms = 0
    for k, wrong in [(10, 0.2), (10, 0.05), (30, 0.2), (30, 0.05)] * 25:
        targets = np.repeat(np.arange(k), rng.integers(30, 101, k))
        hard, named = np.exp(unequal * rng.normal(size=(2, k)))
        shares = np.where(np.eye(k) > 0, 0.0, named)
        shares *= (np.minimum(wrong * hard, 0.9) / shares.sum(axis=1))[:, None]
        shares += np.diag(1 - shares.sum(axis=1))
        preds = (shares[targets].cumsum(axis=1) > rng.random((len(targets), 1))).argmax(axis=1)
        alarms += bool(null_model(predictions(targets, sure(preds, k))).p_values.min() <= 0.05)
    assert alarms <= 5  # of 100 data sets
