"""Figures beside accuracy, macro precision and macro F1; scikit-learn as oracle."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from imgcli.evaluation import metrics
from imgcli.evaluation.evaluate import evaluate, per_repeat, scores, scores_json
from imgcli.records import Predictions
from tests.support.predictions import of_confusion, predictions, sure


def drawn(seed: int, m: int = 40, k: int = 7) -> Predictions:
    rng = np.random.default_rng(seed)
    return predictions(rng.integers(k, size=m), rng.dirichlet(np.ones(k), m), fold=np.arange(m) % 4)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_figures_of_probabilities_agree_with_scikit_learn(seed: int) -> None:
    some = drawn(seed)
    found, labels = scores(some), np.arange(7)
    assert all(summary is not None for summary in found.values())
    values = {name: summary.value for name, summary in found.items() if summary}
    top5 = sklearn_metrics.top_k_accuracy_score(some.targets, some.probs, k=5, labels=labels)
    assert values["top5"] == pytest.approx(top5)
    loss = sklearn_metrics.log_loss(some.targets, some.probs, labels=labels)
    assert values["log_loss"] == pytest.approx(loss)
    balanced = sklearn_metrics.recall_score(
        some.targets, some.preds, labels=np.unique(some.targets), average="macro"
    )
    assert values["macro_recall"] == values["balanced_accuracy"] == pytest.approx(balanced)
    squares = ((some.probs - np.eye(7)[some.targets]) ** 2).sum(axis=1)
    assert values["brier"] == pytest.approx(squares.mean())


def test_brier_and_log_loss_of_a_case_counted_by_hand() -> None:
    some = predictions([0, 1], np.array([[0.8, 0.2], [0.6, 0.4]]))
    np.testing.assert_allclose(metrics.brier_scores(some.probs, some.targets), [0.08, 0.72])
    np.testing.assert_allclose(metrics.log_losses(some.probs, some.targets), -np.log([0.8, 0.4]))


def test_among_the_first_counts_ties_as_the_answer_does() -> None:
    probs = np.full((6, 6), 1 / 6)
    assert metrics.among_first(probs, np.arange(6), 1).tolist() == [1, 0, 0, 0, 0, 0]
    assert metrics.among_first(probs, np.arange(6), 5).tolist() == [1, 1, 1, 1, 1, 0]


def test_with_classes_of_one_size_balanced_accuracy_and_accuracy_have_one_interval() -> None:
    even = of_confusion([[38, 2], [1, 39]], fold=np.arange(80) % 4)
    assert evaluate(even).accuracy.ci95 == getattr(scores(even)["balanced_accuracy"], "ci95", None)
    uneven = of_confusion([[38, 2], [1, 9]])
    assert evaluate(uneven).accuracy.value != getattr(scores(uneven)["macro_recall"], "value", None)


def test_five_classes_have_no_top_five() -> None:
    assert scores(predictions([0, 1], sure([0, 1], 5)))["top5"] is None
    assert scores_json(scores(predictions([0, 1], sure([0, 1], 5))))["top5"] is None


def test_the_interval_of_a_mean_over_photos_holds_the_truth() -> None:
    rng, held = np.random.default_rng(0), {"brier": 0, "top5": 0}
    weights = np.array([6.0, 3, 2, 1, 1, 0.5, 0.5])
    # A network that draws its belief near a class at random: what it scores is known by numbers.
    many = np.random.default_rng(1)

    def draw(rng: np.random.Generator, m: int) -> Predictions:
        probs = rng.dirichlet(weights, m)
        targets = (probs.cumsum(axis=1) > rng.random((m, 1))).argmax(axis=1)
        copied = np.repeat(np.arange(m), 3)
        return predictions(targets[copied], probs[copied], groups=copied)

    truth = {name: s.value for name, s in scores(draw(many, 40_000)).items() if s}
    for _ in range(150):
        found = scores(draw(rng, 60))
        for name in held:
            summary = found[name]
            assert summary is not None and summary.ci95 is not None
            held[name] += summary.ci95[0] <= truth[name] <= summary.ci95[1]
    assert all(0.90 <= count / 150 <= 0.99 for count in held.values()), held


def test_repeats_are_pooled_and_narrow_no_interval_for_want_of_new_photos() -> None:
    once = of_confusion([[15, 5], [3, 17]], fold=np.arange(40) % 4)
    alone, pooled = scores(once), scores(once, repeats=[once, once])
    for name in ("macro_recall", "log_loss", "brier"):
        one, three = alone[name], pooled[name]
        assert one is not None and three is not None and one.folds and three.folds
        assert three.value == pytest.approx(one.value)
        assert three.ci95 == pytest.approx(one.ci95)
        assert len(three.folds) == 3 * len(one.folds)
    assert per_repeat([once, once])["accuracy"] == [0.8, 0.8]


def test_a_fold_without_photos_has_no_figures() -> None:
    some = replace(drawn(0), fold=np.repeat([0, 2], 20))
    log_loss = scores(some)["log_loss"]
    assert log_loss is not None and log_loss.folds is not None and len(log_loss.folds) == 2
