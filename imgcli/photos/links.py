"""Which candidates show the same photo, and the groups that these links make."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imgcli.compute.local import in_threads
from imgcli.photos import fingerprint
from imgcli.photos.candidates import BLOCK, PLACEMENTS, TURNS, FingerprintRows, Pairs, blocks
from imgcli.photos.fingerprint import Array, Fingerprints, Planes
from imgcli.progress import track
from imgcli.records import IntArray

Bools = NDArray[np.bool_]
Positions = NDArray[np.integer[Any]]

PHOTOS = 1 << 16  # of so many the thumbnails are in memory at once; at half the size that is 105 MB


class Stage(NamedTuple):
    """A comparison of pairs at some size."""

    planes_of: Callable[[Fingerprints], Planes]
    steps: int  # to the best fit
    tolerance: float  # as a multiple of the pair's limit
    at_once: int  # pairs that stay in a core's cache


# Cheapest first. At half the size and after one step most differences show: of 2,764 planted copies
# 99.9 % are within 1.4 times the limit, of pairs of MNIST digits 87 % are beyond 1.6 times.
HALF = (Stage(fingerprint.half_luma, 1, 1.6, 256), Stage(fingerprint.half_luma, 1, 1.25, 256))
FULL = (Stage(fingerprint.luma, 3, 1.0, 64),)
COLOURS = 256  # pairs whose colours are compared at once


@dataclass(frozen=True, eq=False)
class Comparison:
    """N fingerprints to be compared.

    Args:
        order: their positions in the order in which they are read fastest.
    """

    fingerprints: FingerprintRows
    tolerance: Array  # (N,)
    order: IntArray  # (N,)

    def links(self, pairs: Pairs) -> IntArray:
        """The pairs that show the same photo, (L, 2)."""
        found = [np.empty((0, 2), np.int64)]
        batches = list(self._batches(pairs))
        for batch in track(batches, "Comparing", len(batches), "batches"):
            some = pairs[batch]
            some, warp = self._alike(some, PLACEMENTS[some.view], HALF)
            for rows in blocks(np.arange(len(some)), PHOTOS // 8):
                found.append(self._same(some[rows], warp[rows]))
        return np.concatenate(found)

    def _batches(self, pairs: Pairs) -> Iterator[IntArray]:
        """Rows of the pairs, in batches that need no more than PHOTOS photos."""
        half = PHOTOS // 2
        tile = self._rank[pairs.first].astype(np.int64) // half * len(self.order)
        tile += self._rank[pairs.second] // half
        rows = np.argsort(tile, kind="stable")
        edges = np.flatnonzero(np.diff(tile[rows], prepend=-1, append=-1)).tolist()
        start = 0
        for before, edge in pairwise(edges):
            if edge - start > half and before > start:
                yield rows[start:before]
                start = before
        if len(rows):
            yield rows[start:]

    @cached_property
    def _rank(self) -> NDArray[np.int32]:
        """(N,) of each fingerprint in the order of reading."""
        rank = np.empty(len(self.order), np.int32)
        rank[self.order] = np.arange(len(self.order))
        return rank

    def _same(self, pairs: Pairs, warp: Array) -> IntArray:
        """Those that agree at full size as well, in grey and then in colour, (L, 2)."""
        pairs, warp = self._alike(pairs, warp, FULL)
        sides = self._sides(pairs, fingerprint.chroma)

        def agree(rows: IntArray) -> Bools:
            a, b = sides(rows)
            return fingerprint.colour_residual(a, b, warp[rows]) < fingerprint.COLOUR_TOLERANCE

        keep = [np.zeros(0, bool), *in_threads(agree, blocks(np.arange(len(pairs)), COLOURS))]
        pairs = pairs[np.concatenate(keep)]
        return np.stack([pairs.first, pairs.second], axis=1).astype(np.int64)

    def _alike(self, pairs: Pairs, warp: Array, stages: tuple[Stage, ...]) -> tuple[Pairs, Array]:
        """Those that agree at each stage, and their placements. The stages are of one size."""
        sides = self._sides(pairs, stages[0].planes_of)
        left = np.arange(len(pairs))
        for stage in stages:
            fit = partial(self._fit, pairs, warp, sides, stage)
            for rows, placed in list(in_threads(fit, blocks(left, stage.at_once))):
                warp[rows] = placed
            left = left[~np.isnan(warp[left, 0])]
        return pairs[left], warp[left]

    def _fit(
        self, pairs: Pairs, warp: Array, sides: "Sides", stage: Stage, rows: IntArray
    ) -> tuple[IntArray, Array]:
        """The placements of some pairs; NaN for those that do not agree."""
        a, b = sides(rows)
        placed = fingerprint.place(a, b, warp[rows], steps=stage.steps)
        limit = stage.tolerance * self.limit(pairs.first[rows], pairs.second[rows])
        placed[~(fingerprint.residual(a, b, placed) < limit)] = np.nan
        return rows, placed

    def _sides(self, pairs: Pairs, planes_of: Callable[[Fingerprints], Planes]) -> "Sides":
        """Reads the thumbnails of the pairs."""
        ranks, place = np.unique(
            self._rank[np.concatenate([pairs.first, pairs.second])], return_inverse=True
        )
        read = in_threads(
            lambda block: planes_of(self.fingerprints[block]), blocks(self.order[ranks], BLOCK)
        )
        planes = list(read)
        return Sides(
            np.concatenate(planes) if planes else np.empty(0, np.float32),
            place.reshape(2, -1).astype(np.int32),
            np.stack([TURNS[pairs.view], TURNS[pairs.indexed]]),
        )

    def limit(self, first: Positions, second: Positions) -> Array:
        """The largest residual of the same photo, for each pair."""
        return np.minimum(self.tolerance[first], self.tolerance[second])

    def resemble(self, centre: int, others: IntArray) -> Bools:
        """Whether each of the others is loosely the same as the centre, in whatever turn."""
        plane = fingerprint.half_luma(self.fingerprints[np.array([centre])])
        found = np.zeros(len(others), bool)
        for rows in blocks(np.arange(len(others)), BLOCK):
            planes = fingerprint.half_luma(self.fingerprints[others[rows]])
            limit = 2 * self.limit(np.array([centre]), others[rows])
            for turn in range(8):
                left = np.flatnonzero(~found[rows])
                found[rows[left]] = residuals(plane[0], planes[left], (turn,)) < limit[left]
        return found


class Sides(NamedTuple):
    """Both sides of M pairs, among the thumbnails that have been read for them."""

    planes: Array  # (P, ..., n, n)
    place: NDArray[np.int32]  # (2, M)
    turn: IntArray  # (2, M) in which they look alike

    def __call__(self, rows: IntArray) -> tuple[Array, Array]:
        """Those of some pairs, turned so that they look alike."""
        a, b = (
            _each_turned(self.planes[place[rows]], turn[rows])
            for place, turn in zip(self.place, self.turn, strict=True)
        )
        return a, b


def residuals(plane: Array, others: Array, turns: Iterable[int] = range(8)) -> Array:
    """The residual (M,) of a picture (n, n) and each of the others (M, n, n) in its best turn."""
    best = np.full(len(others), np.inf)
    for turn in turns:
        for rows in blocks(np.arange(len(others)), 128):
            b = fingerprint.turned(others[rows], turn)
            a = np.repeat(plane[None], len(b), axis=0)
            placed = fingerprint.place(a, b, np.tile(fingerprint.WHOLE, (len(b), 1)), steps=6)
            best[rows] = np.minimum(best[rows], fingerprint.residual(a, b, placed))
    return best


def _each_turned(planes: Array, turns: IntArray) -> Array:
    out = np.empty_like(planes)
    for turn in np.unique(turns).tolist():
        out[turns == turn] = fingerprint.turned(planes[turns == turn], turn)
    return out


# --- groups -------------------------------------------------------------------------------------


def join(links: IntArray, n: int, resemble: Callable[[int, IntArray], Bools]) -> IntArray:
    """The group (n,) of each photo, named by its centre, from links (L, 2) between photos.

    A group grows from its centre, the photo with the most links that is left, along the links for
    as long as what it meets resembles the centre. So what is linked to the centre is in its group,
    a chain of small steps to something else is cut, and a link between two groups is rare.
    """
    partners = _Partners.of(links, n)
    groups, left = np.arange(n), partners.counts > 0
    for centre in np.lexsort((np.arange(n), -partners.counts))[: int(left.sum())].tolist():
        if not left[centre]:
            continue
        left[centre] = False
        met = {centre}
        ring = partners.of_all([centre])
        ring = ring[left[ring]]
        while len(ring):
            groups[ring] = centre
            left[ring] = False
            met.update(ring.tolist())
            beyond = partners.of_all(ring.tolist())
            fresh = [photo for photo in beyond[left[beyond]].tolist() if photo not in met]
            if not fresh:
                break
            met.update(fresh)
            ring = np.array(fresh)
            ring = ring[resemble(centre, ring)]
    return groups


class _Partners(NamedTuple):
    """What each of n photos is linked to."""

    counts: IntArray  # (n,)
    start: IntArray  # (n,)
    partner: IntArray  # (2 L,)

    @classmethod
    def of(cls, links: IntArray, n: int) -> "_Partners":
        both = np.unique(np.concatenate([links, links[:, ::-1]]) @ np.array([n, 1]))
        counts = np.bincount(both // n, minlength=n)
        return cls(counts, np.cumsum(counts) - counts, both % n)

    def of_all(self, photos: list[int]) -> IntArray:
        """What any of the photos is linked to, in order."""
        found = [self.partner[self.start[i] : self.start[i] + self.counts[i]] for i in photos]
        return found[0] if len(found) == 1 else np.unique(np.concatenate(found))
