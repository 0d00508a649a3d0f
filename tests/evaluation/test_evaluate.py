"""Evaluation: figures, folds, intervals, the JSON document, the gap sentence."""

import json
from dataclasses import replace

import numpy as np
import pytest

from imgcli.errors import DataError
from imgcli.evaluation import metrics
from imgcli.evaluation.evaluate import (
    class_figures,
    evaluate,
    evaluation_json,
    gap_sentence,
)
from imgcli.evaluation.intervals import retraining
from imgcli.records import IntArray, Predictions
from tests.support.predictions import of_confusion, predictions, sure

S = {"value", "ci95", "folds", "mean", "std", "median", "iqr", "min", "max", "effective_n"}


def folded() -> Predictions:
    """Four folds of two photos of a and b each, with 2, 1, 2 and 0 right."""
    return predictions(
        [0, 1, 0, 1, 0, 1, 0, 1], sure([0, 1, 0, 0, 0, 1, 1, 0], 2), fold=[0, 0, 1, 1, 2, 2, 3, 3]
    )


def test_folds_are_summed_up() -> None:
    found = evaluate(folded())
    accuracy = found.accuracy
    assert (found.n, found.folds, found.on) == (8, 4, "train")
    assert found.confusion.tolist() == [[3, 1], [2, 2]]
    assert accuracy.folds == (1.0, 0.5, 1.0, 0.0)
    assert accuracy.value == accuracy.mean == 5 / 8
    assert accuracy.std == pytest.approx(np.std([1, 0.5, 1, 0], ddof=1))
    assert (accuracy.median, accuracy.min, accuracy.max) == (0.75, 0.0, 1.0)
    assert accuracy.iqr == pytest.approx(1.0 - 0.375)
    assert found.macro_precision.folds == (1.0, 0.25, 1.0, 0.0)


def test_pooled_macro_precision_is_that_of_one_matrix_not_the_mean_of_the_folds() -> None:
    found = evaluate(folded())
    assert found.macro_precision.value == pytest.approx((3 / 5 + 2 / 3) / 2)
    assert found.macro_precision.value != found.macro_precision.mean


def test_a_fold_without_photos_has_no_figures() -> None:
    found = evaluate(of_confusion([[5, 1], [2, 4]], fold=np.repeat([0, 2], 6)))
    assert found.folds == 3 and found.accuracy.folds == (5 / 6, 4 / 6)


def test_without_folds_there_is_no_spread_over_folds() -> None:
    found = evaluate(of_confusion([[5, 1], [2, 4]]))
    assert found.folds is None and found.accuracy.folds is None and found.accuracy.std is None
    assert found.accuracy.ci95 is not None


def test_classes_have_their_figures_with_n_and_intervals() -> None:
    found = evaluate(of_confusion([[3, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]]))
    a, _, without_photos, never_predicted = found.per_class
    assert (a.name, a.n, a.predicted, a.precision, a.recall, a.f1) == (
        "c00",
        4,
        4,
        0.75,
        0.75,
        0.75,
    )
    low, high = metrics.wilson(0.75, 4)
    assert a.precision_ci95 == a.recall_ci95 == (low, high)
    assert (without_photos.n, without_photos.recall, without_photos.recall_ci95) == (0, None, None)
    assert (never_predicted.precision, never_predicted.precision_ci95) == (None, None)
    assert never_predicted.f1 == 0.0


def test_copies_of_photos_all_right_add_no_certainty_either() -> None:
    once = of_confusion(np.diag([20, 20]).tolist())
    copies = predictions(
        np.tile(once.targets, 3), np.tile(once.probs, (3, 1)), groups=np.tile(once.groups, 3)
    )
    assert evaluate(copies).accuracy.ci95 == evaluate(once).accuracy.ci95


def test_the_train_side_has_the_spread_of_its_folds_and_no_interval() -> None:
    sides = np.array([[[4, 0], [0, 4]], [[3, 1], [0, 4]]])
    train = evaluate(folded(), sides).train
    assert train is not None and set(train) == set(metrics.FIGURES)
    assert train["accuracy"].ci95 is None
    assert train["accuracy"].folds == (1.0, 7 / 8)
    assert train["accuracy"].value == 15 / 16


def test_one_train_side_has_no_folds() -> None:
    train = evaluate(of_confusion([[5, 1], [2, 4]]), np.array([[[9, 0], [1, 8]]])).train
    assert train is not None
    assert train["accuracy"].value == 17 / 18 and train["accuracy"].folds is None


def test_repeats_are_pooled_and_photos_counted_once() -> None:
    first = folded()
    again = predictions(
        first.targets, sure([0, 1, 0, 1, 0, 1, 0, 1], 2), fold=[3, 3, 2, 2, 1, 1, 0, 0]
    )
    found = evaluate(first, repeats=[again])
    assert found.accuracy.value == pytest.approx((5 / 8 + 1) / 2)
    assert found.accuracy.folds == (1.0, 0.5, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0)
    assert (found.n, found.folds, found.confusion.sum()) == (8, 4, 8)
    a = found.per_class[0]
    assert (a.n, a.recall) == (4, 7 / 8)
    assert a.recall_ci95 == tuple(map(float, metrics.wilson(7 / 8, 4 / retraining(4))))


def test_the_same_answers_again_add_no_certainty() -> None:
    some = of_confusion([[40, 10], [5, 45]], fold=np.arange(100) % 5)
    once, thrice = evaluate(some), evaluate(some, repeats=[some, some])
    assert thrice.accuracy.ci95 == pytest.approx(once.accuracy.ci95)
    assert thrice.macro_precision.ci95 == pytest.approx(once.macro_precision.ci95)
    assert thrice.ece == pytest.approx(once.ece)


def test_no_predictions_are_refused() -> None:
    with pytest.raises(DataError, match="'train' has no predictions to evaluate"):
        evaluate(predictions([], np.zeros((0, 3))))


def test_one_photo_is_judged_with_the_doubt_it_deserves() -> None:
    low, high = evaluate(predictions([1], sure([1], 3))).accuracy.ci95 or (0.0, 0.0)
    assert low < 0.25 and high == 1.0


def test_all_right_is_no_certainty() -> None:
    found = evaluate(of_confusion(np.diag([20, 20]).tolist()))
    for summary in (found.accuracy, found.macro_precision, found.macro_f1):
        assert summary.value == 1.0
        assert summary.ci95 == pytest.approx(tuple(map(float, metrics.wilson(1.0, 40))))


def test_small_classes_widen_the_interval_of_a_perfect_macro_figure() -> None:
    even = evaluate(of_confusion(np.diag([50, 50]).tolist())).macro_precision.ci95
    uneven = evaluate(of_confusion(np.diag([98, 2]).tolist())).macro_precision.ci95
    assert even is not None and uneven is not None and uneven[0] < even[0] - 0.1


def test_the_same_seed_gives_the_same_interval_and_another_seed_nearly_the_same() -> None:
    some = of_confusion([[40, 10], [5, 45]])
    first, again, other = (evaluate(some, seed=seed).accuracy.ci95 for seed in (0, 0, 1))
    assert first == again and first is not None
    assert other == pytest.approx(first, abs=0.01)


def test_accuracy_interval_of_ungrouped_photos_is_wilsons() -> None:
    found = evaluate(of_confusion([[150, 50], [30, 170]])).accuracy
    assert found.ci95 == pytest.approx(tuple(map(float, metrics.wilson(0.8, 400))), abs=0.004)


def test_copies_of_a_photo_add_no_certainty() -> None:
    once = of_confusion([[15, 5], [3, 17]])
    copies = predictions(
        np.tile(once.targets, 5), np.tile(once.probs, (5, 1)), groups=np.tile(once.groups, 5)
    )
    assert evaluate(copies).accuracy.ci95 == pytest.approx(evaluate(once).accuracy.ci95, abs=0.02)


def copied(once: Predictions, times: IntArray | int) -> Predictions:
    """The same photos, each so many times in its near-duplicate group."""
    rows = np.repeat(np.arange(len(once)), times)
    return predictions(once.targets[rows], once.probs[rows], groups=once.groups[rows])


def test_copies_of_photos_narrow_no_interval_of_a_class() -> None:
    once = of_confusion([[150, 50, 0], [30, 160, 10], [0, 2, 8]])
    alone, copies = class_figures([once]), class_figures([copied(once, 10)])
    for one, same in zip(alone, copies, strict=True):
        assert same.n == 10 * one.n and same.predicted == 10 * one.predicted
        assert (same.recall, same.precision) == (one.recall, one.precision)
        assert same.recall_ci95 == pytest.approx(one.recall_ci95)
        assert same.precision_ci95 == pytest.approx(one.precision_ci95)


def test_one_group_tells_hardly_more_of_a_class_than_one_photo() -> None:
    burst = copied(of_confusion([[5, 0], [0, 5]]), np.array([96, 1, 1, 1, 1, 1, 1, 1, 1, 1]))
    large, small = class_figures([burst])
    assert large.recall_ci95 == pytest.approx(
        tuple(map(float, metrics.wilson(1.0, 1.085))), abs=1e-3
    )
    assert small.recall_ci95 == tuple(map(float, metrics.wilson(1.0, 5)))


def test_precision_counts_the_groups_among_what_was_predicted() -> None:
    # Ten copies of one photo of b and two other photos are predicted as a.
    some = predictions([1] * 10 + [0, 0], sure([0] * 12, 2), groups=[0] * 10 + [1, 2])
    a, b = class_figures([some])
    assert a.predicted == 12
    assert a.precision_ci95 == tuple(map(float, metrics.wilson(2 / 12, 12**2 / 102)))
    assert (b.predicted, b.precision_ci95) == (0, None)
    assert b.recall_ci95 == tuple(map(float, metrics.wilson(0.0, 1)))


@pytest.mark.parametrize("recall", [0.6, 0.9])
def test_the_interval_of_a_class_holds_its_recall_whatever_the_sizes_of_groups(
    recall: float,
) -> None:
    rng = np.random.default_rng(0)
    held, trials, by_photos = 0, 800, 0
    for _ in range(trials):
        sizes = rng.geometric(0.25, 60)  # 1 to 20 or so copies, of 60 photos
        right = np.repeat(rng.random(60) < recall, sizes)
        some = predictions(
            np.zeros(len(right), np.int64),
            sure(1 - right, 2),
            groups=np.repeat(np.arange(60), sizes),
        )
        found = class_figures([some])[0]
        assert found.recall is not None and found.recall_ci95 is not None
        held += found.recall_ci95[0] <= recall <= found.recall_ci95[1]
        low, high = metrics.wilson(found.recall, len(right))
        by_photos += low <= recall <= high
    assert 0.93 <= held / trials <= 0.98
    assert by_photos / trials < 0.75  # where copies count as photos


def test_uneven_copies_of_photos_all_right_add_no_certainty() -> None:
    once = of_confusion(np.diag([20, 20]).tolist())
    uneven = copied(once, np.array([*[1] * 19, 50, *[1] * 20]))
    for name in metrics.FIGURES:
        low, low_once = (getattr(evaluate(some), name).ci95[0] for some in (uneven, once))
        assert low < low_once


def test_json_keeps_the_contract() -> None:
    evaluation = evaluate(folded(), np.array([[[4, 0], [0, 4]], [[3, 1], [0, 4]]]))
    document = json.loads(json.dumps(evaluation_json(evaluation)))
    assert list(document) == [
        *("on", "folds", "n", "accuracy", "macro_precision", "macro_f1"),
        *("train", "per_class", "confusion", "ece", "macro_over", "test_ci95", "baseline"),
    ]
    assert set(document["accuracy"]) == set(document["train"]["macro_f1"]) == S
    assert document["accuracy"]["folds"] == [1.0, 0.5, 1.0, 0.0]
    assert document["confusion"] == {"classes": ["c00", "c01"], "matrix": [[3, 1], [2, 2]]}
    per_class = document["per_class"][0]
    assert {"class", "n", "precision", "precision_ci95", "recall", "recall_ci95", "f1"} <= set(
        per_class
    )
    assert (per_class["class"], per_class["n"]) == ("c00", 4)
    assert "name" not in per_class


def test_json_has_null_where_there_is_nothing() -> None:
    document = evaluation_json(evaluate(of_confusion([[3, 0, 0], [1, 0, 0], [0, 0, 0]])))
    assert document["train"] is None and document["folds"] is None
    assert document["per_class"][1]["precision"] is None
    assert document["per_class"][2]["recall_ci95"] is None
    assert "NaN" not in json.dumps(document)


def sides(train_right: int, test_right: int, frozen: bool = False) -> str | None:
    """The gap sentence for so many of 100 right on each side."""
    test = of_confusion([[test_right, 100 - test_right], [0, 100]], fold=np.arange(200) % 5)
    train = np.array([[[train_right, 100 - train_right], [0, 100]]] * 5)
    return gap_sentence(evaluate(test, train), frozen)


def test_a_gap_is_called_overfitting() -> None:
    assert sides(100, 70) == (
        "Accuracy 100.0 % on training photos, 85.0 % on held-out photos, a gap of 15.0 points: "
        "overfitting. More photos, augmentation or stronger regularisation may help."
    )


def test_errors_made_in_training_are_called_underfitting() -> None:
    sentence = sides(62, 60)
    assert sentence is not None and "underfitting, or labels that cannot be told apart" in sentence


def test_a_gap_within_the_noise_is_not_called_one() -> None:
    sentence = sides(97, 95)
    assert sentence is not None and sentence.endswith("no sign of over- or underfitting.")


def test_without_a_train_side_there_is_no_gap_to_speak_of() -> None:
    assert gap_sentence(replace(evaluate(folded()), train=None), frozen=True) is None


def test_the_gap_of_a_head_on_a_frozen_backbone_is_not_called_overfitting() -> None:
    sentence = sides(100, 70, frozen=True)
    assert sentence is not None and "overfitting" not in sentence
    assert "--no-freeze" in sentence and "imgcli choose" in sentence


def test_what_a_learning_curve_found_is_said_in_place_of_the_command_for_it() -> None:
    train = np.array([[[100, 0], [0, 100]]])
    found = evaluate(of_confusion([[85, 15], [15, 85]]), train)
    asked, known = (gap_sentence(found, True, curve) for curve in (None, "More will help."))
    assert asked is not None and asked.endswith("`imgcli learning-curve` tells.")
    assert known is not None and known.endswith("(--no-freeze). More will help.")


def test_a_fitted_head_that_errs_in_training_is_not_to_be_trained_longer() -> None:
    sentence = sides(62, 60, frozen=True)
    assert sentence is not None and "underfitting" in sentence and "--no-freeze" in sentence
    assert "longer" not in sentence


def test_the_baseline_is_the_share_of_the_largest_class() -> None:
    evaluation = evaluate(of_confusion([[3, 0, 0], [1, 4, 1], [0, 0, 1]]))
    assert evaluation.baseline == ("c01", 0.6)
    assert evaluation_json(evaluation)["baseline"] == {"class": "c01", "accuracy": 0.6}
