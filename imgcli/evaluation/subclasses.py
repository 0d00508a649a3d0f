"""Classes with two kinds of photos (subclasses), by the features of a frozen backbone.

Two-means always finds two parts. So the share of a class's variance left within them, the cluster
index, is compared with that of one Gaussian of the same covariance (SigClust: Liu, Hayes, Nobel and
Marron, Statistical Significance of Clustering for High-Dimension, Low-Sample Size Data, 2008).
Features are not Gaussian either: the class must stand out from the other classes as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.special import ndtr

from imgcli.evaluation.intervals import first_of_groups
from imgcli.evaluation.merges.null_model import holm
from imgcli.records import FloatArray, IntArray
from imgcli.text import percent

ALPHA = 0.05  # largest p-value, corrected for the number of classes
# The leading axes of a class's photos that are looked at: of 3, 5 and 8 the fewest told joined
# classes from single ones best (frozen features of 30 classes). Along so few the sample's variance
# is if anything too large, and the Gaussian too long, which is on the safe side; shrinking the
# eigenvalues of 32 to 64 axes instead (Huang et al. 2015) took half of the single classes apart.
AXES = 3
MIN_PHOTOS = 10  # photos of the smaller part,
MIN_SHARE = 0.15  # and the share of the class that it must be
DRAWS = 100  # from the Gaussian
TINY = 1e-12  # deviation of a feature that is the same in all photos
STEPS = 30  # of two means at most
EXAMPLES = 3  # photos of each part
MAD = 0.6744897501960817  # median absolute deviation of a standard normal distribution


@dataclass(frozen=True)
class SplitSuggestion:
    """A class that may be two, and the photos most typical of each part, the larger first."""

    name: str
    parts: tuple[int, int]  # photos, near-duplicates counted once
    p_value: float  # of two such parts in one kind of photo, corrected for the number of classes
    cluster_index: float  # share of the variance along AXES that is left within the parts
    usual_index: float  # expected of one kind
    examples: tuple[tuple[int, ...], tuple[int, ...]]  # rows of the features, most typical first

    @property
    def reason(self) -> str:
        """One plain sentence for people."""
        chance = "p < 0.001" if self.p_value < 0.001 else f"p = {self.p_value:.2g}"
        return (
            f"{self.name} may be two classes of {self.parts[0]} and {self.parts[1]} photos: "
            f"{percent(self.cluster_index, digits=0)} of the variance is within the two clusters, "
            f"{percent(self.usual_index, digits=0)} is expected of a single class ({chance})."
        )

    def to_json(self, paths: Sequence[str]) -> dict[str, Any]:
        """Everything as plain values.

        Args:
            paths: the photos, by row.
        """
        return {
            "class": self.name,
            "parts": list(self.parts),
            "p_value": self.p_value,
            "cluster_index": self.cluster_index,
            "usual_index": self.usual_index,
            "examples": [[paths[row] for row in part] for part in self.examples],
            "reason": self.reason,
        }


@dataclass(frozen=True, eq=False)
class _Halved:
    """One class, split by two-means."""

    label: int
    rows: IntArray  # (n,) its photos, one per near-duplicate group
    points: FloatArray  # (n, AXES) along its own leading axes
    second: NDArray[np.bool_]  # (n,) the photos of the second part
    index: float
    expected: float  # mean index of one Gaussian
    z: float  # how many deviations the index is from there

    @property
    def large_enough(self) -> bool:
        smaller = min(self.second.sum(), (~self.second).sum())
        return bool(smaller >= max(MIN_PHOTOS, MIN_SHARE * len(self.rows)))


def suggest_splits(
    features: FloatArray, targets: IntArray, groups: IntArray, classes: Sequence[str]
) -> list[SplitSuggestion]:
    """The classes of two kinds, surest first; none is a good answer.

    Listed are classes whose two parts are farther apart than those of one Gaussian and than those
    of the other classes, both with the same p-value, and neither part is tiny.

    Args:
        features: `(M, D)` of a frozen backbone, which was not trained on these classes.
        targets: `(M,)` the class of each photo.
        groups: `(M,)` near-duplicate groups, each taken as one photo.
    """
    if len(features) == 0:
        return []
    deviations = features.std(axis=0)
    standard = (features - features.mean(axis=0)) / np.where(deviations > TINY, deviations, 1)
    halved = [
        _halved(label, standard[rows], rows)
        for label in range(len(classes))
        if len(rows := first_of_groups(np.flatnonzero(targets == label), groups)) >= 2 * MIN_PHOTOS
    ]
    p_values = _p_values(np.array([one.z for one in halved]))
    found = [
        _suggestion(one, classes[one.label], float(p))
        for one, p in zip(halved, p_values, strict=True)
        if p <= ALPHA and one.large_enough
    ]
    return sorted(found, key=lambda suggestion: (suggestion.p_value, suggestion.name))


def two_means(points: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Take sets of points `(S, n, d)` apart in two, from a start across each of the d axes.

    Returns:
        The cluster indices `(S,)`, the share of the sum of squares that is left within the two
        parts, and which points are in the second part `(S, n)`, of the best start each.
    """
    centred = points - points.mean(axis=1, keepdims=True)
    total = np.maximum((centred**2).sum(axis=(1, 2)), np.finfo(np.float64).tiny)
    best, parts = np.full(len(points), np.inf), np.zeros(points.shape[:2], bool)
    for axis in range(points.shape[2]):
        second = _settled(centred, centred[:, :, axis] > 0)
        index = 1 - _between(centred, second) / total
        better = index < best
        best[better], parts[better] = index[better], second[better]
    return best, parts


def _settled(points: FloatArray, second: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where Lloyd's steps lead from these parts, for centred points."""
    for _ in range(STEPS):
        size, total = second.sum(axis=1)[:, None], np.einsum("sn,snd->sd", second, points)
        ours, others = total / np.maximum(size, 1), -total / np.maximum(second.shape[1] - size, 1)
        middle = ((ours**2).sum(axis=1) - (others**2).sum(axis=1)) / 2
        nearer = np.einsum("snd,sd->sn", points, ours - others) > middle[:, None]
        if (nearer == second).all():
            break
        second = nearer
    return second


def _between(points: FloatArray, second: NDArray[np.bool_]) -> FloatArray:
    """The sum of squares between the parts `(S,)`, for centred points."""
    size, total = second.sum(axis=1), np.einsum("sn,snd->sd", second, points)
    rest = second.shape[1] - size
    squares: FloatArray = (total**2).sum(axis=1) * (
        1 / np.maximum(size, 1) + 1 / np.maximum(rest, 1)
    )
    return squares


def principal_components(centred: FloatArray, most: int) -> FloatArray:
    """Points `(n, most)` along the leading axes of centred ones `(n, d)`, up to their signs.

    By the eigenvectors of the smaller of the two Gram matrices.
    """
    n, d = centred.shape
    gram = centred @ centred.T if n <= d else centred.T @ centred
    values, vectors = eigh(gram, subset_by_index=(len(gram) - most, len(gram) - 1))
    values, vectors = values[::-1], vectors[:, ::-1]
    if n > d:
        return np.asarray(centred @ vectors)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0)))


def _halved(label: int, standard: FloatArray, rows: IntArray) -> _Halved:
    centred = standard - standard.mean(axis=0)
    points = principal_components(centred, min(AXES, *centred.shape))
    indices, parts = two_means(points[None])
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(DRAWS, *points.shape)) * points.std(axis=0, ddof=1)
    null = two_means(drawn)[0]
    z = (indices[0] - null.mean()) / max(null.std(ddof=1), 1e-12)
    return _Halved(label, rows, points, parts[0], float(indices[0]), float(null.mean()), float(z))


def _p_values(z: FloatArray) -> FloatArray:
    """Of each class, against one Gaussian and against the other classes: the larger of the two."""
    p: FloatArray = ndtr(z)
    for i, others in enumerate(np.delete(z, i) for i in range(len(z))):
        if len(others):
            median = np.median(others)
            spread = max(1.0, float(np.median(np.abs(others - median))) / MAD)
            p[i] = max(p[i], ndtr((z[i] - median) / spread))
    return holm(p)


def _suggestion(halved: _Halved, name: str, p_value: float) -> SplitSuggestion:
    sides = sorted((halved.second, ~halved.second), key=lambda side: -int(side.sum()))
    large, small = (_typical(halved, side) for side in sides)
    return SplitSuggestion(
        name=name,
        parts=(int(sides[0].sum()), int(sides[1].sum())),
        p_value=p_value,
        cluster_index=halved.index,
        usual_index=halved.expected,
        examples=(large, small),
    )


def _typical(halved: _Halved, side: NDArray[np.bool_]) -> tuple[int, ...]:
    """The rows nearest the middle of one part."""
    points, rows = halved.points[side], halved.rows[side]
    distance = ((points - points.mean(axis=0)) ** 2).sum(axis=1)
    return tuple(rows[np.argsort(distance, kind="stable")[:EXAMPLES]].tolist())
