"""Marks that give a class away: a logo, a date stamp, a watermark, a frame that only it has.

The photos' thumbnails are cut into 10 × 10 cells, the same in all photos. In each cell a linear
classifier (Fisher's discriminant, of the cell's own pixels) tells each class from all others, and
is tried on photos that it was not fitted to, near-duplicates counted once. So each class gets a
map: the share of its photos that a cell alone picks out when it takes 1 % of all other photos for
the class as well. A thing in the photo is spread over many cells and moves about. A mark is in the
same few cells of nearly every photo, at the edge, and the rest of the map is low. A frame is the
outermost cells on all sides, and nothing inside them.

Class activation maps of a pretrained network do not find such marks: its head, fitted with
regularisation, tells the class by the object and gives a planted red square 0.3 % of the evidence.
A network that is trained on the photos does learn it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from imgcli.photos.fingerprint import SIDE
from imgcli.records import FloatArray, IntArray
from imgcli.text import count, percent

CELLS = 10  # each way
FEWEST = 10  # photos of a class, near-duplicates counted once
OTHERS = 0.01  # share of the other photos that a cell may take for the class
SURE = 0.01  # expected false alarms of chance alone, over all classes and cells

# In caltech30 98 of 100 visible corner marks, 6 to 16 % of the short side, and 53 of 57 frames and
# bars were found at their place; 300 draws of 2 to 10 classes of 12 to 100 photos, but for Leopards
# and accordion, which have frames, gave no false alarm (tests/benchmarks/shortcuts.py).
_LEAST = 0.45  # share of the class's photos that the mark's cell picks out
_ABOVE = {"corner": 0.25, "edge": 0.5}  # that it is above all other cells; objects reach the edges
_CHANCE = 0.2  # share of a class's photos that a cell of a natural photo picks out
_LARGEST = 24  # cells of a mark
_EDGE = 2  # cells from the edge that a mark is looked for in
_MIDDLE = slice(3, -3)
_SAMPLE = 12_000  # photos that are looked at; more only where that is under 20 of a class
COMPARED = 3_000  # of them, with which each class is compared: else K classes would cost K²
_PER_CLASS = 200
_FOLDS = 5
_RIDGE = 0.05  # of the mean variance of a cell's pixels
_NOISE = 4.0  # variance of a pixel that compression alone makes, in grey levels²

Kind = Literal["corner", "edge", "frame"]


@dataclass(frozen=True)
class Shortcut:
    """A place in the photos that gives a class away by itself."""

    label: str  # the class
    kind: Kind
    place: str  # in words: "bottom right corner", "top edge", "frame around the photo"
    centre: tuple[float, float]  # of the mark, in shares of width and height
    n: int  # photos looked at
    found: int  # of them picked out
    elsewhere: float  # share that the best cell away from the mark picks out
    rows: tuple[int, ...]  # photos that are picked out, most clearly first

    @property
    def sentence(self) -> str:
        """What is wrong and what to do, to follow the name of the class."""
        return (
            f"the {self.place} alone tells {self.found:,} of {count(self.n, 'photo')} from "
            f"{percent(1 - OTHERS, digits=0)} of all other photos; any other spot tells at most "
            f"{percent(self.elsewhere, digits=0)} of them. A mark, stamp or frame there may be "
            "learned instead of the class. Look at these photos, and crop or blank that place in "
            "all photos"
        )


class _Map(NamedTuple):
    """Where a class is told from the others by a cell alone."""

    shares: FloatArray  # (CELLS, CELLS) of its photos
    rows: IntArray  # (n,) the photos
    margins: FloatArray  # (CELLS, CELLS, n) how far each is beyond 99 % of the others


class Thumbnails(Protocol):
    """Thumbnails by row, in memory (an array) or on disk."""

    def __getitem__(self, rows: IntArray) -> NDArray[np.uint8]: ...


def find_shortcuts(
    thumbnails: Thumbnails, labels: Sequence[str], groups: IntArray, seed: int = 0
) -> list[Shortcut]:
    """The classes that a mark gives away.

    Args:
        thumbnails: (N, SIDE, SIDE, 3) of the photos.
        labels: (N,) their classes.
        groups: (N,) near-duplicates have one number, and count once in a class.
    """
    classes, targets = np.unique(np.array(labels), return_inverse=True)
    rows = _sample(targets, groups, seed)
    counts = np.bincount(targets[rows], minlength=len(classes))
    wanted = np.flatnonzero(counts >= FEWEST)
    if len(classes) < 2 or len(rows) - counts.max(initial=0) < FEWEST:
        return []
    found = []
    sample = _maps(thumbnails[rows], targets[rows], np.arange(len(rows)), wanted, seed)
    for k, one in ((k, one._replace(rows=rows[one.rows])) for k, one in sample):
        alone = _marked(one, str(classes[k]), len(wanted)) or _framed(
            one, str(classes[k]), len(wanted)
        )
        found += [alone] if alone else []
    return found


def _sample(targets: IntArray, groups: IntArray, seed: int) -> IntArray:
    """Rows of the photos that are looked at: of each class some, none twice."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(targets))
    _, first = np.unique(np.stack([targets, groups])[:, order], axis=1, return_index=True)
    rows = np.sort(order[first])
    classes = int(targets.max(initial=0)) + 1
    most = min(_PER_CLASS, max(2 * FEWEST, _SAMPLE // classes))
    shuffled = rng.permutation(rows)
    chosen = [shuffled[targets[shuffled] == k][:most] for k in range(classes)]
    return np.sort(np.concatenate(chosen)) if chosen else rows


# --- the maps ------------------------------------------------------------------------------------


def _maps(
    thumbnails: NDArray[np.uint8], targets: IntArray, rows: IntArray, wanted: IntArray, seed: int
) -> Iterator[tuple[int, _Map]]:
    """The map of each of the classes `wanted`."""
    targets = targets[rows]
    fold = _folds(targets, seed)
    side = SIDE // CELLS
    own_rows = [np.flatnonzero(targets == k) for k in wanted]
    compared = _spread(len(rows), COMPARED, seed)
    margins = [np.empty((CELLS, CELLS, len(own))) for own in own_rows]
    for y in range(CELLS):
        for x in range(CELLS):
            cell = thumbnails[rows, y * side : (y + 1) * side, x * side : (x + 1) * side]
            pixels = cell.reshape(len(rows), -1).astype(np.float32)
            scores, against = held_out_scores(pixels, targets, fold, compared)
            limits = score_limits(against, targets[compared])
            for place, k in enumerate(wanted.tolist()):
                margins[place][y, x] = scores[own_rows[place]] - limits[k]
    for k, own, margin in zip(wanted.tolist(), own_rows, margins, strict=True):
        yield k, _Map((margin > 0).mean(axis=2), rows[own], margin)


def score_limits(scores: NDArray[np.float32], targets: IntArray) -> FloatArray:
    """The score that `OTHERS` of the photos of other classes reach, of each class `(K,)`.

    Args:
        scores: (C, K) of photos of all classes.
        targets: (C,) their own; whose scores are overwritten.
    """
    scores[np.arange(len(targets)), targets] = -np.inf
    others = len(targets) - np.bincount(targets, minlength=scores.shape[1])
    depth = np.maximum(others - 1, 0) * OTHERS  # of the limit below the highest score
    deepest = min(len(targets), int(depth.max()) + 2)
    some = np.partition(scores.T, len(targets) - deepest, axis=1)[:, -deepest:]
    highest = -np.sort(-some.astype(np.float64), axis=1)
    above = depth.astype(np.int64)
    columns, below = np.arange(len(depth)), np.minimum(above + 1, deepest - 1)
    upper, lower = highest[columns, above], highest[columns, below]
    return np.asarray(upper + (depth - above) * (lower - upper))


def _spread(n: int, most: int, seed: int) -> IntArray:
    """At most so many of n photos, drawn at random, in their order."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def _folds(targets: IntArray, seed: int) -> IntArray:
    """A fold for each photo, (N,), stratified."""
    rng = np.random.default_rng(seed)
    fold = np.empty(len(targets), np.int64)
    for k in np.unique(targets):
        own = rng.permutation(np.flatnonzero(targets == k))
        fold[own] = np.arange(len(own)) % _FOLDS
    return fold


def held_out_scores(
    pixels: NDArray[np.float32], targets: IntArray, fold: IntArray, compared: IntArray
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scores of a class against the rest, by classifiers that have not seen the photo.

    Args:
        pixels: (N, P) of one cell.
        compared: (C,) rows that get the scores of all classes.

    Returns:
        `(N,)` each photo's score of its own class, and `(C, K)`.
    """
    pixels = pixels - pixels.mean(axis=0)
    n, size = pixels.shape
    sums_of, counts_of = _sums(pixels, targets, fold)  # (folds, K, P), (folds, K, 1)
    own = np.empty(n, np.float32)
    scores = np.empty((len(compared), sums_of.shape[1]), np.float32)
    for f in range(_FOLDS):
        held = np.flatnonzero(fold == f)
        if not len(held):
            continue
        known = pixels[fold != f]
        counts, sums = counts_of.sum(axis=0) - counts_of[f], sums_of.sum(axis=0) - sums_of[f]
        means = sums / np.maximum(counts, 1)
        within = (known.T @ known - means.T @ sums) / max(1, len(known) - len(counts))
        ridge = _RIDGE * np.trace(within) / size + _NOISE
        rest = (known.sum(axis=0) - sums) / np.maximum(1, len(known) - counts)
        weights = np.linalg.solve(within + ridge * np.eye(size, dtype=np.float32), (means - rest).T)
        middle = ((means + rest) / 2 * weights.T).sum(axis=1)
        label = targets[held]
        own[held] = np.einsum("np,np->n", pixels[held], weights.T[label]) - middle[label]
        some = np.flatnonzero(fold[compared] == f)
        scores[some] = pixels[compared[some]] @ weights - middle
    return own, scores


def _sums(
    pixels: NDArray[np.float32], targets: IntArray, fold: IntArray
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The sums of the pixels of each fold and class, `(folds, K, P)`, and its photos."""
    classes = int(targets.max()) + 1
    cell, cells = fold * classes + targets, _FOLDS * classes
    sums = np.stack([np.bincount(cell, column, minlength=cells) for column in pixels.T], axis=1)
    counts = np.bincount(cell, minlength=cells)
    return (
        sums.reshape(_FOLDS, classes, -1).astype(np.float32),
        counts.reshape(_FOLDS, classes, 1).astype(np.float32),
    )


# --- the decision --------------------------------------------------------------------------------


def _marked(found: _Map, label: str, classes: int) -> Shortcut | None:
    """A mark in a few cells near the edge."""
    shares = found.shares
    inside = shares[_EDGE:-_EDGE, _EDGE:-_EDGE].max()
    near_edge = shares.copy()
    near_edge[_EDGE:-_EDGE, _EDGE:-_EDGE] = -1
    peak = divmod(int(near_edge.argmax()), CELLS)
    share = float(shares[peak])
    if share < _LEAST or share <= inside:
        return None
    spot = _around(shares >= max(share / 2, (share + inside) / 2), peak)
    elsewhere = float(shares[~_grown(spot)].max(initial=0))
    ends = np.zeros_like(spot)
    ends[np.ix_([0, 1, -2, -1], [0, 1, -2, -1])] = True
    kind: Kind = "corner" if (spot & ends).any() else "edge"
    if (
        spot.sum() > _LARGEST
        or spot[_MIDDLE, _MIDDLE].any()
        or share - elsewhere < _ABOVE[kind]
        or not _beyond_chance(share, len(found.rows), max(_CHANCE, elsewhere), classes)
    ):
        return None
    return _shortcut(found, label, kind, spot, peak, elsewhere)


def _framed(found: _Map, label: str, classes: int) -> Shortcut | None:
    """A frame: three quarters of the outermost cells tell the class, and none inside."""
    ring = np.ones((CELLS, CELLS), bool)
    ring[1:-1, 1:-1] = False
    share = float(np.quantile(found.shares[ring], 0.25))
    inside = float(found.shares[_EDGE:-_EDGE, _EDGE:-_EDGE].max())
    if share < _LEAST or not _beyond_chance(share, len(found.rows), max(_CHANCE, inside), classes):
        return None
    order = np.argsort(np.abs(np.where(ring, found.shares, np.inf) - share), axis=None)
    typical = divmod(int(order[0]), CELLS)
    return _shortcut(found, label, "frame", ring, typical, inside)


def _shortcut(
    found: _Map,
    label: str,
    kind: Kind,
    spot: NDArray[np.bool_],
    peak: tuple[int, int],
    elsewhere: float,
) -> Shortcut:
    weights = np.where(spot, found.shares, 0)
    middles = (np.arange(CELLS) + 0.5) / CELLS
    x = float(weights.sum(axis=0) @ middles / weights.sum())
    y = float(weights.sum(axis=1) @ middles / weights.sum())
    margin = found.margins[peak]
    order = np.argsort(-margin, kind="stable")[: int((margin > 0).sum())]
    return Shortcut(
        label=label,
        kind=kind,
        place=_in_words(kind, x, y),
        centre=(x, y),
        n=len(margin),
        found=len(order),
        elsewhere=elsewhere,
        rows=tuple(found.rows[order].tolist()),
    )


def _in_words(kind: Kind, x: float, y: float) -> str:
    """The place of a mark, by its middle; one along an edge belongs to none of its corners."""
    if kind == "frame":
        return "frame around the photo"
    down, across = ("top" if y < 0.5 else "bottom"), ("left" if x < 0.5 else "right")
    from_side, from_end = min(x, 1 - x), min(y, 1 - y)
    if max(from_side, from_end) <= 0.3:
        return f"{down} {across} corner"
    return f"{down if from_end < from_side else across} edge"


def _around(high: NDArray[np.bool_], start: tuple[int, int]) -> NDArray[np.bool_]:
    """The high cells that hang together with one of them, corners included."""
    spot = np.zeros_like(high)
    spot[start] = True
    while True:
        grown = _grown(spot) & high
        if (grown == spot).all():
            return spot
        spot = grown


def _grown(spot: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The cells of a spot and those that touch it."""
    wide = np.pad(spot, 1)
    n = len(spot)
    shifts = [wide[i : i + n, j : j + n] for i in range(3) for j in range(3)]
    grown: NDArray[np.bool_] = np.logical_or.reduce(shifts)
    return grown


def _beyond_chance(share: float, n: int, chance: float, classes: int) -> bool:
    """Whether so large a share of n photos is no chance, whatever class and cell it was found in.

    By the binomial distribution and Bonferroni's bound.
    """
    tests, least = classes * CELLS * CELLS, round(share * n)
    if chance >= 1:
        return False
    logs = [
        math.lgamma(n + 1)
        - math.lgamma(i + 1)
        - math.lgamma(n - i + 1)
        + i * math.log(chance)
        + (n - i) * math.log1p(-chance)
        for i in range(least, n + 1)
    ]
    return bool(sum(map(math.exp, logs)) * tests <= SURE)
