"""The null model: how often two classes would be confused by independent errors.

By chance, the errors of a class fall on the other classes in proportion to their sizes, or to how
often the model wrongly predicts them: whichever explains more. So neither a large class nor one the
model predicts too readily looks confused with everything.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtrc, gammaln, xlog1py, xlogy

from imgcli.records import FloatArray, IntArray, Predictions


@dataclass(frozen=True, eq=False)
class NullModel:
    """The confusions expected of independent errors, for every pair of classes."""

    counted: IntArray  # (K, K) the confusion matrix, near-duplicates counted once per cell
    expected: (
        FloatArray  # (K, K) photos of row's class predicted as column's, by chance; diagonal 0
    )
    p_values: FloatArray  # (K, K) symmetric, corrected for the number of pairs; diagonal 1


def null_model(predictions: Predictions) -> NullModel:
    """Test the confusions of every two classes that occur, both directions together.

    The p-value is the chance that some pair of classes would be confused so often (Holm's
    correction over all pairs): one below 0.05 is found in at most 5 % of data without structure.
    """
    counted = independent_confusion(predictions)
    errors = counted - np.diag(np.diag(counted))
    sizes, made = counted.sum(axis=1), errors.sum(axis=1)
    share = _shares(errors, sizes)
    expected = made[:, None] * share
    occur = np.flatnonzero(sizes)
    first, second = (occur[index] for index in np.triu_indices(len(occur), 1))
    p = np.ones(len(first))
    both = errors + errors.T
    more = both > expected + expected.T  # else there is nothing to test
    for i in np.flatnonzero(more[first, second]):
        a, b = first[i], second[i]
        p[i] = sum_tail(both[a, b], made[a], share[a, b], made[b], share[b, a])
    p_values = np.ones(counted.shape)
    p_values[first, second] = p_values[second, first] = holm(p)
    return NullModel(counted, expected, p_values)


def independent_confusion(predictions: Predictions) -> IntArray:
    """The confusion matrix (K, K) with the photos of a near-duplicate group counted once per cell.

    Ten copies of one photo go wrong together; that is one finding, not ten.
    """
    k = len(predictions.classes)
    cells = predictions.targets * k + predictions.preds
    cells = np.unique(np.stack([predictions.groups, cells]), axis=1)[1]
    return np.bincount(cells, minlength=k * k).reshape(k, k).astype(np.int64)


def holm(p: FloatArray) -> FloatArray:
    """P-values corrected for their number: the error rate of the whole family (Holm 1979)."""
    order = np.argsort(p)
    steps = p[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def _shares(errors: IntArray, sizes: IntArray) -> FloatArray:
    """Row a, column b: the share of a's errors that falls on b by chance, (K, K)."""
    by_size = np.tile(sizes.astype(np.float64), (len(sizes), 1))
    # One imagined error per class of average size: who was never named wrongly yet may still be.
    by_name = _named(errors) + by_size / sizes[sizes > 0].mean()
    for weights in (by_size, by_name):
        np.fill_diagonal(weights, 0.0)
        weights /= np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    share: FloatArray = np.maximum(by_size, by_name)
    return share


def _named(errors: IntArray) -> FloatArray:
    """Row a, column b: how often b is named wrongly by classes at large other than a, (K, K).

    A class that names it far more often than the middle one does is a case of its own, not a sign
    of readiness: else three classes that are one would excuse each other.
    """
    # Each column holds its own class's 0: the middle of the others lies one place further up, and
    # yet another without a class that lies below it.
    place = min((len(errors) - 1) // 2, len(errors) - 2)
    lower, upper = np.sort(errors, axis=0)[[place, place + 1]]

    def of_others(middle: IntArray) -> FloatArray:
        capped = np.minimum(errors, 2 * middle + 1)
        rest: IntArray = capped.sum(axis=0) - capped
        return rest.astype(np.float64)

    named: FloatArray = np.where(errors <= lower, of_others(upper), of_others(lower))
    return named


def sum_tail(found: int, errors_a: int, share_a: float, errors_b: int, share_b: float) -> float:
    """P(X + Y >= found) for independent binomials X of a's errors and Y of b's."""
    x = np.arange(errors_a + 1)
    ways = gammaln(errors_a + 1) - gammaln(x + 1) - gammaln(errors_a - x + 1)
    chances = np.exp(ways + xlogy(x, share_a) + xlog1py(errors_a - x, -share_a))
    # scipy.stats.binom says the same, and takes half a second to be imported. No more than n
    # photos are found of n, and less than none is always exceeded.
    beyond = bdtrc((found - x - 1).clip(-1, errors_b), errors_b, share_b)
    return float(min(chances @ beyond, 1.0))
