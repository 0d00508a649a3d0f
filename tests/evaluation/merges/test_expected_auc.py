"""How well two classes would usually be told apart."""

from itertools import product

import numpy as np
import pytest

from imgcli.evaluation.merges.expected_auc import Contrast
from imgcli.evaluation.merges.suggest import suggest_merges
from tests.evaluation.planted import of_confusion, predictions, sure, with_twins


def test_a_loss_is_one_less_the_auc_and_never_nothing() -> None:
    contrast = Contrast(of_confusion([[8, 2, 0], [4, 6, 0], [0, 0, 10]]))
    # Of 100 pairs 48 are told, 44 are ties: 1 - 0.7.
    assert contrast.loss(0, 1) == contrast.loss(1, 0) == pytest.approx(0.3)
    assert contrast.loss(0, 2) == pytest.approx(0.5 / 10)


def test_losses_are_taken_to_be_products_of_what_classes_lose_elsewhere() -> None:
    contrast = Contrast(of_confusion(np.diag([10] * 6).tolist()))
    contrast._losses = {
        (a, b): 0.02 * (4 if a == 0 else 1) * (3 if b == 1 or a == 1 else 1)
        for a in range(6)
        for b in range(a + 1, 6)
    }
    contrast._losses[0, 1] = 0.5  # of no account for itself
    assert contrast.usual(0, 1) == pytest.approx(0.02 * 4 * 3)


def test_with_three_classes_the_third_is_the_measure() -> None:
    contrast = Contrast(of_confusion(np.diag([10] * 3).tolist()))
    contrast._losses = {(0, 1): 0.5, (0, 2): 0.1, (1, 2): 0.2}
    assert contrast.usual(0, 1) == 0.2


def test_two_classes_have_nothing_to_be_measured_by() -> None:
    groups = np.r_[np.arange(5), np.arange(5)]
    both = predictions(np.repeat([0, 1], 5), sure([0] * 10, 3), groups=groups)
    assert Contrast(both).usual(0, 1) == 0.5
    assert suggest_merges(both) == []


def test_a_third_class_of_the_same_kind_is_no_excuse() -> None:
    found = Contrast(with_twins(np.random.default_rng(0), 8, 3, 40))
    assert found.usual(0, 1) < 0.05 < 0.3 < found.loss(0, 1)


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
