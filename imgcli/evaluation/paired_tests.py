"""Paired tests of two runs on the same photos.

The unit is the near-duplicate group: its photos share their fate.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.stats import binom

from imgcli.evaluation.intervals import CHUNK, group_sums
from imgcli.evaluation.metrics import Counts
from imgcli.records import FloatArray, IntArray, Predictions

MAX_EXCHANGES = 5000  # random exchanges of one pair of runs, where it is the only one
MIN_AS_FAR = 250  # exchanges as extreme: the p-value is within an eighth of its value, 95 % sure
BATCH = 1000  # exchanges, after which it is seen whether they are enough


def exact_mcnemar_test(first: Predictions, second: Predictions) -> float:
    """P-value of no difference in accuracy, two-sided and exact.

    What a group adds to one run's lead it might as well have added to the other's (Fisher's
    randomisation test). Where each photo is its own group this is McNemar's exact test (1947).
    """
    ahead = (first.preds == first.targets).astype(np.int64) - (second.preds == second.targets)
    leads = group_sums(ahead.astype(np.float64), first.groups).astype(np.int64)
    sizes, counts = np.unique(np.abs(leads[leads != 0]), return_counts=True)
    chances = np.ones(1)  # that the leads in the first run's favour sum to 0, 1, 2, ... photos
    for size, n in zip(sizes.tolist(), counts.tolist(), strict=True):
        of_size = np.zeros(size * n + 1)
        of_size[::size] = binom.pmf(np.arange(n + 1), n, 0.5)
        chances = np.convolve(chances, of_size)
    total = len(chances) - 1
    as_far = np.abs(2 * np.arange(total + 1) - total) >= abs(int(leads.sum()))
    return float(min(chances[as_far].sum(), 1.0))


def randomisation_test(
    first: Predictions, second: Predictions, most: int = MAX_EXCHANGES, seed: int = 0
) -> float:
    """P-value of no difference in macro precision, two-sided, by exchanging answers at random.

    If it does not matter which run gave which answers, exchanging those of any groups gives
    differences as large as the one found just as often (approximate randomisation, Yeh 2000).
    A large p-value is soon known: no more are drawn once MIN_AS_FAR are as extreme, which leaves it
    valid (sequential Monte Carlo p-values, Besag & Clifford 1991).

    Args:
        most: exchanges to draw where few go as far; the p-value is at least 1 / (1 + most).
    """
    a, b = _counts(first), _counts(second)
    occurs = np.bincount(first.targets, minlength=len(first.classes)) > 0
    found = abs(_macro_precision(a, occurs) - _macro_precision(b, occurs))
    as_far = drawn = 0
    for moved in _exchanged(first, second, most, seed):
        ahead = _macro_precision(a + moved, occurs) - _macro_precision(b - moved, occurs)
        as_far += int((np.abs(ahead) >= found - 1e-12).sum())
        drawn += moved.shape[-1]
        if as_far >= MIN_AS_FAR:
            break
    return (1 + as_far) / (1 + drawn)


def _counts(predictions: Predictions) -> IntArray:
    """For each class its hits, and the photos predicted as it, (2, K, 1)."""
    k, preds = len(predictions.classes), predictions.preds
    correct = preds[preds == predictions.targets]
    return np.stack([np.bincount(predicted, minlength=k) for predicted in (correct, preds)])[
        :, :, None
    ]


def _macro_precision(counts: Counts, occurs: NDArray[np.bool_]) -> FloatArray:
    """`metrics.macro_precision` (b,) of counts (2, K, b), without their confusion matrices."""
    hits, predicted = counts[:, occurs]
    mean: FloatArray = (hits / np.maximum(predicted, 1)).mean(axis=0)  # no prediction, no hits
    return mean


def _exchanged(
    first: Predictions, second: Predictions, most: int, seed: int
) -> Iterator[NDArray[np.float32]]:
    """What exchanging the answers of random groups adds to the first run's counts, (2, K, b).

    Of as many exchanges as `most`, b at a time; the second run's counts lose the same.
    """
    k = len(first.classes)
    differ = first.preds != second.preds
    groups, group = np.unique(first.groups[differ], return_inverse=True)
    changes = csr_array((2 * k, len(groups)), dtype=np.float32)
    for run, sign in ((first, -1.0), (second, 1.0)):
        answer = run.preds[differ]
        correct = answer == run.targets[differ]
        row, column = np.r_[answer[correct], k + answer], np.r_[group[correct], group]
        signs = np.full(len(row), sign, np.float32)
        changes += csr_array((signs, (row, column)), shape=changes.shape)
    rng = np.random.default_rng(seed)
    at_once = min(BATCH, max(8, CHUNK // max(1, len(groups))))
    for start in range(0, most, at_once):
        b = min(at_once, most - start)
        bits = rng.integers(256, size=(len(groups), -(-b // 8)), dtype=np.uint8)
        yield (changes @ np.unpackbits(bits, axis=1, count=b)).reshape(2, k, b)
