"""Whether new photos differ from those that a run was evaluated on: drift.

Two tests at half the level each: whether the new photos are more novel, by the largest difference
of the distributions of novelty on that side (Smirnov's one-sided test), and whether they have other
predicted classes, by the chi-square of the counts. On one side, because held-out photos come out
more novel than new ones of the same kind: they were predicted by networks of fewer photos. A
difference that many photos prove but that is small is not told either.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import chdtrc

from imgcli.records import FloatArray, IntArray
from imgcli.text import count, percent

LEVEL = 0.05  # of both tests together
FEWEST = 50  # new photos
FEWEST_KNOWN = (
    200  # held-out ones; with fewer, distances from the folds' photos are of another size
)
LEAST = 0.1  # difference of distributions, and of class proportions, from which on it is told
EXPECTED = 5.0  # photos of a class in either set; rarer ones are counted together
SHOWN = 10  # photos that differ most


@dataclass(frozen=True)
class Drift:
    """How new photos differ from the held-out ones of a run."""

    n: int  # new photos
    novelty: float  # by how much more of them are more novel than some score, at most, 0 to 1
    novelty_p: float
    classes: float  # total variation distance of the predicted classes, 0 to 1
    classes_p: float
    farthest: tuple[int, ...]  # rows of the new photos of the highest novelty

    @property
    def by_novelty(self) -> bool:
        """Whether the photos look different."""
        return self.novelty_p < LEVEL / 2 and self.novelty >= LEAST

    @property
    def by_classes(self) -> bool:
        """Whether the classes come in other shares."""
        return self.classes_p < LEVEL / 2 and self.classes >= LEAST

    @property
    def sentence(self) -> str | None:
        """For people; None where no difference is told."""
        photos = f"These {count(self.n, 'photo')}"
        if self.by_novelty:
            also = ", and the classes come in other shares" if self.by_classes else ""
            return (
                f"{photos} look different from those that the run was evaluated on{also}: expect "
                "a lower accuracy than it found."
            )
        if self.by_classes:
            return (
                f"{photos} have the classes in other shares than those that the run was evaluated "
                f"on ({percent(self.classes, digits=0)} would have to change): its accuracy there "
                "is not that of these."
            )
        return None

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "sentence": self.sentence}


def drift(
    known: FloatArray, weights: FloatArray, scores: FloatArray, before: IntArray, now: IntArray
) -> Drift | None:
    """Compare new photos with held-out ones; None for too few to tell.

    Args:
        known: (M,) novelty of the held-out photos, ascending.
        weights: (M,) of each: 1 by the photos of its near-duplicate group.
        scores: (N,) novelty of the new photos.
        before: (K,) held-out photos by predicted class.
        now: (K,) new photos by predicted class.
    """
    n, m = len(scores), float(weights.sum())
    if n < FEWEST or m < FEWEST_KNOWN:
        return None
    difference = _largest_difference(known, weights, scores)
    novelty_p = float(np.exp(-2 * difference**2 * n * m / (n + m)))
    distance, classes_p = _of_counts(before.astype(float), now.astype(float))
    farthest = np.argsort(-scores, kind="stable")[:SHOWN].tolist()
    return Drift(n, difference, novelty_p, distance, classes_p, tuple(farthest))


def _largest_difference(known: FloatArray, weights: FloatArray, scores: FloatArray) -> float:
    """By how much the share of held-out photos up to a score exceeds that of the new ones."""
    points = np.concatenate([known, scores])
    cumulative = np.concatenate([[0.0], np.cumsum(weights)]) / weights.sum()
    of_known = cumulative[np.searchsorted(known, points, side="right")]
    of_new = np.searchsorted(np.sort(scores), points, side="right") / len(scores)
    return max(0.0, float((of_known - of_new).max()))


def _of_counts(before: FloatArray, now: FloatArray) -> tuple[float, float]:
    """The total variation distance of two sets of counts, and the p-value of their chi-square."""
    share = (before + now) / (before.sum() + now.sum())
    rare = share * min(before.sum(), now.sum()) < EXPECTED
    table = np.stack([np.append(c[~rare], c[rare].sum()) for c in (before, now)])
    table = table[:, table.sum(axis=0) > 0]
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    shares = table / table.sum(axis=1, keepdims=True)
    freedom = table.shape[1] - 1
    return float(np.abs(shares[0] - shares[1]).sum() / 2), (
        float(chdtrc(freedom, statistic)) if freedom else 1.0
    )
