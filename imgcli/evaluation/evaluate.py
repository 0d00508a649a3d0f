"""The quality of a classifier with its intervals: Predictions become an Evaluation.

A mean over photos has an interval by how much near-duplicate groups differ from it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from imgcli.errors import DataError, RunError, WrongUsage
from imgcli.evaluation import metrics
from imgcli.evaluation.intervals import effective_sizes, retraining, variance_of_mean
from imgcli.evaluation.metrics import FIGURES, Figure
from imgcli.records import ClassFigures, Evaluation, FloatArray, IntArray, Predictions, Summary
from imgcli.text import percent


def evaluate(
    predictions: Predictions,
    train_confusions: IntArray | None = None,
    seed: int = 0,
    repeats: Sequence[Predictions] = (),
) -> Evaluation:
    """Evaluate predictions: figures pooled over all photos with 95 % intervals, and per fold.

    The pooled macro precision is that of one confusion matrix, not the mean of the folds': a fold
    of three photos per class has a precision too coarse to average.

    Args:
        train_confusions: (k, K, K), each fold's model on its training photos. These figures get no
            interval: every photo counts k - 1 times and none is new to its model, so there is no
            population for an interval. Their spread over folds is given.
        repeats: the same photos predicted by each further repeat of the folds. All figures are
            pooled over the repeats, and their folds are those of all; counts (`n`, the confusion
            matrix) are of the first, so that each photo counts once.

    Raises:
        DataError: there are no predictions.
    """
    if len(predictions) == 0:
        raise DataError(
            f"The part '{predictions.on}' has no predictions to evaluate: none of its photos was "
            f"scored. Choose another part with --on, or add photos."
        )
    every = (predictions, *repeats)
    figures = summaries(predictions, FIGURES, seed, repeats)
    return Evaluation(
        on=predictions.on,
        folds=predictions.folds,
        n=len(predictions),
        classes=predictions.classes,
        confusion=metrics.confusion_of(predictions),
        **figures,
        test_ci95=_of_a_test(figures["accuracy"], len(predictions)),
        per_class=class_figures(every),
        ece=metrics.expected_calibration_error(
            np.concatenate([one.probs for one in every]),
            np.concatenate([one.targets for one in every]),
        ),
        train=None if train_confusions is None else _train_side(train_confusions),
        repeats=len(every),
    )


def summaries(
    predictions: Predictions,
    figures: Mapping[str, Figure],
    seed: int = 0,
    repeats: Sequence[Predictions] = (),
) -> dict[str, Summary]:
    """Figures of the confusion matrix: pooled, with 95 % intervals, and fold by fold."""
    confusions = _confusions((predictions, *repeats))
    pooled = confusions.sum(axis=0)
    values = {name: float(figure(pooled)) for name, figure in figures.items()}
    sizes = effective_sizes(predictions, figures, values, seed=seed, repeats=repeats)
    # Large groups can leave a fold without photos: it has no figures.
    folds = confusions[confusions.any(axis=(1, 2))] if predictions.folds else None
    return {
        name: replace(
            summary_of(
                values[name],
                metrics.wilson_interval(values[name], sizes[name]),
                None if folds is None else figure(folds),
            ),
            effective_n=sizes[name],
        )
        for name, figure in figures.items()
    }


def class_figures(every: Sequence[Predictions]) -> tuple[ClassFigures, ...]:
    """Precision, recall and F1 of each class, with its n and Wilson intervals.

    Intervals are of the effective sample size (`metrics.independent`): for recall of the photos of
    the class, for precision of those predicted as it; of folds for networks that are retrained.

    Args:
        every: the repeats of the same photos; repeats narrow no interval.
    """
    confusion, classes = _confusions(every).sum(axis=0), every[0].classes
    n, predicted = confusion.sum(axis=1) / len(every), confusion.sum(axis=0) / len(every)
    precision, recall = metrics.precision(confusion), metrics.recall(confusion)
    f1 = np.nan_to_num(metrics.f1(confusion))
    of_class = _independent([one.targets for one in every], every)
    of_prediction = _independent([one.preds for one in every], every)
    return tuple(
        ClassFigures(
            name=name,
            n=int(n[i]),
            predicted=round(predicted[i]),
            precision=_known(precision[i]),
            precision_ci95=_wilson(precision[i], of_prediction[i]),
            recall=_known(recall[i]),
            recall_ci95=_wilson(recall[i], of_class[i]),
            f1=float(f1[i]),
        )
        for i, name in enumerate(classes)
    )


def _independent(labels: Sequence[IntArray], every: Sequence[Predictions]) -> FloatArray:
    """Photos of each class that intervals are of `(K,)`, by these labels, in the repeats' mean."""
    k = len(every[0].classes)
    each = [
        metrics.independent_per_class(of_one, one.groups, k)
        for of_one, one in zip(labels, every, strict=True)
    ]
    return np.asarray(np.mean(each, axis=0)) / retraining(every[0].folds)


def evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    """The document of `evaluate --json` (DESIGN, section 6), all but its "run"."""
    train = evaluation.train
    return {
        "on": evaluation.on,
        "folds": evaluation.folds,
        "n": evaluation.n,
        **{name: asdict(getattr(evaluation, name)) for name in FIGURES},
        "train": None if train is None else {name: asdict(train[name]) for name in FIGURES},
        "per_class": [_class_json(figures) for figures in evaluation.per_class],
        "confusion": {
            "classes": list(evaluation.classes),
            "matrix": evaluation.confusion.tolist(),
        },
        "ece": evaluation.ece,
        "macro_over": macro_over(evaluation),
        "test_ci95": evaluation.test_ci95,
        "baseline": dict(zip(("class", "accuracy"), evaluation.baseline, strict=True)),
    }


def macro_over(evaluation: Evaluation) -> dict[str, Any]:
    """The classes that macro averages are over: those with scored photos; and the others."""
    without = [figures.name for figures in evaluation.per_class if figures.n == 0]
    classes = len(evaluation.classes)
    return {"n": classes - len(without), "of": classes, "left_out": without}


ASK_CURVE = "Whether more photos would help, `imgcli learning-curve` tells."


def gap_sentence(evaluation: Evaluation, frozen: bool, curve: str | None = None) -> str | None:
    """The gap between training and held-out accuracy; None without training figures.

    A gap is overfitting when it is over two points and over two standard errors of the folds'
    held-out accuracies; underfitting where at least half of the error is there in training.

    Args:
        frozen: whether a head was fitted to its optimum on a frozen backbone. Its regularisation
            was chosen by held-out photos already, and more features than photos fit any of them.
        curve: what the run's learning curve says of more photos, where it was drawn.
    """
    if evaluation.train is None:
        return None
    trained, tested = evaluation.train["accuracy"], evaluation.accuracy
    gap, miss = trained.value - tested.value, 1 - trained.value
    folds = evaluation.folds or 0
    noise = (tested.std or 0.0) / folds**0.5 if folds > 1 else _half_width(tested) / metrics.Z95
    found = (
        f"Accuracy {percent(trained.value)} on training photos, {percent(tested.value)} on "
        "held-out photos"
    )
    if miss > 0.1 and miss > gap and frozen:
        return (
            f"{found}: underfitting, or labels that cannot be told apart. The head is at its "
            "optimum, so most of the error is in the features: what can help is another backbone "
            "(imgcli choose) or training all weights (--no-freeze)."
        )
    if miss > 0.1 and miss > gap:
        return (
            f"{found}: underfitting, or labels that cannot be told apart; most of the error is "
            "present in training. A larger or longer trained network may help."
        )
    if gap > max(0.02, 2 * noise) and frozen:
        return (
            f"{found}. The head of a frozen backbone fits its training photos, and its "
            "regularisation was chosen by others: what can help is another backbone (imgcli "
            f"choose) or training all weights (--no-freeze). {curve or ASK_CURVE}"
        )
    if gap > max(0.02, 2 * noise):
        return (
            f"{found}, a gap of {100 * gap:.1f} points: overfitting. More photos, augmentation or "
            "stronger regularisation may help."
        )
    return f"{found}: no sign of over- or underfitting."


def summary_of(value: float, ci95: tuple[float, float] | None, folds: FloatArray | None) -> Summary:
    """A figure with its interval and, where there are folds, how it spreads over them."""
    if folds is None:
        return Summary(value, ci95)
    low, median, high = np.quantile(folds, [0.25, 0.5, 0.75])
    return Summary(
        value=value,
        ci95=ci95,
        folds=tuple(folds.tolist()),
        mean=float(folds.mean()),
        std=float(folds.std(ddof=1)) if len(folds) > 1 else None,
        median=float(median),
        iqr=float(high - low),
        min=float(folds.min()),
        max=float(folds.max()),
    )


# --- figures beside accuracy, macro precision and macro F1 ---------------------------------------

TOP = 5  # classes among which the true one is looked for, where there are more


def scores(
    predictions: Predictions, seed: int = 0, repeats: Sequence[Predictions] = ()
) -> dict[str, Summary | None]:
    """Macro recall, which is the balanced accuracy, top-5 accuracy, log loss and Brier score.

    Args:
        repeats: the same photos in the same order, predicted in other folds, as for `evaluate`.

    Returns:
        `top5` is None where there are no more than five classes.
    """
    figures: dict[str, Figure] = {"macro_recall": metrics.macro_recall}
    if _even(predictions):  # it is the accuracy, and has its interval
        figures = {"accuracy": FIGURES["accuracy"]}
    (recall,) = summaries(predictions, figures, seed, repeats).values()
    many = len(predictions.classes) > TOP
    top5 = partial(metrics.among_first, k=TOP)
    return {
        "macro_recall": recall,
        "balanced_accuracy": recall,
        "top5": _mean(top5, predictions, repeats, share=True) if many else None,
        "log_loss": _mean(metrics.log_losses, predictions, repeats),
        "brier": _mean(metrics.brier_scores, predictions, repeats),
    }


def scores_json(found: Mapping[str, Summary | None]) -> dict[str, Any]:
    """Their part of the document of `evaluate --json`."""
    return {name: summary and asdict(summary) for name, summary in found.items()}


def per_repeat(every: Sequence[Predictions]) -> dict[str, list[float]]:
    """Accuracy, macro precision and macro F1 of each repeat of the folds."""
    pooled = [metrics.confusion_of(one) for one in every]
    return {name: [float(figure(m)) for m in pooled] for name, figure in FIGURES.items()}


def _mean(
    figure: Callable[[FloatArray, IntArray], FloatArray],
    predictions: Predictions,
    repeats: Sequence[Predictions],
    share: bool = False,
) -> Summary:
    """The mean of a figure of each photo, with its interval, and that of each fold.

    Args:
        figure: takes probs `(M, K)` and targets `(M,)` and gives `(M,)`.
        share: whether it is 0 or 1 of each photo, so that its interval is Wilson's.
    """
    every = (predictions, *repeats)
    each = [figure(one.probs, one.targets) for one in every]
    folds = [
        values[one.fold == fold].mean()
        for one, values in zip(every, each, strict=True)
        for fold in range(one.folds or 0)
        if (one.fold == fold).any()
    ]
    photos = np.mean(each, axis=0)
    value = float(photos.mean())
    variance = variance_of_mean(photos, predictions)
    half = metrics.Z95 * variance**0.5
    bounds = (max(value - half, 0.0), value + half)
    if share:
        certain = metrics.independent(predictions.groups) / retraining(predictions.folds)
        n = value * (1 - value) / variance if variance > 0 else certain
        bounds = metrics.wilson_interval(value, n)
    return summary_of(value, bounds, np.array(folds) if folds else None)


# --- several networks --------------------------------------------------------------------------


def average(each: Sequence[Predictions]) -> Predictions:
    """The mean of the probabilities (bagging, where the models were trained on bootstrap samples).

    Out-of-fold predictions stay so only where every model held a photo out in the same fold.

    Raises:
        RunError: other classes, or other photos.
        WrongUsage: other folds.
    """
    first = each[0]
    for other in each[1:]:
        if other.classes != first.classes:
            raise RunError("These runs have different classes; their probabilities have no mean.")
        if other.paths != first.paths:
            raise RunError("These runs were scored on different photos. Name one with --data.")
        if not np.array_equal(other.fold, first.fold):
            raise WrongUsage("These runs divide the folds differently; give all one --seed.")
    return replace(first, probs=np.mean([predictions.probs for predictions in each], axis=0))


# --- parts of an evaluation --------------------------------------------------------------------


def _confusions(every: Sequence[Predictions]) -> IntArray:
    """The confusion matrices of all folds of all repeats, (folds, K, K)."""
    return np.concatenate([metrics.fold_confusions(one) for one in every])


def _train_side(confusions: IntArray) -> dict[str, Summary]:
    pooled = confusions.sum(axis=0)
    folds = confusions if len(confusions) > 1 else None
    return {
        name: summary_of(float(figure(pooled)), None, None if folds is None else figure(folds))
        for name, figure in FIGURES.items()
    }


def _class_json(figures: ClassFigures) -> dict[str, Any]:
    document = asdict(figures)
    return {"class": document.pop("name"), **document}


def _of_a_test(accuracy: Summary, photos: int) -> tuple[float, float] | None:
    if accuracy.effective_n is None:
        return None
    return metrics.interval_of_a_test(accuracy.value, accuracy.effective_n, photos)


def _even(predictions: Predictions) -> bool:
    sizes = np.bincount(predictions.targets)
    return len(np.unique(sizes[sizes > 0])) == 1


def _known(figure: float) -> float | None:
    return None if np.isnan(figure) else float(figure)


def _wilson(share: float, n: float) -> tuple[float, float] | None:
    return metrics.wilson_interval(share, n) if n else None


def _half_width(summary: Summary) -> float:
    return (summary.ci95[1] - summary.ci95[0]) / 2 if summary.ci95 else 0.0
