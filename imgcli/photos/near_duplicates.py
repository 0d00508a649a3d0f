"""Which photos are the same photo, or nearly: equal, resized, compressed, slightly cropped, turned.

    files -> fingerprints -> candidates -> links -> groups

Every photo is decoded once and leaves its fingerprint in the cache, and beside it the default view,
for training. A search over hashes of the fingerprints finds the pairs that may be of
one photo, a close comparison those that are, and these links are joined into groups. All of it in
the order of the photos' digests, so that the groups depend on contents alone.

Of 500 planted copies of photos of caltech30, among all 2,056 of them, so many are found: resized
to half or double or squashed, quality 40 and 15, as PNG, mirrored, turned, grey: all; cropped by
5 % on all sides 99.2 %, by 5 % in all 99.4 %, at a corner 99.8 %, on one side 98.6 %; up to 15 %
brighter or darker 99.8 %. Without planting, 78 photos of caltech30 are in 38 groups, each the same
photo to the eye; of CIFAR-10 0.8 % are grouped, of 60,000 MNIST digits none. For comparison, a
64-bit DCT hash within 12 bits finds 73 % of the crops on all sides, and groups 15 % of caltech30,
21 % of CIFAR-10 and all digits.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from imgcli.compute.local import in_threads
from imgcli.photos import decode, fingerprint, pipeline, resize
from imgcli.photos.decode import Fault
from imgcli.photos.fingerprint import Array, Fingerprints
from imgcli.photos.pipeline import Photo, Transform
from imgcli.photos.row_cache import RowStore
from imgcli.photos.sample_range import find_range
from imgcli.photos.views import store_of
from imgcli.progress import note_once, track
from imgcli.records import IntArray, Preprocess, Rejected
from imgcli.runs import CACHE

Mode = Literal["near", "exact", "off"]
Bools = NDArray[np.bool_]
Sliceable = TypeVar("Sliceable", bound=Any)

DEFAULT_VIEW = Preprocess(
    224
)  # of most of timm's networks; the aspect ratio is not kept, as is our default
PAIRS = 1024  # compared at once, in 60 MB per core

# The stages of a comparison, cheapest first: whether at half the size, steps to the best fit,
# and the tolerance as a multiple of the pair's limit. At half the size and after one step most
# differences show: of 2,764 planted copies 99.9 % are within 1.4 times the limit, of pairs of MNIST
# digits 87 % are beyond 1.6 times.
STAGES = ((True, 1, 1.6), (True, 1, 1.25), (False, 3, 1.0))


def duplicate_groups(
    files: Sequence[Path | str],
    digests: Sequence[str],
    mode: Mode,
    cache: Path = CACHE,
) -> tuple[IntArray, list[tuple[int, str]]]:
    """The group (N,) of each photo, numbered from 0 in the order of their first photos.

    "exact" groups the photos with equal digests and opens no file, "near" those that show nearly
    the same as well, "off" none. Which photos are grouped depends on the files' contents only.

    Args:
        digests: SHA-256 of each file, hexadecimal.

    Returns:
        The groups; and for "near" the position of each photo that cannot be decoded, with the
        reason. Such a photo is a group of its own.
    """
    if mode == "off" or not files:
        return np.arange(len(files), dtype=np.int64), []
    if mode == "exact":
        seen: dict[str, int] = {}
        return np.array([seen.setdefault(digest, len(seen)) for digest in digests]), []
    found = fingerprint_files(files, digests, cache)
    for sentence in found.ranges:
        note_once(sentence)
    return found.groups(), [(i, fault.sentence) for i, fault in found.faults.items()]


def groups_by_path(
    root: Path, digests: Mapping[str, str], mode: Mode, cache: Path = CACHE
) -> tuple[dict[str, int], list[Rejected]]:
    """As `duplicate_groups`, of files below `root`: by path, without those not decoded, and these.

    Args:
        digests: SHA-256 of each file, by path.
    """
    paths = list(digests)
    files = [f"{root}/{path}" for path in paths]
    numbers, faults = duplicate_groups(files, list(digests.values()), mode, cache)
    groups = dict(zip(paths, numbers.tolist(), strict=True))
    for index, _ in faults:
        del groups[paths[index]]
    return groups, [Rejected(paths[index], reason) for index, reason in faults]


@dataclass(frozen=True, eq=False)
class FileFingerprints:
    """The fingerprints of N files."""

    fingerprints: Fingerprints  # (S, LENGTH) one of each content that can be decoded, by digest
    row: IntArray  # (N,) of each file's fingerprint; -1 for a file that cannot be decoded
    faults: dict[int, Fault]  # of the latter, by position
    ranges: tuple[str, ...] = ()  # what samples of more than 8 bits are black and white

    def groups(self) -> IntArray:
        """The group (N,) of each file, as of `duplicate_groups`."""
        groups = len(self.fingerprints) + np.arange(len(self.row))
        readable = self.row >= 0
        groups[readable] = group_fingerprints(self.fingerprints)[self.row[readable]]
        return _numbered(groups)

    def distances(self, file: int, others: IntArray) -> Array:
        """The registration residual (M,) of `file` and each of the other files."""
        grey = fingerprint.luma(self.fingerprints[self.row[[file, *others]]])
        return _residuals(grey[0], grey[1:])


def fingerprint_files(
    files: Sequence[Path | str], digests: Sequence[str], cache: Path
) -> FileFingerprints:
    """Fingerprint the files, from the cache or decoded now; Ctrl-C keeps what is done."""
    unique, first, content = np.unique(np.array(digests), return_index=True, return_inverse=True)
    contents = [files[i] for i in first]
    sample_range, ranges = find_range(contents, unique.tolist(), cache)
    view = replace(DEFAULT_VIEW, sample_range=sample_range)
    store, faults = _filled_store(contents, unique.tolist(), view, cache)
    rows = store.rows(unique.tolist())
    fingerprints = store.take(rows[rows >= 0])
    row = np.where(rows >= 0, np.cumsum(rows >= 0) - 1, -1)
    found = {i: faults[c] for i, c in enumerate(content.tolist()) if c in faults}
    return FileFingerprints(fingerprints, row[content], found, tuple(ranges))


def _numbered(groups: IntArray) -> IntArray:
    """The same groups, numbered in the order in which they appear."""
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[group].astype(np.int64)


def group_fingerprints(fingerprints: Fingerprints) -> IntArray:
    """The group (N,) of each fingerprint, named by the position of one of its members."""
    groups = np.arange(len(fingerprints))
    parts = list(in_threads(fingerprint.tolerance, _parts(fingerprints, 2048)))
    tolerance = np.concatenate(parts) if parts else np.empty(0)
    flat, rich = np.flatnonzero(tolerance == 0), np.flatnonzero(tolerance)
    seen: dict[bytes, int] = {}
    for i, thumbnail in zip(flat.tolist(), fingerprint.thumbnails(fingerprints[flat]), strict=True):
        groups[i] = seen.setdefault(thumbnail.tobytes(), i)
    if len(rich) > 1:
        comparison = Comparison(fingerprints[rich], tolerance[rich])
        links = comparison.links(comparison.candidates())
        groups[rich] = rich[join(links, len(rich), comparison.resemble)]
    return groups


def _parts(items: Sliceable, size: int) -> Iterator[Sliceable]:
    return (items[start : start + size] for start in range(0, len(items), size))


# --- fingerprints -------------------------------------------------------------------------------


def _filled_store(
    files: Sequence[Path | str], digests: Sequence[str], view: Preprocess, cache: Path
) -> tuple[RowStore, dict[int, Fault]]:
    """The store of the files' fingerprints, and why some have none, by position.

    The photos that are decoded for it leave the view that most networks have in the cache as well,
    where there is room: training finds it there. Ctrl-C keeps what is done.
    """
    samples = f"-{view.sample_range.key()}" if view.sample_range else ""
    made_by = f"v{fingerprint.VERSION}-{resize.BY}-decode{decode.VERSION}{samples}"
    folder = cache / "sketches" / made_by
    store = RowStore(
        folder, (fingerprint.LENGTH,), "uint8", about="fingerprints, to find near-duplicates"
    )
    stores, transforms = [store], [Transform(partial(_derive_fingerprint, view))]
    missing = int((store.rows(digests) < 0).sum())
    if _is_room(cache, missing * DEFAULT_VIEW.size**2 * 3):
        stores.append(store_of(view, cache))
        transforms.append(Transform(partial(_default_view, view), opportunistic=True))
    return store, pipeline.fill(stores, transforms, files, digests, "Fingerprinting")


def _derive_fingerprint(view: Preprocess, photo: Photo) -> Fingerprints:
    return fingerprint.fingerprint_of(photo.decoded(decode.needed(view), view.sample_range))


def _default_view(view: Preprocess, photo: Photo) -> NDArray[np.uint8] | None:
    """The default view; None for a photo that is so small that the view is unlikely to be used."""
    image = photo.decoded(decode.needed(view), view.sample_range)
    return decode.to_input(image, view) if max(image.size) >= view.size // 2 else None


def _is_room(cache: Path, size: int) -> bool:
    """Whether the cache may be given `size` bytes that nobody has asked for."""
    folder = next(f for f in (cache, *cache.absolute().parents) if f.is_dir())
    return os.access(folder, os.W_OK) and size < shutil.disk_usage(folder).free // 4


# --- links --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Pairs:
    """M pairs of fingerprints that may be of the same photo."""

    first: IntArray  # (M,)
    second: IntArray  # (M,)
    view: IntArray  # (M,) of the first, which resembles
    indexed: IntArray  # (M,) this view of the second

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, rows: Any) -> "Pairs":
        return Pairs(self.first[rows], self.second[rows], self.view[rows], self.indexed[rows])


@dataclass(frozen=True, eq=False)
class Comparison:
    """N fingerprints to be compared, none of them flat."""

    fingerprints: Fingerprints
    tolerance: Array  # (N,)

    @cached_property
    def halves(self) -> Array:
        """The fingerprints in grey at half their size, (N, SIDE / 2, SIDE / 2)."""
        parts = in_threads(
            lambda some: fingerprint.halved(fingerprint.luma(some)), _parts(self.fingerprints, 2048)
        )
        return np.concatenate(list(parts))

    def limit(self, first: IntArray, second: IntArray) -> Array:
        """The largest residual of the same photo, for each pair."""
        return np.minimum(self.tolerance[first], self.tolerance[second])

    def candidates(self) -> Pairs:
        """Pairs that are worth comparing, each once, in the view in which it is closest."""
        descriptors = np.concatenate(
            list(in_threads(fingerprint.descriptors_of, _parts(self.fingerprints, 2048)))
        )
        queries, indexed = fingerprint.neighbours(fingerprint.codes_of(descriptors), self.tolerance)
        pairs = Pairs(
            queries // len(fingerprint.VIEWS),
            indexed // fingerprint.INDEXED,
            queries % len(fingerprint.VIEWS),
            indexed % fingerprint.INDEXED,
        )
        pairs = pairs[pairs.first != pairs.second]
        distance = np.empty(len(pairs))
        for rows in _parts(np.arange(len(pairs)), 1 << 16):
            some = pairs[rows]
            a, b = descriptors[some.first, some.view], descriptors[some.second, some.indexed]
            distance[rows] = 1 - np.einsum("md,md->m", a, b)
        # 98 % of each kind of planted copies are closer than this in their nearest view.
        close = distance < self.limit(pairs.first, pairs.second) ** 2
        pairs, distance = pairs[close], distance[close]
        one, other = np.minimum(pairs.first, pairs.second), np.maximum(pairs.first, pairs.second)
        order = np.lexsort((distance, other, one))
        _, best = np.unique((one * len(descriptors) + other)[order], return_index=True)
        return pairs[order[best]]

    def links(self, pairs: Pairs) -> IntArray:
        """The pairs that show the same photo, (L, 2)."""
        self.halves  # noqa: B018  made once, before the threads
        parts = in_threads(self._same, _parts(pairs, PAIRS))
        found = list(track(parts, "Comparing", -(-len(pairs) // PAIRS), "blocks"))
        return np.concatenate(found) if found else np.empty((0, 2), np.int64)

    def _same(self, pairs: Pairs) -> IntArray:
        """Those of the pairs (L, 2) that agree at each stage, in grey and then in colour."""
        warp = fingerprint.PLACEMENTS[pairs.view]
        for half, steps, tolerance in STAGES:
            a, b = self._shown(pairs, self._half_grey if half else self._grey)
            warp = fingerprint.place(a, b, warp, steps=steps)
            limit = tolerance * self.limit(pairs.first, pairs.second)
            keep = fingerprint.residual(a, b, warp) < limit
            pairs, warp = pairs[keep], warp[keep]
        a, b = self._shown(pairs, self._colour)
        keep = fingerprint.colour_residual(a, b, warp) < fingerprint.COLOUR_TOLERANCE
        return np.stack([pairs.first[keep], pairs.second[keep]], axis=1)

    def _half_grey(self, photos: IntArray) -> Array:
        return self.halves[photos]

    def _grey(self, photos: IntArray) -> Array:
        return fingerprint.luma(self.fingerprints[photos])

    def _colour(self, photos: IntArray) -> Array:
        return fingerprint.chroma(self.fingerprints[photos])

    def _shown(self, pairs: Pairs, of: Callable[[IntArray], Array]) -> tuple[Array, Array]:
        """Both sides of each pair, turned so that they look alike."""
        return (
            _each_turned(of(pairs.first), fingerprint.TURNS[pairs.view]),
            _each_turned(of(pairs.second), fingerprint.TURNS[pairs.indexed]),
        )

    def resemble(self, centre: int, others: IntArray) -> Bools:
        """Whether each of the others is loosely the same as the centre, in whatever turn."""
        limit = self.limit(np.array([centre]), others)
        return _residuals(self.halves[centre], self.halves[others]) < 2 * limit


def _residuals(plane: Array, others: Array) -> Array:
    """The residual (M,) of a picture (n, n) and each of the others (M, n, n) in its best turn."""
    a = np.repeat(plane[None], len(others), axis=0)
    best = np.full(len(others), np.inf)
    for turn in range(8):
        b = fingerprint.turned(others, turn)
        placed = fingerprint.place(a, b, np.tile(fingerprint.WHOLE, (len(b), 1)), steps=6)
        best = np.minimum(best, fingerprint.residual(a, b, placed))
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
    partners: dict[int, set[int]] = {}
    for a, b in links.tolist():
        partners.setdefault(a, set()).add(b)
        partners.setdefault(b, set()).add(a)
    groups = np.arange(n)
    left = set(partners)
    for centre in sorted(partners, key=lambda photo: (-len(partners[photo]), photo)):
        if centre not in left:
            continue
        left.remove(centre)
        met, ring = {centre}, partners[centre] & left
        while ring:
            groups[list(ring)] = centre
            left -= ring
            met |= ring
            beyond = sorted(set().union(*(partners[photo] for photo in ring)) & left - met)
            if not beyond:
                break
            met.update(beyond)
            alike = resemble(centre, np.array(beyond))
            ring = {photo for photo, yes in zip(beyond, alike, strict=True) if yes}
    return groups
