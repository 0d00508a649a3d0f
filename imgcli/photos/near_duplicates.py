"""Which photos are the same photo, or nearly: equal, resized, compressed, slightly cropped, turned.

    files -> fingerprints -> candidates -> links -> groups      (candidates.py, links.py)

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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imgcli.locations import Location, Where, locations_of
from imgcli.photos import candidates, decode, fingerprint, pipeline, resize
from imgcli.photos.candidates import BLOCK, FingerprintRows, blocks, survey
from imgcli.photos.decode import Fault
from imgcli.photos.fingerprint import Array, Fingerprints
from imgcli.photos.links import Comparison, join, residuals
from imgcli.photos.pipeline import Photo, Transform
from imgcli.photos.row_cache import RowStore
from imgcli.photos.sample_range import find_range
from imgcli.photos.views import store_of
from imgcli.progress import note_once
from imgcli.reading import digest_of_lines
from imgcli.records import IntArray, Preprocess, Rejected
from imgcli.runs import CACHE

Mode = Literal["near", "exact", "off"]

DEFAULT_VIEW = Preprocess(
    224
)  # of most of timm's networks; the aspect ratio is not kept, as is our default


def duplicate_groups(
    files: Sequence[Location],
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
    where: Where, digests: Mapping[str, str], mode: Mode, cache: Path = CACHE
) -> tuple[dict[str, int], list[Rejected]]:
    """As `duplicate_groups`, of photos by their paths, without those not decoded; and these.

    Args:
        digests: SHA-256 of each file, by path.
    """
    paths = list(digests)
    files = locations_of(where, paths)
    numbers, faults = duplicate_groups(files, list(digests.values()), mode, cache)
    groups = dict(zip(paths, numbers.tolist(), strict=True))
    for index, _ in faults:
        del groups[paths[index]]
    return groups, [Rejected(paths[index], reason) for index, reason in faults]


@dataclass(frozen=True, eq=False)
class StoredFingerprints:
    """S fingerprints on disk; indexed by positions, they are read."""

    store: RowStore
    row: IntArray  # (S,) in the store

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, positions: IntArray) -> Fingerprints:
        rows = self.row[positions]
        order = np.argsort(rows)
        found = np.empty((len(rows), fingerprint.LENGTH), np.uint8)
        found[order] = self.store.take(rows[order])
        return found

    @property
    def order(self) -> IntArray:
        """The positions in the order in which they are read fastest."""
        return np.argsort(self.row)


@dataclass(frozen=True, eq=False)
class StoredThumbnails:
    """The thumbnails of N photos; indexed by rows, they are read: (M, SIDE, SIDE, 3)."""

    fingerprints: StoredFingerprints
    row: IntArray  # (N,) of each photo's fingerprint

    def __getitem__(self, rows: IntArray) -> NDArray[np.uint8]:
        return fingerprint.thumbnails(self.fingerprints[self.row[rows]])


@dataclass(frozen=True, eq=False)
class FileFingerprints:
    """The fingerprints of N files."""

    fingerprints: StoredFingerprints  # S, one of each content that can be decoded, by digest
    digests: tuple[str, ...]  # (S,) of these contents
    row: IntArray  # (N,) of each file's fingerprint; -1 for a file that cannot be decoded
    faults: dict[int, Fault]  # of the latter, by position
    cache: Path  # where groups are kept
    ranges: tuple[str, ...] = ()  # what samples of more than 8 bits are black and white

    def groups(self) -> IntArray:
        """The group (N,) of each file, as of `duplicate_groups`; the cache keeps those found."""
        groups = len(self.fingerprints) + np.arange(len(self.row))
        readable = self.row >= 0
        found = self._known_groups()
        groups[readable] = found[self.row[readable]]
        return _numbered(groups)

    def _known_groups(self) -> IntArray:
        """The group (S,) of each fingerprint, from the cache if just these were searched before."""
        store = group_store(self.fingerprints.store.folder.name, self.digests, self.cache)
        rows = store.rows(self.digests)
        if len(rows) and rows.min() >= 0:
            return store.take(rows)[:, 0]
        found = group_fingerprints(self.fingerprints, self.fingerprints.order)
        store.append(self.digests, found[:, None])
        return found

    def distances(self, file: int, others: IntArray) -> Array:
        """The registration residual (M,) of `file` and each of the other files."""
        own = fingerprint.luma(self.fingerprints[self.row[[file]]])[0]
        return np.concatenate(
            [
                residuals(own, fingerprint.luma(self.fingerprints[self.row[some]]))
                for some in blocks(others, BLOCK)
            ]
        )


def fingerprint_files(
    files: Sequence[Location], digests: Sequence[str], cache: Path
) -> FileFingerprints:
    """Fingerprint the files, from the cache or decoded now; Ctrl-C keeps what is done."""
    packed = np.array(digests, dtype="S64")  # a quarter of what text takes
    _, first, content = np.unique(packed, return_index=True, return_inverse=True)
    del packed
    contents, unique = [files[i] for i in first], [digests[i] for i in first]
    sample_range, ranges = find_range(contents, unique, cache)
    view = replace(DEFAULT_VIEW, sample_range=sample_range)
    store, faults = _filled_store(contents, unique, view, cache)
    rows = store.rows(unique)
    good = rows >= 0
    fingerprints = StoredFingerprints(store, rows[good])
    readable = tuple(compress(unique, good))
    row = np.where(good, np.cumsum(good) - 1, -1)
    found = {i: faults[c] for i, c in enumerate(content.tolist()) if c in faults}
    return FileFingerprints(fingerprints, readable, row[content], found, cache, tuple(ranges))


def _numbered(groups: IntArray) -> IntArray:
    """The same groups, numbered in the order in which they appear."""
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[group].astype(np.int64)


def group_fingerprints(fingerprints: FingerprintRows, order: IntArray | None = None) -> IntArray:
    """The group (N,) of each fingerprint, named by the position of one of its members.

    Args:
        order: their positions in the order in which they are read fastest. The groups do not
            depend on it.
    """
    order = np.arange(len(fingerprints)) if order is None else order
    known = survey(fingerprints, order)
    if np.count_nonzero(known.tolerance) < 2:
        return known.twin
    pairs = candidates.candidates(fingerprints, known, order)
    comparison = Comparison(fingerprints, known.tolerance, order)
    links = comparison.links(pairs)
    groups = join(links, len(order), comparison.resemble)
    return np.where(known.tolerance > 0, groups, known.twin)


def group_store(made_by: str, digests: Sequence[str], cache: Path) -> RowStore:
    """Where the groups of just these photos are kept, a row for each photo.

    Args:
        made_by: what their fingerprints are made by, as in the name of their store.
        digests: SHA-256 of the photos, sorted.
    """
    name = f"{made_by}-search{candidates.VERSION}-{digest_of_lines(digests)[:16]}"
    return RowStore(cache / "groups" / name, (1,), "int64", about="groups of near-duplicates")


# --- fingerprints -------------------------------------------------------------------------------


def _filled_store(
    files: Sequence[Location], digests: Sequence[str], view: Preprocess, cache: Path
) -> tuple[RowStore, dict[int, Fault]]:
    """The store of the files' fingerprints, and why some have none, by position.

    Ctrl-C keeps what is done.
    """
    stores, transforms = fingerprint_stores(view, cache, digests)
    return stores[0], pipeline.fill(stores, transforms, files, digests, "Fingerprinting")


def fingerprint_stores(
    view: Preprocess, cache: Path, digests: Sequence[str] | int
) -> tuple[list[RowStore], list[Transform]]:
    """Where fingerprints are kept, and how they are made of photos.

    The photos that are decoded for it leave the view that most networks have in the cache as well,
    where there is room: training finds it there.

    Args:
        digests: SHA-256 of the photos, or the number of those that lack one.
    """
    samples = f"-{view.sample_range.key()}" if view.sample_range else ""
    made_by = f"v{fingerprint.VERSION}-{resize.BY}-decode{decode.VERSION}{samples}"
    folder = cache / "sketches" / made_by
    store = RowStore(
        folder, (fingerprint.LENGTH,), "uint8", about="fingerprints, to find near-duplicates"
    )
    stores, transforms = [store], [Transform(partial(_derive_fingerprint, view))]
    missing = digests if isinstance(digests, int) else int((store.rows(digests) < 0).sum())
    if _is_room(cache, missing * DEFAULT_VIEW.size**2 * 3):
        stores.append(store_of(view, cache))
        transforms.append(Transform(partial(_default_view, view), opportunistic=True))
    return stores, transforms


def _derive_fingerprint(view: Preprocess, photo: Photo) -> Fingerprints:
    return fingerprint.fingerprint_of(photo.decoded(decode.needed(view), view.sample_range))


def _default_view(view: Preprocess, photo: Photo) -> NDArray[np.uint8] | None:
    """The default view; None for a photo that is so small that the view is unlikely to be used."""
    image = photo.decoded(decode.needed(view), view.sample_range)
    return decode.to_input(image, view) if max(resize.size_of(image)) >= view.size // 2 else None


def _is_room(cache: Path, size: int) -> bool:
    """Whether the cache may be given `size` bytes that nobody has asked for."""
    folder = next(f for f in (cache, *cache.absolute().parents) if f.is_dir())
    return os.access(folder, os.W_OK) and size < shutil.disk_usage(folder).free // 4
