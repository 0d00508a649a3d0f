"""The one pass over photos: each is read, checked and decoded once, whatever is derived from it.

    bytes -> SHA-256 as recorded -> decoded when first needed -> view, fingerprint, metadata, …

Photos stream through threads over all cores, so the memory needed depends on the number of cores
and not on the number of photos. `fill` keeps what is derived in RowStores, under the photo's
SHA-256; `derive` hands it on.
"""

import hashlib
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgcli.compute.local import in_threads
from imgcli.photos.decode import Fault, decode, read_photo, reduction
from imgcli.photos.row_cache import RowStore
from imgcli.progress import track
from imgcli.records import SampleRange

Bools = NDArray[np.bool_]

BLOCK = 64  # photos stored at once
CHUNK = 8  # photos per task: enough to outweigh handing them over, few enough to end together
CHANGED = "Changed"  # kind of the fault of a file whose digest is another


class Undecodable(Exception):
    """A photo that cannot be decoded, and why."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo that has been read."""

    index: int  # in the sequence of files
    data: bytes
    _decoded: dict[tuple[int, SampleRange | None], Image.Image] = field(default_factory=dict)

    def decoded(self, at_least: int, sample_range: SampleRange | None = None) -> Image.Image:
        """The picture, not to be changed, with at least so many pixels on its short side.

        It is decoded once for all needs that reduce it alike. Needs that differ get a picture each:
        what is derived from a photo must not depend on what else is.

        Raises:
            Undecodable: it cannot be decoded.
        """
        for (other, samples), image in self._decoded.items():
            if samples != sample_range:
                continue
            if at_least == other or reduction(self.data, at_least) == reduction(self.data, other):
                return image
        made = decode(self.data, at_least, sample_range=sample_range)
        if isinstance(made, Fault):
            raise Undecodable(made)
        self._decoded[at_least, sample_range] = made
        return made


@dataclass(frozen=True)
class Transform:
    """A way to derive something from a photo."""

    apply: Callable[[Photo], Any]  # None: nothing is derived from such a photo
    opportunistic: bool = False  # applied only to photos that another transform is applied to


Derived = dict[int, Any]  # by the position of the transform


def fill(
    stores: Sequence[RowStore],
    transforms: Sequence[Transform],
    files: Sequence[Path | str],
    digests: Sequence[str],
    label: str,
) -> dict[int, Fault]:
    """Derive the rows of these files that the stores, one per transform, lack.

    Ctrl-C keeps the photos that are done, SIGKILL the blocks.

    Returns:
        The fault of each file that cannot be read or decoded, by its position.
    """
    lacking = np.array([store.rows(digests) < 0 for store in stores]).reshape(len(stores), -1)
    opportunistic = np.array([transform.opportunistic for transform in transforms])
    lacking[opportunistic] &= lacking[~opportunistic].any(axis=0)
    faults: dict[int, Fault] = {}
    waiting: list[dict[str, NDArray[Any]]] = [{} for _ in stores]

    def store_waiting() -> None:
        for store, rows in zip(stores, waiting, strict=True):
            if rows:
                store.append(list(rows), np.stack(list(rows.values())))
                rows.clear()

    try:
        with closing(derive(transforms, files, digests, label, lacking)) as derived:
            for done, (i, made) in enumerate(derived, 1):
                if isinstance(made, Fault):
                    faults[i] = made
                else:
                    for k, row in made.items():
                        waiting[k][digests[i]] = row
                if done % BLOCK == 0:
                    store_waiting()
    finally:
        store_waiting()
        for store in stores:
            store.flush()
    return faults


def derive(
    transforms: Sequence[Transform],
    files: Sequence[Path | str],
    digests: Sequence[str | None] | None,
    label: str | None = None,
    wanted: Bools | None = None,
) -> Generator[tuple[int, Derived | Fault], None, None]:
    """Apply the transforms to files, in order, only a little ahead of the reader.

    Args:
        digests: SHA-256 that each file must have, if known; a file that has another is a fault.
        label: name of the work, for the progress bar; None shows none.
        wanted: (transforms, files) which to apply; None applies all.

    Yields:
        The position of each file, and what is derived from it or why nothing is.
    """
    if wanted is None:
        wanted = np.ones((len(transforms), len(files)), dtype=bool)
    todo = np.flatnonzero(wanted.any(axis=0))

    def derive_chunk(chunk: NDArray[np.int64]) -> list[tuple[int, Derived | Fault]]:
        found: list[tuple[int, Derived | Fault]] = []
        for i in chunk.tolist():
            some = np.flatnonzero(wanted[:, i]).tolist()
            digest = digests[i] if digests else None
            found.append((i, _derive_one(i, files[i], digest, {k: transforms[k] for k in some})))
        return found

    chunks = (todo[start : start + CHUNK] for start in range(0, len(todo), CHUNK))
    derived = chain.from_iterable(in_threads(derive_chunk, chunks))
    yield from track(derived, label, total=len(todo), unit="photos") if label else derived


def derive_stream(
    transforms: Sequence[Transform],
    photos: Iterable[Path | str | bytes | Fault],
    total: int,
    label: str,
) -> Generator[tuple[int, Derived | Fault], None, None]:
    """As `derive`, of photos that come one by one: files, or the bytes of members of an archive.

    Args:
        total: how many there are.
    """
    by_position = dict(enumerate(transforms))

    def derive_chunk(
        chunk: Sequence[tuple[int, Path | str | bytes | Fault]],
    ) -> list[tuple[int, Derived | Fault]]:
        return [(i, _derive_one(i, photo, None, by_position)) for i, photo in chunk]

    numbered = enumerate(photos)
    chunks = iter(lambda: list(islice(numbered, CHUNK)), [])
    derived = chain.from_iterable(in_threads(derive_chunk, chunks))
    yield from track(derived, label, total=total, unit="photos")


def _derive_one(
    index: int,
    file: Path | str | bytes | Fault,
    digest: str | None,
    transforms: dict[int, Transform],
) -> Derived | Fault:
    """Apply transforms to one photo, which is hashed and decoded from the same bytes."""
    data = file if isinstance(file, bytes | Fault) else read_photo(file)
    if isinstance(data, Fault):
        return data
    if digest is not None and hashlib.sha256(data).hexdigest() != digest:
        return Fault("read", CHANGED, "it changed while it was being read")
    photo = Photo(index, data)
    try:
        made = {k: transform.apply(photo) for k, transform in transforms.items()}
    except Undecodable as error:
        return error.fault
    return {k: row for k, row in made.items() if row is not None}
