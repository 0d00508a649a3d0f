"""Clusters of photos that look alike to a frozen backbone, within each class.

A kind of photo that nobody named, such as frogs in a hand, is a cluster in feature space. K-means
finds it within the class, on the class's leading axes (as domino and spotlight look for slices:
Eyuboglu et al., Domino, 2022).
"""

from collections.abc import Sequence

import numpy as np
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler
from sklearn.utils.extmath import randomized_svd

from imgcli.records import FloatArray, IntArray
from imgcli.text import printable

COUNTS = (2, 4, 8)  # clusters of a class: a slice of half of it is found, and one of an eighth
AXES = 8  # of a class, along which its photos differ most
FEWEST = 20  # photos of a class per cluster, on average; else it is not divided so often
STARTS = 4  # of k-means, of which the tightest clusters are taken


def clusters_within_classes(
    features: FloatArray, targets: IntArray, classes: Sequence[str]
) -> list[list[str | None]]:
    """The cluster of each of M photos, in words: once for each number of clusters.

    The same features give the same clusters. A class of too few photos has none.

    Args:
        features: (M, D).
        targets: (M,) positions in `classes`.
    """
    found: list[list[str | None]] = [[None] * len(targets) for _ in COUNTS]
    if len(targets) == 0:
        return found
    standard = StandardScaler().fit_transform(features)
    for label, name in enumerate(classes):
        rows = np.flatnonzero(targets == label)
        if len(rows) < FEWEST * COUNTS[0]:
            continue
        points = _leading(standard[rows])
        for names, k in zip(found, COUNTS, strict=True):
            if len(rows) >= FEWEST * k:
                of = KMeans(k, n_init=STARTS, random_state=0).fit_predict(points)
                for row, number in zip(rows.tolist(), of.tolist(), strict=True):
                    names[row] = f"{number + 1} of {k} in '{printable(name)}'"
    return found


def _leading(points: FloatArray) -> FloatArray:
    """Points (n, D) along their leading axes, (n, AXES)."""
    centred = points - points.mean(axis=0)
    axes = min(AXES, *points.shape)
    left, values, _ = randomized_svd(centred, axes, random_state=0)
    leading: FloatArray = left * values
    return leading
