"""Tests of two runs on the same photos: does chance explain that one did better?

The unit is the near-duplicate group: its photos share their fate.
"""

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array
from scipy.stats import binom

from imgcli.judge import metrics
from imgcli.judge.bootstrap import CHUNK, Figure
from imgcli.records import FloatArray, Predictions

SWAPS = 4999  # random exchanges; with the one that was found, a p-value is a multiple of 1/5000


def flip_test(first: Predictions, second: Predictions) -> float:
    """P-value of no difference in accuracy, two-sided and exact.

    What a group adds to one run's lead it might as well have added to the other's (Fisher's
    randomisation test). Where each photo is its own group this is McNemar's exact test (1947).
    """
    ahead = (first.preds == first.targets).astype(np.int64) - (second.preds == second.targets)
    _, group = np.unique(first.groups, return_inverse=True)
    leads = np.bincount(group, weights=ahead).astype(np.int64)
    sizes, counts = np.unique(np.abs(leads[leads != 0]), return_counts=True)
    chances = np.ones(1)  # that the leads in the first run's favour sum to 0, 1, 2, ... photos
    for size, n in zip(sizes.tolist(), counts.tolist(), strict=True):
        of_size = np.zeros(size * n + 1)
        of_size[::size] = binom.pmf(np.arange(n + 1), n, 0.5)
        chances = np.convolve(chances, of_size)
    total = len(chances) - 1
    as_far = np.abs(2 * np.arange(total + 1) - total) >= abs(int(leads.sum()))
    return float(min(chances[as_far].sum(), 1.0))


def swap_test(
    first: Predictions, second: Predictions, figure: Figure, repeats: int = SWAPS, seed: int = 0
) -> float:
    """P-value of no difference in a figure, two-sided, by exchanging the runs' answers at random.

    If it does not matter which run gave which answers, exchanging those of any groups gives
    differences as large as the one found just as often (approximate randomisation, Yeh 2000).
    """
    a, b = (metrics.confusion_matrix(p.targets, p.preds, len(p.classes)) for p in (first, second))
    found = abs(float(figure(a) - figure(b)))
    as_far = 0
    for moved in _exchanged(first, second, repeats, seed):
        differences = np.abs(figure(a + moved) - figure(b - moved))
        as_far += int((differences >= found - 1e-12).sum())
    return (1 + as_far) / (1 + repeats)


def _exchanged(
    first: Predictions, second: Predictions, repeats: int, seed: int
) -> Iterator[FloatArray]:
    """What exchanging the answers of random groups adds to the first run's confusion matrix.

    As many matrices as `repeats`, (b, K, K) at a time; the second run's loses the same.
    """
    k = len(first.classes)
    before, after = (p.targets * k + p.preds for p in (first, second))
    differ = before != after
    groups, group = np.unique(first.groups[differ], return_inverse=True)
    cells, cell = np.unique(np.r_[before[differ], after[differ]], return_inverse=True)
    change = np.repeat([-1.0, 1.0], differ.sum())
    # (groups, cells in use): what exchanging the answers of a group adds to each cell
    changes = csr_array((change, (np.r_[group, group], cell)), shape=(len(groups), len(cells)))
    rng = np.random.default_rng(seed)
    most = max(1, CHUNK // max(len(groups), k * k))
    for start in range(0, repeats, most):
        b = min(most, repeats - start)
        moved = np.zeros((b, k * k))
        moved[:, cells] = rng.integers(2, size=(b, len(groups))) @ changes
        yield moved.reshape(b, k, k)
