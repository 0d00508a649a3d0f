"""The pairs of photos that are worth comparing, among any number of fingerprints.

Each fingerprint is read twice, block by block: first for what all others are looked up in, then to
look it up. A photo costs 340 bytes of memory (`Index`) and its fingerprint stays on disk; time
grows as sorting does. What is found depends on the fingerprints and their positions only.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from imgcli.compute.local import in_threads
from imgcli.photos.fingerprint import (
    Array,
    Fingerprints,
    Planes,
    cosines,
    luma,
    thumbnails,
    tolerance_of,
)
from imgcli.progress import track
from imgcli.records import IntArray

Codes = NDArray[np.uint64]
Sliceable = TypeVar("Sliceable", bound=Any)
View = tuple[int, tuple[float, float], tuple[float, float]]

VERSION = 1  # of the whole search: raised when the same fingerprints come into other groups
BLOCK = 1024  # fingerprints at once, in 40 MB per core at most

# A view is a turn and what is cut off across and down, before and after, as shares of a side. All
# photos are indexed in the first two views and looked up in every one: so each of the eight turns
# meets, and a crop by 5 % is 2.5 % of a side away from some view, or less.
UNCUT = (0.0, 0.0)
CUTS = ((0.0, 0.05), (0.025, 0.025), (0.05, 0.0))
VIEWS: tuple[View, ...] = (
    *((turn, UNCUT, UNCUT) for turn in (0, 2, 1, 4, 5)),
    *((0, across, down) for across in CUTS for down in CUTS),
    (0, (0.05, 0.05), (0.05, 0.05)),
)
INDEXED = 2
TURNS = np.array([turn for turn, _, _ in VIEWS])
PLACEMENTS = np.array(
    [(1 - sum(x), x[0] - x[1], 1 - sum(y), y[0] - y[1]) for _, x, y in VIEWS], np.float32
)

WAVES = 8  # frequencies per axis, of which those that add up to less than this
ROW, COLUMN = (axis[1:] for axis in np.nonzero(np.tri(WAVES)[::-1]))  # all but the mean
# What the first descriptor is multiplied by to give that of each view that is indexed.
SIGNS = np.stack([np.ones(len(COLUMN)), np.where(COLUMN % 2, -1, 1)]).astype(np.float32)

# Of planted copies among 50,000 photos of CIFAR-10 these find 98 to 100 % of each kind; half of
# TABLES or of REACH would lose another 0.5 %, random codes differ in 32 bits.
BITS = 64
TABLES = 8
REACH = 2  # neighbours on each side
MAX_BITS = 36  # by which codes may differ, times the tolerance: 10 for a photo


class FingerprintRows(Protocol):
    """Fingerprints by position, in memory (an array) or on disk."""

    def __len__(self) -> int: ...

    def __getitem__(self, positions: IntArray) -> Fingerprints: ...


@dataclass(frozen=True, eq=False)
class Pairs:
    """M pairs of fingerprints that may be of the same photo."""

    first: NDArray[np.int32]  # (M,)
    second: NDArray[np.int32]  # (M,)
    view: NDArray[np.uint8]  # (M,) of the first, which resembles
    indexed: NDArray[np.uint8]  # (M,) this view of the second

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, rows: Any) -> "Pairs":
        return Pairs(self.first[rows], self.second[rows], self.view[rows], self.indexed[rows])


# --- the first reading --------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Survey:
    """What N fingerprints leave in memory when they are read for the first time."""

    tolerance: Array  # (N,) 0 for a flat photo
    uncut: Array  # (N, D) the descriptor of the first view
    twin: IntArray  # (N,) of a flat photo the first with the same thumbnail; of others the photo


def survey(fingerprints: FingerprintRows, order: IntArray) -> Survey:
    """Read all fingerprints.

    Args:
        order: their positions in the order in which they are read fastest.
    """
    n = len(fingerprints)
    found = Survey(np.empty(n, np.float32), np.empty((n, len(ROW)), np.float32), np.arange(n))
    first: dict[bytes, int] = {}

    def look_at(block: IntArray) -> list[tuple[int, bytes]]:
        some = fingerprints[block]
        grey = luma(some)
        found.tolerance[block] = limits = tolerance_of(grey, some[:, 0])
        found.uncut[block] = descriptors_of(grey, VIEWS[:1])[:, 0]
        flat = np.flatnonzero(limits == 0)
        pictures = thumbnails(some[flat])
        return [(i, _hash(one)) for i, one in zip(block[flat].tolist(), pictures, strict=True)]

    flat = [one for found_in in in_threads(look_at, blocks(order, BLOCK)) for one in found_in]
    for i, key in sorted(flat):
        found.twin[i] = first.setdefault(key, i)
    return found


def _hash(thumbnail: NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(thumbnail.tobytes(), digest_size=16).digest()


def blocks(items: Sliceable, size: int) -> Iterator[Sliceable]:
    """The items, `size` at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))


# --- views --------------------------------------------------------------------------------------


def descriptors_of(grey: Planes, views: Sequence[View] = VIEWS) -> Array:
    """The low frequencies of each view of pictures (N, SIDE, SIDE), of unit length, (N, V, D)."""
    cuts = sorted({cut for _, across, down in VIEWS for cut in (across, down)})
    basis = np.concatenate([cosines(WAVES, *cut) for cut in cuts])
    # All cuts and a product for each picture, whatever is asked for: a product's last bit depends
    # on its size, and of views that are equally close it decides.
    waves = basis @ grey @ basis.T
    waves = waves.reshape(-1, len(cuts), WAVES, len(cuts), WAVES)
    descriptors = np.empty((len(grey), len(views), len(ROW)), np.float32)
    for view, (turn, across, down) in enumerate(views):
        uncut = waves[:, cuts.index(down), :, cuts.index(across), :]
        # Photos have less power the higher the frequency.
        descriptors[:, view] = _turned_waves(uncut, turn)[:, ROW, COLUMN] * np.hypot(ROW, COLUMN)
    return cast(
        Array, descriptors / np.maximum(np.linalg.norm(descriptors, axis=2, keepdims=True), 1e-6)
    )


def _turned_waves(waves: Array, turn: int) -> Array:
    """`turned` of pictures that are given by their frequencies, (N, WAVES, WAVES)."""
    signs = np.where(np.arange(WAVES) % 2, -1, 1).astype(np.float32)
    if turn & 4:
        waves = waves.swapaxes(1, 2)
    if turn & 2:
        waves = waves * signs
    return waves * signs[:, None] if turn & 1 else waves


# --- codes --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Coder:
    """64 bits for a descriptor: on which side of the middle each of 64 mixtures of it is."""

    mixing: Array  # (D, BITS)
    middle: Array  # (BITS,)

    @classmethod
    def of(cls, uncut: Array, rows: IntArray) -> "Coder":
        """For those rows of the descriptors (N, D).

        Photos of one kind have much in common, so that their middle is not zero. That of a few
        photos would be between two copies.
        """
        mixing = np.random.default_rng(BITS).standard_normal((uncut.shape[1], BITS), np.float32)
        middle = np.empty(BITS, np.float32)
        for bits in blocks(np.arange(BITS), 8):  # all at once take 256 bytes a photo, twice
            mixed = np.empty((len(rows), len(bits)), np.float32)
            for part in blocks(np.arange(len(rows)), 1 << 14):
                mixed[part] = (uncut[rows[part]] @ mixing)[:, bits]
            middle[bits] = np.median(mixed, axis=0, overwrite_input=True)
        return cls(mixing, middle * (len(rows) / (len(rows) + 100)))

    def codes(self, descriptors: Array) -> Codes:
        """Of descriptors (..., D), (...)."""
        packed = np.packbits(descriptors @ self.mixing > self.middle, axis=-1)
        return packed.view(">u8")[..., 0].astype(np.uint64)


@dataclass(frozen=True, eq=False)
class Tables:
    """Codes, sorted in several rotations, in which similar ones are neighbours.

    As Manku, Jain and Das Sarma (2007) do it, but with a fixed number of neighbours in place of all
    codes that begin alike: among handwritten digits those are millions.
    """

    codes: tuple[Codes, ...]  # (N,) each, sorted
    order: tuple[NDArray[np.int32], ...]  # (N,) each; their positions

    @classmethod
    def of(cls, codes: Codes) -> "Tables":
        def sort(table: int) -> tuple[Codes, NDArray[np.int32]]:
            rotated = rotated_by(codes, table)
            order = _sorting(rotated, table)
            return rotated[order], order

        made = list(in_threads(sort, range(TABLES)))
        return cls(tuple(codes for codes, _ in made), tuple(order for _, order in made))

    def look_up(self, asked: Codes, most: NDArray[np.uint8]) -> tuple[IntArray, IntArray]:
        """Positions, in `asked` (Q,) and in the tables, of neighbours that differ in a few bits.

        Args:
            most: (Q,) in how many.
        """
        n, found = len(self.codes[0]), []
        for table, (codes, order) in enumerate(zip(self.codes, self.order, strict=True)):
            rotated = rotated_by(asked, table)
            rows = np.argsort(rotated)  # sorted they are looked up in half the time
            some, limit = rotated[rows], most[rows]
            place = np.searchsorted(codes, some)
            for step in range(-REACH, REACH):
                beside = np.clip(place + step, 0, n - 1)
                near = np.flatnonzero(np.bitwise_count(codes[beside] ^ some) <= limit)
                found.append(rows[near] * n + order[beside[near]])
        pairs = np.sort(np.concatenate(found))
        pairs = pairs[np.diff(pairs, prepend=-1) > 0]  # 15 times as fast as numpy.unique
        return pairs // n, pairs % n


def rotated_by(codes: Codes, table: int) -> Codes:
    shift = np.uint64(BITS // TABLES * table)
    return (codes << shift) | (codes >> (np.uint64(BITS) - shift)) if table else codes


def _sorting(codes: Codes, table: int) -> NDArray[np.int32]:
    """The order of the codes, the same whatever sort this processor has.

    Equal ones are in another order in each table, so that each meets several of the others.
    """
    order = np.argsort(codes)  # with kind="stable" it takes eight times as long
    ordered = codes[order]
    same = ordered[1:] == ordered[:-1]
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    order[tied] = order[tied][np.lexsort((scattered(order[tied], table), ordered[tied]))]
    return order.astype(np.int32)


def scattered(positions: IntArray, table: int) -> Codes:
    """A number for each position, none twice (Fibonacci hashing)."""
    return positions.astype(np.uint64) * np.uint64(pow(0x9E3779B97F4A7C15, table + 1, 1 << 64))


# --- the second reading -------------------------------------------------------------------------


def candidates(fingerprints: FingerprintRows, known: Survey, order: IntArray) -> Pairs:
    """Pairs that are worth comparing, each once, in the view in which it is closest."""
    rich = np.flatnonzero(known.tolerance)
    coder = Coder.of(known.uncut, rich)
    codes = np.empty((len(rich), INDEXED), np.uint64)
    for part in blocks(np.arange(len(rich)), 1 << 14):
        codes[part] = coder.codes(known.uncut[rich[part], None] * SIGNS)
    tables = Tables.of(codes.reshape(-1))
    del codes
    most = np.rint(MAX_BITS * known.tolerance).astype(np.uint8)

    def look_up(block: IntArray) -> tuple[Pairs, Array]:
        block = block[known.tolerance[block] > 0]
        descriptors = descriptors_of(luma(fingerprints[block]))
        asked = coder.codes(descriptors).reshape(-1)
        rows, entries = tables.look_up(asked, most[block].repeat(len(VIEWS)))
        first, second = block[rows // len(VIEWS)], rich[entries // INDEXED]
        other = first != second
        rows, entries, first, second = rows[other], entries[other], first[other], second[other]
        b = known.uncut[second] * SIGNS[entries % INDEXED]
        distance = 1 - np.einsum("md,md->m", descriptors.reshape(-1, len(ROW))[rows], b)
        # 98 % of each kind of planted copies are closer than this in their nearest view.
        limit = np.minimum(known.tolerance[first], known.tolerance[second])
        close = distance < limit**2
        return _closest(
            Pairs(
                first[close].astype(np.int32),
                second[close].astype(np.int32),
                (rows % len(VIEWS))[close].astype(np.uint8),
                (entries % INDEXED)[close].astype(np.uint8),
            ),
            distance[close],
        )

    total = -(-len(order) // BLOCK)
    found = list(track(in_threads(look_up, blocks(order, BLOCK)), "Searching", total, "blocks"))
    pairs = Pairs(
        np.concatenate([some.first for some, _ in found]),
        np.concatenate([some.second for some, _ in found]),
        np.concatenate([some.view for some, _ in found]),
        np.concatenate([some.indexed for some, _ in found]),
    )
    return _closest(pairs, np.concatenate([distance for _, distance in found]))[0]


def _closest(pairs: Pairs, distance: Array) -> tuple[Pairs, Array]:
    """Each pair once, in the view in which it is closest, with its distance.

    Of views at the same distance the first counts, of the photo that comes first.
    """
    one, other = np.minimum(pairs.first, pairs.second), np.maximum(pairs.first, pairs.second)
    order = np.lexsort((pairs.indexed, pairs.view, pairs.first, distance, other, one))
    one, other = one[order], other[order]
    best = order[np.append(True, (one[1:] != one[:-1]) | (other[1:] != other[:-1]))[: len(order)]]
    return pairs[best], distance[best]
