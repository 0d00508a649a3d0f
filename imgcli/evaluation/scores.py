"""Figures beside accuracy, macro precision and macro F1: what is found, and how probabilities fare.

What is a mean over photos has an interval by how much near-duplicate groups differ from it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from imgcli.evaluation import metrics
from imgcli.evaluation.evaluate import summaries, summary_of
from imgcli.evaluation.metrics import FIGURES
from imgcli.records import FloatArray, IntArray, Predictions, Summary

TOP = 5  # classes among which the true one is looked for, where there are more


def scores(
    predictions: Predictions, seed: int = 0, again: Sequence[Predictions] = ()
) -> dict[str, Summary | None]:
    """Macro recall, which is the balanced accuracy, top-5 accuracy, log loss and Brier score.

    Args:
        again: the same photos in the same order, predicted in other folds, as for `evaluate`.

    Returns:
        `top5` is None where there are no more than five classes.
    """
    recall = summaries(predictions, {"macro_recall": metrics.macro_recall}, seed, again)
    many = len(predictions.classes) > TOP
    top5 = partial(metrics.among_first, k=TOP)
    return {
        **recall,
        "balanced_accuracy": recall["macro_recall"],
        "top5": _mean(top5, predictions, again, share=True) if many else None,
        "log_loss": _mean(metrics.log_losses, predictions, again),
        "brier": _mean(metrics.brier_scores, predictions, again),
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
    again: Sequence[Predictions],
    share: bool = False,
) -> Summary:
    """The mean of a figure of each photo, with its interval, and that of each fold.

    Args:
        figure: takes probs `(M, K)` and targets `(M,)` and gives `(M,)`.
        share: whether it is 0 or 1 of each photo, so that its interval is Wilson's.
    """
    every = (predictions, *again)
    each = [figure(one.probs, one.targets) for one in every]
    folds = [
        values[one.fold == fold].mean()
        for one, values in zip(every, each, strict=True)
        for fold in range(one.folds or 0)
        if (one.fold == fold).any()
    ]
    photos = np.mean(each, axis=0)
    value, variance = float(photos.mean()), _variance(photos, predictions.groups)
    half = metrics.Z95 * variance**0.5
    bounds = (max(value - half, 0.0), value + half)
    if share:
        certain = metrics.independent(predictions.groups)
        n = value * (1 - value) / variance if variance > 0 else certain
        bounds = metrics.wilson_interval(value, n)
    return summary_of(value, bounds, np.array(folds) if folds else None)


def _variance(photos: FloatArray, groups: IntArray) -> float:
    """The variance of a mean over photos whose groups share their fate (Liang & Zeger 1986)."""
    _, group = np.unique(groups, return_inverse=True)
    sums = np.bincount(group, weights=photos - photos.mean())
    return float(np.square(sums).sum() / len(photos) ** 2)
