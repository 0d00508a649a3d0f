"""Folds stratified by class that keep groups together: scikit-learn's, sooner."""

import itertools

import numpy as np

from imgcli.records import FloatArray, IntArray


def stratified_group_folds(targets: IntArray, groups: IntArray, k: int, seed: int) -> IntArray:
    """The fold `(M,)` of each photo; equal to `StratifiedGroupKFold(k, shuffle=True)`'s.

    That one computes every class's deviation over the folds for each group and fold again. A group
    changes those of its own classes only, so the others are kept; each sum is in the same order, so
    that ties, which rounding decides, are broken alike.

    Args:
        targets: `(M,)` class of each photo.
        groups: `(M,)` group of each photo.
        k: number of folds, at most the number of groups.
        seed: of the order in which groups are taken.
    """
    _, target, per_class = np.unique(targets, return_inverse=True, return_counts=True)
    numbers, group = np.unique(groups, return_inverse=True)
    shuffled = np.arange(len(numbers))
    np.random.RandomState(seed).shuffle(shuffled)
    place = np.empty_like(shuffled)  # of a group among the shuffled ones
    place[shuffled] = np.arange(len(shuffled))
    of_classes = _Counts(place[group], target, len(numbers), len(per_class))
    order = np.argsort(-of_classes.deviations(), kind="stable")

    balance = _Balance(k, per_class)
    fold = np.empty(len(numbers), np.int64)
    for number in order.tolist():
        fold[number] = balance.add(*of_classes[number])
    return fold[place[group]]


class _Counts:
    """How many photos of which classes each group has; only those of which it has any."""

    def __init__(self, group: IntArray, target: IntArray, groups: int, classes: int) -> None:
        cells, counts = np.unique(group * classes + target, return_counts=True)
        self._counts = counts.astype(np.float64)
        self._group, self._classes = np.divmod(cells, classes)
        self._first = np.searchsorted(self._group, np.arange(groups + 1)).tolist()
        self._of = classes

    def __getitem__(self, group: int) -> tuple[IntArray | slice, FloatArray]:
        """The classes `(J,)` of a group, ascending, and its photos of each."""
        first, end = self._first[group], self._first[group + 1]
        counts = self._counts[first:end]
        if end - first == 1:  # as nearly all groups are; a slice is taken without a copy
            only = self._classes[first]
            return slice(only, only + 1), counts
        return self._classes[first:end], counts

    def deviations(self) -> FloatArray:
        """The standard deviation of each group's counts over all classes.

        By the dense definition, once for each list of counts in their places.
        """
        known: dict[bytes, float] = {}
        found = np.empty(len(self._first) - 1)
        pairs = np.column_stack([self._classes, self._counts])
        for group, (first, end) in enumerate(itertools.pairwise(self._first)):
            key = pairs[first:end].tobytes()
            if key not in known:
                dense = np.zeros((1, self._of))
                dense[0, self._classes[first:end]] = self._counts[first:end]
                known[key] = float(np.std(dense, axis=1)[0])
            found[group] = known[key]
        return found


class _Balance:
    """The photos of each class in each fold, and how unevenly they are spread."""

    def __init__(self, k: int, per_class: IntArray) -> None:
        self._k, self._per_class = k, per_class
        self._counts = np.zeros((k, len(per_class)))
        self._photos = [0.0] * k
        # Row i: the deviation over the folds of each class's share, if the group went to fold i.
        self._spread = np.zeros((k, len(per_class)))
        self._added = np.eye(k)[:, :, None]  # (folds, candidates, 1)

    def add(self, classes: IntArray | slice, counts: FloatArray) -> int:
        """Add a group to the fold that leaves the classes spread most evenly."""
        shares = self._counts[:, None, classes] + self._added * counts  # (folds, candidates, J)
        shares /= self._per_class[classes]
        shares -= shares.sum(axis=0) / self._k
        np.multiply(shares, shares, out=shares)
        self._spread[:, classes] = np.sqrt(shares.sum(axis=0) / self._k)
        best = self._best((self._spread.sum(axis=1) / len(self._per_class)).tolist())
        self._spread[:, classes] = self._spread[best, classes]
        self._counts[best, classes] += counts
        self._photos[best] += float(counts.sum())
        return best

    def _best(self, unevenness: list[float]) -> int:
        """The fold with the least; of those near each other, the one with the fewest photos."""
        best, least = 0, unevenness[0]
        for fold in range(1, self._k):
            found = unevenness[fold]
            near = abs(found - least) <= 1e-8 + 1e-5 * abs(least)  # as numpy.isclose
            if found < least or (near and self._photos[fold] < self._photos[best]):
                best, least = fold, found
        return best
