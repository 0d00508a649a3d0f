"""Figures of one confusion matrix, or of a stack of them at once.

Row i, column j of a confusion matrix counts photos of class i predicted as j, for all K classes
whether or not they occur. Every figure takes `(..., K, K)`, or the margins of such matrices, and
answers `(...)` or `(..., K)`, so one photo set, k folds and a thousand bootstrap samples go through
the same code.

What has no denominator is nan: the precision of a class that was never predicted, the recall of a
class without photos.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imgcli.records import FloatArray, IntArray, Predictions

Counts = NDArray[Any]  # of photos: whole numbers, or weights


class Margins(NamedTuple):
    """What figures need of confusion matrices: K numbers each where the matrix has K².

    A thousand bootstrap samples of 1,000 classes are 24 MB so, and 8 GB as matrices.
    """

    hits: Counts  # (..., K) photos of a class that are predicted as it
    actual: Counts  # (..., K) photos of it
    predicted: Counts  # (..., K) photos predicted as it


Confusions = ArrayLike | Margins  # (..., K, K), or their margins
Figure = Callable[[Confusions], FloatArray]  # -> (...)

Z95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution


def confusion_matrix(targets: IntArray, preds: IntArray, classes: int) -> IntArray:
    """Count photos of class i predicted as j: (K, K), all classes always."""
    cells = np.bincount(targets * classes + preds, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def confusion_of(predictions: Predictions) -> IntArray:
    """The confusion matrix of all photos, (K, K)."""
    return confusion_matrix(predictions.targets, predictions.preds, len(predictions.classes))


def fold_confusions(predictions: Predictions) -> IntArray:
    """One confusion matrix per fold, (k, K, K); without folds the one of all photos, (1, K, K)."""
    k = len(predictions.classes)
    folds = predictions.folds or 1
    fold = predictions.fold if predictions.folds else np.zeros(len(predictions), np.int64)
    cells = (fold * k + predictions.targets) * k + predictions.preds
    return np.bincount(cells, minlength=folds * k * k).reshape(folds, k, k).astype(np.int64)


# --- figures of (..., K, K) ---------------------------------------------------------------------


def margins_of(confusion: Confusions) -> Margins:
    """The margins of confusion matrices `(..., K, K)`."""
    if isinstance(confusion, Margins):
        return confusion
    counts = np.asarray(confusion)
    return Margins(np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(-1), counts.sum(-2))


def accuracy(confusion: Confusions) -> FloatArray:
    """Share of photos predicted as what they are, (...)."""
    hits, actual, _ = margins_of(confusion)
    return _share(hits.sum(-1), actual.sum(-1))


def precision(confusion: Confusions) -> FloatArray:
    """Share of the photos predicted as a class that are of it, (..., K); nan if never predicted."""
    hits, _, predicted = margins_of(confusion)
    return _share(hits, predicted)


def recall(confusion: Confusions) -> FloatArray:
    """Share of the photos of a class that are predicted as it, (..., K); nan without photos."""
    hits, actual, _ = margins_of(confusion)
    return _share(hits, actual)


def f1(confusion: Confusions) -> FloatArray:
    """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN), (..., K)."""
    hits, actual, predicted = margins_of(confusion)
    return _share(2 * hits, actual + predicted)


def macro_precision(confusion: Confusions) -> FloatArray:
    """Mean precision of the classes that occur in the targets, (...).

    A class that occurs and is never predicted counts 0, as with scikit-learn's `zero_division=0`:
    leaving it out would reward a network for giving up on its hardest class. A class without a
    photo is left out, whether it is predicted or not: no prediction of it could have been correct,
    and the photos predicted as it already cost their own classes.
    """
    return _mean_of_occurring(precision, confusion)


def macro_recall(confusion: Confusions) -> FloatArray:
    """Mean recall of the classes that occur in the targets, (...): the balanced accuracy."""
    return _mean_of_occurring(recall, confusion)


def macro_f1(confusion: Confusions) -> FloatArray:
    """Mean F1 of the classes that occur in the targets, (...); never predicted counts 0."""
    return _mean_of_occurring(f1, confusion)


def _share(part: Counts, whole: Counts, without: float = np.nan) -> FloatArray:
    share = np.full(np.broadcast(part, whole).shape, without)
    np.divide(part, whole, out=share, where=whole > 0)
    return share


def _mean_of_occurring(figure: Figure, confusion: Confusions) -> FloatArray:
    margins = margins_of(confusion)
    occurs = margins.actual > 0
    return _share(np.where(occurs, np.nan_to_num(figure(margins)), 0.0).sum(-1), occurs.sum(-1))


FIGURES: dict[str, Figure] = {
    "accuracy": accuracy,
    "macro_precision": macro_precision,
    "macro_f1": macro_f1,
}


# --- intervals and probabilities ----------------------------------------------------------------


def wilson(share: ArrayLike, n: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """The 95 % score interval of a proportion (Wilson 1927), low and high.

    Args:
        share: the proportion found, 0 to 1.
        n: photos it was found on, above 0; need not be whole where it is an effective number.
    """
    p, n = np.asarray(share, np.float64), np.asarray(n, np.float64)
    centre = (p + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * np.sqrt(p * (1 - p) / n + (Z95 / (2 * n)) ** 2)
    # The bounds at 0 and 1 are exact in theory and off by a rounding error in practice.
    low = np.where(p <= 0, 0.0, np.clip(centre - half, 0, 1))
    high = np.where(p >= 1, 1.0, np.clip(centre + half, 0, 1))
    return low, high


def wilson_interval(share: float, n: float) -> tuple[float, float]:
    """The same of one proportion, as plain numbers."""
    low, high = wilson(share, n)
    return float(low), float(high)


def interval_of_a_test(share: float, n: float, photos: int) -> tuple[float, float]:
    """In which a share lies that is found on so many new photos, in 95 of 100 tests.

    Args:
        n: effective number of photos that the share is known from.
    """
    return wilson_interval(share, 1 / (1 / n + 1 / photos))


def independent(groups: IntArray) -> float:
    """The effective sample size (Σm)² / Σm² of groups of m photos; 0 of none.

    Photos of a group count as fully correlated (Kish, Survey Sampling, 1965): ten copies of each
    photo count as often as one, and one group much larger than the others hardly more than itself.
    If the correlation is lower, intervals are too wide rather than too narrow.
    """
    return float(independent_per_class(np.zeros(len(groups), np.int64), groups, 1)[0])


def independent_per_class(labels: IntArray, groups: IntArray, classes: int) -> FloatArray:
    """The same of the photos of each class `(K,)`, by their targets or by their predictions."""
    pairs, sizes = np.unique(np.stack([labels, groups]), axis=1, return_counts=True)
    photos = np.bincount(pairs[0], sizes, minlength=classes)
    squares = np.bincount(pairs[0], np.square(sizes.astype(np.float64)), minlength=classes)
    return _share(np.square(photos), squares, 0.0)


def expected_calibration_error(probs: FloatArray, targets: IntArray, bins: int = 15) -> float:
    """Mean distance between confidence and accuracy over equal-width bins, weighted by photos.

    Confidence is the highest probability (Guo et al. 2017).
    """
    confidence = probs.max(axis=1)
    correct = probs.argmax(axis=1) == targets
    gaps = np.bincount(
        confidence_bins(confidence, bins), weights=confidence - correct, minlength=bins
    )
    return float(np.abs(gaps).sum() / len(targets))


def confidence_bins(confidence: FloatArray, bins: int) -> IntArray:
    """The bin of equal width that each confidence is in, (M,); a bin holds its upper edge."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def log_probs(probs: FloatArray) -> FloatArray:
    """Log probabilities: logits, but for a number that is the same for all classes of a photo."""
    logs: FloatArray = np.log(np.maximum(probs, np.finfo(np.float64).tiny))
    return logs


def log_losses(probs: FloatArray, targets: IntArray) -> FloatArray:
    """Negative natural logarithm of each photo's true class's probability, (M,), in nats."""
    likelihood = probs[np.arange(len(targets)), targets]
    losses: FloatArray = -np.log(np.maximum(likelihood, np.finfo(np.float64).eps))
    return losses


def log_loss(probs: FloatArray, targets: IntArray) -> float:
    """Their mean."""
    return float(log_losses(probs, targets).mean())


def brier_scores(probs: FloatArray, targets: IntArray) -> FloatArray:
    """Each photo's squared distance from certainty of its true class, (M,), 0 to 2 (Brier 1950)."""
    own = probs[np.arange(len(targets)), targets]
    others = np.maximum(np.einsum("ij,ij->i", probs, probs) - own**2, 0.0)
    scores: FloatArray = others + (1 - own) ** 2
    return scores


def among_first(probs: FloatArray, targets: IntArray, k: int) -> FloatArray:
    """1.0 for each photo whose true class is among the k most probable, else 0.0, (M,).

    Of equally probable classes the first comes first, as where only one is asked for.
    """
    own = probs[np.arange(len(targets)), targets][:, None]
    earlier = np.arange(probs.shape[1]) < targets[:, None]
    before = (probs > own) | ((probs == own) & earlier)
    return np.asarray(before.sum(axis=1) < k, dtype=np.float64)
