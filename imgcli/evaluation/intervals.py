"""Intervals by a bootstrap over near-duplicate groups, and the sample-size check.

An interval of out-of-fold figures is for the network that is trained on all the photos, on photos
like them. The bootstrap draws other held-out photos and keeps the networks of the folds; that
other photos would have trained another network, it does not see. With heads really retrained on
features of 150 photos of MNIST its intervals held the accuracy of the delivered one in 88 to 94 %
of draws; with `retraining` in 96 to 98 % (`tests/benchmarks/intervals.py`).

Photos of one group share their fate, so groups are drawn, not photos (Field & Welsh 2007). Groups
are drawn regardless of class: drawing within classes keeps their sizes fixed, and in simulation
its intervals for macro precision held the truth as rarely as 88 % of the time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from imgcli.evaluation.metrics import (
    Counts,
    Figure,
    Margins,
    confusion_of,
    f1,
    independent,
    independent_per_class,
    margins_of,
    precision,
    recall,
)
from imgcli.records import FloatArray, IntArray, Predictions
from imgcli.text import count


class _OfClass(NamedTuple):
    """What a macro figure is the mean of: a figure of each class, by a share of some photos."""

    figure: Figure  # -> (..., K)
    photos: Callable[[Margins], Counts]  # that the share of hits is of, (..., K)
    slope: Callable[[FloatArray], FloatArray]  # of the figure by that share


OF_CLASS = {
    "macro_precision": _OfClass(precision, lambda margins: margins.predicted, np.ones_like),
    "macro_recall": _OfClass(recall, lambda margins: margins.actual, np.ones_like),
    "macro_f1": _OfClass(  # F1 = 2 q / (1 + q), of the share q = TP / (TP + FP + FN)
        f1,
        lambda margins: margins.actual + margins.predicted - margins.hits,
        lambda q: 2 / (1 + q) ** 2,
    ),
}
NEVER = 0.5  # mean squared error of the 0 of a class never predicted: 0.5 away, and as uncertain
CHUNK = 4_000_000  # numbers held at once in each of two arrays: 32 MB


def effective_sizes(
    predictions: Predictions,
    figures: Mapping[str, Figure],
    values: Mapping[str, float],
    draws: int = 1000,
    seed: int = 0,
    repeats: Sequence[Predictions] = (),
) -> dict[str, float]:
    """How many independent photos would tell as much about each figure, a share between 0 and 1.

    Wilson's interval of so many (Franco et al. 2019), unlike the bootstrap's own percentiles, holds
    near 0 and 1 and does not shrink to nothing where every photo is correct. The bootstrap gives
    the figure's variance. What that of a class's own share with a success and a failure added has
    more than the bootstrap is added: of a class of which four photos are all correct the bootstrap
    knows no other outcome.

    Args:
        repeats: the same photos predicted again, in other folds. The predictions of a photo are
            drawn together, so repeats add no photos.
    """
    drawn: dict[str, list[FloatArray]] = {name: [] for name in figures}
    moments = {name: np.zeros((2, len(predictions.classes))) for name in figures}
    for margins in resampled_margins(predictions, draws, seed, repeats):
        for name, figure in figures.items():
            drawn[name].append(figure(margins))
            if name in OF_CLASS:
                of_class = np.nan_to_num(OF_CLASS[name].figure(margins))
                moments[name] += of_class.sum(axis=0), np.square(of_class).sum(axis=0)
    found = {}
    for name in figures:
        mean, square = moments[name] / draws
        variance = float(np.var(np.concatenate(drawn[name])))
        variance += _missed(name, predictions, square - mean**2)
        variance *= retraining(predictions.folds)
        found[name] = _effective(values[name], variance, predictions)
    return found


def retraining(folds: int | None) -> float:
    """How many times larger a variance is where the networks are retrained, too.

    Of k folds Nadeau and Bengio (Inference for the Generalization Error, 2003) put 1/k + 1/(k - 1)
    in the place of 1/k, which was too wide in simulation; half of that correction was enough:
    1.56 with ten folds. A network that is given, as for a test part, is not retrained: 1.
    """
    k = folds or 0
    return 1 + k / (2 * (k - 1)) if k > 1 else 1.0


def _missed(name: str, predictions: Predictions, drawn: FloatArray) -> float:
    """The variance of a macro figure that its classes have and the bootstrap has not; else 0.

    Args:
        drawn: (K,) the variance of each class's figure in the bootstrap.
    """
    if name not in OF_CLASS:
        return 0.0
    _, photos_of, slope = OF_CLASS[name]
    margins = margins_of(confusion_of(predictions))
    effective = independent(predictions.groups) / len(predictions)
    photos = effective * photos_of(margins)
    share = (effective * margins.hits + 1) / (photos + 2)
    own = share * (1 - share) / np.maximum(photos, 1) * slope(share) ** 2
    own = np.where(margins.predicted > 0, own, NEVER)
    occurs = margins.actual > 0
    return float(np.maximum(own - drawn, 0)[occurs].sum() / occurs.sum() ** 2)


def resampled_margins(
    predictions: Predictions, draws: int, seed: int, repeats: Sequence[Predictions] = ()
) -> Iterator[Margins]:
    """Margins of the confusion matrix of as many groups drawn with replacement, (b, K) at a time.

    Not the matrices themselves: a thousand of 1,000 classes would be 8 GB.
    """
    rng = np.random.default_rng(seed)
    k = len(predictions.classes)
    every = (predictions, *repeats)
    groups, group = np.unique(np.concatenate([one.groups for one in every]), return_inverse=True)
    n = len(groups)
    targets = np.concatenate([one.targets for one in every])
    preds = np.concatenate([one.preds for one in every])
    hit = targets == preds
    # (groups, K): photos of each group that are hits of, are of, and are predicted as each class
    counts = [
        _counts(group[hit], targets[hit], (n, k)),
        _counts(group, targets, (n, k)),
        _counts(group, preds, (n, k)),
    ]
    most = max(1, CHUNK // max(n, 3 * k))
    for start in range(0, draws, most):
        b = min(most, draws - start)
        drawn = rng.integers(n, size=(b, n)) + n * np.arange(b)[:, None]
        times = np.bincount(drawn.ravel(), minlength=b * n).reshape(b, n)
        yield Margins(*(times @ photos for photos in counts))


def _counts(group: IntArray, label: IntArray, shape: tuple[int, int]) -> csr_array:
    return csr_array((np.ones(len(group)), (group, label)), shape=shape)


def _effective(value: float, variance: float, predictions: Predictions) -> float:
    if variance > 0 and 0 < value < 1:
        return value * (1 - value) / variance
    return independent_of_macro(predictions) / retraining(predictions.folds)  # nothing varied


def variance_of_mean(photos: FloatArray, predictions: Predictions) -> float:
    """The variance of a mean over photos (M,) whose groups share their fate (Liang & Zeger 1986).

    Where networks are retrained, too, that much larger.
    """
    sums = group_sums(photos - photos.mean(), predictions.groups)
    return float(np.square(sums).sum() / len(photos) ** 2) * retraining(predictions.folds)


def group_sums(values: FloatArray, groups: IntArray) -> FloatArray:
    """Sums of values (M,) or (M, D) over the photos of each group, in the groups' order."""
    _, group = np.unique(groups, return_inverse=True)
    sums: FloatArray = csr_array((np.ones(len(group)), (group, np.arange(len(group))))) @ values
    return sums


def first_of_groups(rows: IntArray, groups: IntArray) -> IntArray:
    """The first of these rows in each near-duplicate group, in the order given."""
    _, first = np.unique(groups[rows], return_index=True)
    return rows[np.sort(first)]


def independent_of_macro(predictions: Predictions) -> float:
    """As many photos as would tell as much about a mean over the classes that occur.

    Of classes with n independent photos each the harmonic mean of n, times their number.
    """
    classes = len(predictions.classes)
    n = independent_per_class(predictions.targets, predictions.groups, classes)
    occur = n[n > 0]
    return float(len(occur) ** 2 / (1 / occur).sum())


def too_few(predictions: Predictions, least: int, question: str) -> str | None:
    """The sample-size check: the sentence that photos are too few; None where there are enough.

    Near-duplicates count once.

    Args:
        least: photos that it takes; two classes must have two of them each besides.
        question: as it follows "too few to tell".
    """
    n = len(np.unique(predictions.groups))
    in_class = np.unique(np.stack([predictions.targets, predictions.groups]), axis=1)[0]
    sizes = np.sort(np.bincount(in_class, minlength=2))
    if n >= least and sizes[-2] >= 2:
        return None
    copies = ", near-duplicates counted once," if n < len(predictions) else ""
    return (
        f"{count(n, 'photo')}{copies} {'is' if n == 1 else 'are'} too few to tell {question}: it "
        f"takes {least}, two of them in each of two classes. Add photos and evaluate again: imgcli "
        "evaluate --folds 10"
    )
