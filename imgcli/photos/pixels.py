"""Decoded pixels at the size the network needs, made once per photo and preprocessing.

    .imgcli/cache/pixels/<geometry>-v<VERSION>/    a RowStore of (size, size, 3) uint8

A row is found by the photo's SHA-256, so a photo that is moved, linked or split anew is not decoded
again, and a photo that has changed is. Photos stream through in blocks: the memory needed depends
on the number of cores and not on the number of photos.
"""

import hashlib
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgcli import workspace
from imgcli.errors import DataError
from imgcli.photos.decode import VERSION, Fault, decode, read_photo, to_input
from imgcli.photos.digests import in_threads
from imgcli.photos.store import RowStore
from imgcli.progress import track
from imgcli.records import IntArray, Preprocess, Rejected, Samples
from imgcli.wording import listed

Images = NDArray[np.uint8]  # (B, S, S, 3)

BLOCK = 64  # photos written at once
CHANGED = "Changed"  # kind of the fault of a file whose digest is another
CHUNK = 8  # photos per task: enough to outweigh handing them over, few enough to end together


@dataclass(frozen=True, eq=False)
class Pixels:
    """The decoded photos of N samples; a photo that cannot be read has no pixels."""

    store: RowStore
    row: IntArray  # (N,) in the store, -1 for a photo that cannot be read
    rejected: list[Rejected]

    @property
    def readable(self) -> NDArray[np.bool_]:
        """(N,) whether the photo has pixels."""
        return self.row >= 0

    def gather(self, indices: IntArray) -> Images:
        """The pixels of some samples, all of them readable: (B, S, S, 3)."""
        rows = self.row[indices]
        assert (rows >= 0).all(), "an unreadable photo was asked for; look at `readable` first"
        images: Images = self.store.take(rows)
        return images


@dataclass(frozen=True, eq=False)
class Block:
    """Some photos of a sequence of files, decoded."""

    indices: IntArray  # (B,) positions in the sequence
    images: Images  # (B, S, S, 3)
    faults: list[tuple[int, Fault]]  # position and reason of those in between that gave no picture


def load_pixels(samples: Samples, preprocess: Preprocess, cache: Path = workspace.CACHE) -> Pixels:
    """The pixels of all samples, from the cache or decoded now.

    Ctrl-C keeps the blocks that are done.

    Raises:
        DataError: a file no longer holds the bytes that were split.
        StorageError: the pixels will not fit on the disk.
    """
    size = preprocess.size
    folder = cache / "pixels" / f"{preprocess.geometry()}-v{VERSION}"
    store = RowStore(folder, (size, size, 3), "uint8")
    todo = np.flatnonzero(store.rows(samples.digests) < 0)
    if len(todo) == 0:
        return Pixels(store, store.rows(samples.digests), [])
    store.reserve(len(todo))
    faults = _decode_into(store, samples, todo, preprocess)
    changed = [samples.paths[i] for i, fault in faults.items() if fault.kind == CHANGED]
    if changed:
        raise DataError(
            f"{len(changed)} of {len(samples)} photos in '{samples.root}' have changed since the "
            f"split: {listed(changed)}. Run `imgcli split` again."
        )
    row = store.rows(samples.digests)
    rejected = [
        Rejected(samples.paths[i], faults[i].sentence) for i in np.flatnonzero(row < 0).tolist()
    ]
    return Pixels(store, row, rejected)


def decode_files(
    files: Sequence[Path], preprocess: Preprocess, digests: Sequence[str] | None = None
) -> Generator[Block, None, None]:
    """Decode files in threads over all cores, in order, a block at a time.

    Args:
        digests: SHA-256 that each file must have; one that has another is a fault.
    """

    def decode_chunk(chunk: range) -> list[tuple[int, NDArray[np.uint8] | Fault]]:
        return [
            (i, _decode_file(files[i], preprocess, digests[i] if digests else None)) for i in chunk
        ]

    n = len(files)
    chunks = (range(start, min(start + CHUNK, n)) for start in range(0, n, CHUNK))
    photos = chain.from_iterable(in_threads(decode_chunk, chunks))
    counted = track(photos, "Decoding", total=n, unit="photos")
    while batch := list(islice(counted, BLOCK)):
        images = [(i, image) for i, image in batch if not isinstance(image, Fault)]
        block = np.empty((len(images), preprocess.size, preprocess.size, 3), np.uint8)
        for row, (_, image) in zip(block, images, strict=True):
            row[:] = image
        yield Block(
            np.array([i for i, _ in images], dtype=np.int64),
            block,
            [(i, fault) for i, fault in batch if isinstance(fault, Fault)],
        )


def _decode_into(
    store: RowStore, samples: Samples, todo: IntArray, preprocess: Preprocess
) -> dict[int, Fault]:
    """Decode the samples `todo` into the store; the fault of each that gave no picture."""
    files = [samples.file(i) for i in todo]
    digests = [samples.digests[i] for i in todo]
    faults: dict[int, Fault] = {}
    try:
        with closing(decode_files(files, preprocess, digests)) as blocks:
            for block in blocks:
                store.append([digests[j] for j in block.indices], block.images)
                faults.update((int(todo[j]), fault) for j, fault in block.faults)
    finally:
        store.flush()
    return faults


def _decode_file(
    file: Path, preprocess: Preprocess, digest: str | None
) -> NDArray[np.uint8] | Fault:
    """One file as the network sees it; hashed and decoded from the same bytes."""
    data = read_photo(file)
    if isinstance(data, Fault):
        return data
    if digest is not None and hashlib.sha256(data).hexdigest() != digest:
        return Fault("read", CHANGED, "it has changed since the split")
    photo = decode(data)
    return photo if isinstance(photo, Fault) else to_input(photo, preprocess)
