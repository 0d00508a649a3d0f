"""Where a network fails: slices of the photos that it is wrong about more often than by chance.

A slice is the photos that share a value of an attribute: a source, a photographer, dark or small
photos; or that are a cluster of their class in feature space. What is compared is the slice and
other photos of the same classes, so a slice of hard classes is none. All slices are tried together:
the largest excess over them is compared with what it is when errors are exchanged at random within
each class (Westfall and Young, Resampling-Based Multiple Testing, 1993), so in 95 of 100 sets
without a weak slice nothing is reported.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from imgcli.evaluation.intervals import first_of_groups, group_sums, retraining
from imgcli.evaluation.metrics import independent, wilson_interval
from imgcli.records import FloatArray, IntArray, Predictions
from imgcli.text import count, interval, percent

Bools = NDArray[np.bool_]
Attribute = FloatArray | Sequence[str | None]  # (M,) numbers, nan where unknown; or names

SHUFFLES = 999
SURE = 0.05  # the probability that anything is reported where there is nothing
FEWEST = 20  # photos of a slice
LEAST = 0.03  # points of accuracy below that of other photos of the same classes
ENDS = (0.1, 0.25)  # shares of the photos at either end of a number
VALUES = 100  # of a named attribute, the most frequent
OVERLAP = 0.5  # share of the smaller of two slices by one attribute; the better one is left out
AT_ONCE = 1 << 24  # exchanged errors that are held
MOST = 10  # slices, the worst
SHOWN = 6  # photos of a slice
CLUSTER = "cluster"  # the attribute of slices in feature space


@dataclass(frozen=True)
class Slice:
    """Photos that the network is wrong about more often than about others of their classes."""

    attribute: str
    value: str  # in words
    n: int
    accuracy: float
    accuracy_ci95: tuple[float, float]
    elsewhere: float  # accuracy of other photos, in the slice's mix of classes
    p_value: float  # of so large an excess in any slice, by chance
    tried: int  # slices
    wrong: tuple[str, ...]  # photos, the most confident mistakes first

    @property
    def sentence(self) -> str:
        """For people."""
        at_most = self.p_value * (SHUFFLES + 1) < 1.5
        return (
            f"{self.attribute.capitalize()} {self.value} ({count(self.n, 'photo')}): accuracy "
            f"{percent(self.accuracy)} (95 % interval {interval(self.accuracy_ci95)}), other "
            f"photos of the same classes {percent(self.elsewhere)} (p "
            f"{'≤' if at_most else '='} {self.p_value:.3f}, the largest of "
            f"{count(self.tried, 'slice')} tried)."
        )

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {**asdict(self), "sentence": self.sentence}


def weak_slices(
    predictions: Predictions,
    attributes: Mapping[str, Attribute],
    clusters: Sequence[Sequence[str | None]] = (),
    seed: int = 0,
) -> list[Slice]:
    """The slices with more errors than chance explains, the ten worst; of those that overlap, one.

    A near-duplicate group counts as one photo, with the mean of its errors.

    Args:
        attributes: (M,) values of each, by name.
        clusters: (M,) the cluster of each photo, several times: coarse and fine ones overlap.
    """
    given = [*attributes.items(), *((CLUSTER, names) for names in clusters)]
    tried = [(name, *one) for name, values in given for one in _slices(values)]
    if not tried:
        return []
    error = (predictions.preds != predictions.targets).astype(np.float64)
    group, size = np.unique(predictions.groups, return_inverse=True, return_counts=True)[1:]
    shares = group_sums(error, predictions.groups) / size
    first = first_of_groups(np.arange(len(predictions)), predictions.groups)
    targets, shares = predictions.targets[first], shares[group[first]]
    inside = np.array([rows[first] for *_, rows in tried])
    excess, largest = _excesses(inside, targets, shares, np.random.default_rng(seed))
    p_values = (1 + (largest[:, None] >= excess - 1e-9).sum(axis=0)) / (1 + len(largest))
    weak: list[tuple[Slice, Bools]] = []
    for i in np.argsort(-excess, kind="stable").tolist():
        if len(weak) == MOST:
            break
        name, value, rows = tried[i]
        if p_values[i] > SURE or any(
            name == one.attribute and _overlap(rows, other) >= OVERLAP for one, other in weak
        ):
            continue
        found = _slice(predictions, name, value, rows, float(p_values[i]), len(tried))
        if found.elsewhere - found.accuracy >= LEAST:
            weak.append((found, rows))
    return [one for one, _ in weak]


def _overlap(one: Bools, other: Bools) -> float:
    """Photos in both slices, as a share of the smaller one."""
    return float((one & other).sum() / min(one.sum(), other.sum()))


def _slices(given: Attribute) -> Iterator[tuple[str, Bools]]:
    """The slices by an attribute: the value in words, and which photos."""
    if isinstance(given, np.ndarray):
        known = given[~np.isnan(given)]
        for share in ENDS if len(known) else ():
            low, high = np.quantile(known, [share, 1 - share])
            yield from _worth(f"of {_number(low)} and less", given <= low)
            yield from _worth(f"of {_number(high)} and more", given >= high)
        return
    names = np.array(["" if name is None else name for name in given])
    values, of, n = np.unique(names, return_inverse=True, return_counts=True)
    for place in np.argsort(-n, kind="stable")[:VALUES].tolist():
        if values[place]:
            yield from _worth(str(values[place]), of == place)


def _worth(value: str, rows: Bools) -> Iterator[tuple[str, Bools]]:
    if rows.sum() >= FEWEST and (~rows).sum() >= FEWEST:
        yield value, rows


def _number(value: float) -> str:
    return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _excesses(
    inside: Bools, targets: IntArray, shares: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """The excess of errors in each of S slices, and the largest one by chance, time after time.

    In standard deviations of what errors exchanged within each class give (hypergeometric).

    Args:
        inside: (S, M) the photos of each slice.
        targets: (M,) classes.
        shares: (M,) errors, 0 to 1.

    Returns:
        (S,), and (SHUFFLES,).
    """
    order = np.argsort(targets, kind="stable")
    inside, targets, shares = inside[:, order], targets[order], shares[order]
    k = int(targets[-1]) + 1
    photos = np.bincount(targets, minlength=k)
    mean = np.bincount(targets, shares, minlength=k) / np.maximum(photos, 1)
    spread = np.bincount(targets, (shares - mean[targets]) ** 2, minlength=k)
    members = csr_array(inside.astype(np.float64))
    own = members @ csr_array((np.ones(len(targets)), (np.arange(len(targets)), targets)))
    own = own.toarray()  # (S, K) photos of each class in each slice
    expected = own @ mean
    variance = (own * (photos - own) / np.maximum(photos * (photos - 1), 1)) @ spread
    deviation = np.sqrt(np.where(variance > 0, variance, np.inf))
    excess = (members @ shares - expected) / deviation
    parts = np.split(shares, np.cumsum(photos)[:-1])
    largest = []
    step = max(1, AT_ONCE // len(shares))
    for start in range(0, SHUFFLES, step):
        b = min(step, SHUFFLES - start)
        drawn = [rng.permuted(np.tile(part, (b, 1)), axis=1) for part in parts if len(part)]
        sums = members @ np.concatenate(drawn, axis=1).T
        largest.append(((sums - expected[:, None]) / deviation[:, None]).max(axis=0))
    return excess, np.concatenate(largest)


def _slice(
    predictions: Predictions, name: str, value: str, rows: Bools, p_value: float, tried: int
) -> Slice:
    correct = predictions.preds == predictions.targets
    n, accuracy = int(rows.sum()), float(correct[rows].mean())
    k = len(predictions.classes)
    own = np.bincount(predictions.targets[rows], minlength=k)
    others = np.bincount(predictions.targets[~rows], minlength=k)
    right = np.bincount(predictions.targets[~rows], correct[~rows], minlength=k)
    there = others > 0  # classes that are in the slice alone say nothing
    elsewhere = (own * right)[there] / others[there]
    wrong = np.flatnonzero(rows & ~correct)
    wrong = wrong[np.argsort(-predictions.probs[wrong].max(axis=1), kind="stable")]
    return Slice(
        attribute=name,
        value=value,
        n=n,
        accuracy=accuracy,
        accuracy_ci95=wilson_interval(
            accuracy, independent(predictions.groups[rows]) / retraining(predictions.folds)
        ),
        elsewhere=float(elsewhere.sum() / own[there].sum()) if own[there].any() else accuracy,
        p_value=p_value,
        tried=tried,
        wrong=tuple(predictions.paths[row] for row in wrong[:SHOWN].tolist()),
    )
