"""MNIST's idx files: pictures in one file, their labels in another, often gzipped.

    train-images-idx3-ubyte.gz    00 00 08 03, count, height, width (big-endian), then the pixels
    train-labels-idx1-ubyte.gz    00 00 08 01, count, then a byte each
    t10k-…                        the test part

Format: http://yann.lecun.com/exdb/mnist/
"""

import gzip
import hashlib
import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from imgcli.collect.imports.formats.source import (
    Files,
    Kind,
    LabelledPhotos,
    Source,
    labelled_pixels,
)
from imgcli.collect.imports.labelled_photo import (
    CHUNK,
    LIMITS,
    MB,
    Entry,
    NotTaken,
    Readable,
    read_all,
    read_exactly,
)
from imgcli.collect.imports.survey import split_into
from imgcli.errors import DataError
from imgcli.folder_names import Folder, part_named
from imgcli.text import listed

NAME = re.compile(r"(.*?)[-_.]?(images|labels)[-_.]idx[13][-_.]ubyte(\.gz)?", re.IGNORECASE)
MAX_PICTURE = 4 * MB  # bytes


def find(files: Files) -> Source | None:
    """The pairs of idx files in a folder or archive; None where there are none.

    Images and labels are paired by name, in one folder or apart: each may be in a folder of its own
    name, or in `images/` and `labels/`. A pair that is there twice, or packed and unpacked, is one.

    Raises:
        DataError: images without labels or the other way round, or damaged ones.
    """
    named = [parts[-1] for many in files.found.others.values() for parts in many]
    found = [match for name in named if (match := NAME.fullmatch(name))]
    if not found:
        return None
    sets = [match[1] for match in found if match[2].lower() == "images"]
    copies = len(set(sets)) < len(sets)
    images: list[_File] = []
    labels: list[_File] = []
    for entry in files.readable():
        if match := NAME.fullmatch(entry.parts[-1]):
            of_labels = match[2].lower() == "labels"
            (labels if of_labels else images).append(_read(entry, of_labels, copies))
    pairs = _pairs(files, images, labels)
    count = sum(len(label.data) for _, label in pairs)
    return Source(
        path=files.path,
        kind=Kind.IDX,
        photos=partial(
            files.labelled, partial(_photos, {image.parts: label for image, label in pairs})
        ),
        count=count,
        size=sum(n * (height * width + 100) for n, height, width in (i.sizes for i, _ in pairs)),
        parts=split_into(_part(image.parts) for image, _ in pairs),
        notes=_sets(files, pairs),
    )


@dataclass(frozen=True)
class _File:
    """An idx file: its place, its sizes, and what it holds."""

    parts: Folder
    sizes: tuple[int, ...]
    data: bytes = b""  # the labels
    digest: bytes = b""  # of the images' pixels, where there may be copies of them

    @property
    def key(self) -> Folder:
        return _key(self.parts)


_Pair = tuple[_File, _File]  # images, labels


def _read(entry: Entry, of_labels: bool, copies: bool) -> _File:
    """An idx file; of images the sizes alone unless they may be copies of others."""
    try:
        with _unpacked(entry) as file:
            if of_labels:
                (count,) = _sizes(file, 1)
                return _File(entry.parts, (count,), _exactly(read_all(file), count))
            sizes = _sizes(file, 3)
            return _File(entry.parts, sizes, digest=_digest(file) if copies else b"")
    except NotTaken as reason:
        raise DataError(f"'{entry.origin}' cannot be used: {reason}.") from None


def _digest(file: Readable) -> bytes:
    """SHA-256 of what is left of a file; empty where it is damaged."""
    digest = hashlib.sha256()
    try:
        while data := file.read(CHUNK):
            digest.update(data)
    except (OSError, EOFError, zlib.error):
        return b""
    return digest.digest()


def _pairs(files: Files, images: Sequence[_File], labels: Sequence[_File]) -> list[_Pair]:
    """Images with their labels: those of one folder first, then the nearest of the same name."""
    images = sorted(images, key=lambda image: not image.digest)  # damaged copies last
    free = list(labels)
    pairs: list[_Pair] = []
    apart: list[_File] = []
    for image in images:
        if label := next((one for one in free if one.key == image.key), None):
            free.remove(label)
            pairs.append((image, label))
        else:
            apart.append(image)
    for image in apart:
        if any(_is_copy(image, other) for other, _ in pairs):
            continue
        label = _nearest(files, image, free) or _nearest(files, image, labels)
        if label is None:
            raise _lone(files, image, "images", "labels")
        if label in free:
            free.remove(label)
        pairs.append((image, label))
    for label in free:
        if not any(label.key[-1] == o.key[-1] and label.data == o.data for _, o in pairs):
            raise _lone(files, label, "labels", "images")
    once: list[_Pair] = []
    for image, label in pairs:
        _check_pair(files, image, label)
        if not any(_is_copy(image, i) and label.data == other.data for i, other in once):
            once.append((image, label))
    return once


def _is_copy(one: _File, other: _File) -> bool:
    """Whether two files of one name hold the same images; a damaged one is no set of its own."""
    same = bool(one.digest) and one.digest == other.digest
    damaged = one.key == other.key and not one.digest
    return one.key[-1] == other.key[-1] and one.sizes == other.sizes and (same or damaged)


def _nearest(files: Files, image: _File, labels: Sequence[_File]) -> _File | None:
    """The labels of that name in the folder that shares most steps with the images'.

    Raises:
        DataError: several different ones are as near.
    """
    named = [one for one in labels if one.key[-1] == image.key[-1]]
    shared = [_steps_shared(one.parts, image.parts) for one in named]
    near = [one for one, steps in zip(named, shared, strict=True) if steps == max(shared)]
    if len({one.data for one in near}) > 1:
        which = listed(["/".join(one.parts) for one in near], 3)
        raise DataError(
            f"'{'/'.join((str(files.path), *image.parts))}' may go with {which}. Put images and "
            "their labels into one folder."
        )
    return near[0] if near else None


def _steps_shared(one: Folder, other: Folder) -> int:
    pairs = zip(one[:-1], other[:-1], strict=False)
    return sum(1 for _ in takewhile(lambda steps: steps[0] == steps[1], pairs))


def _lone(files: Files, file: _File, have: str, lack: str) -> DataError:
    name = "/".join((str(files.path), *file.key))
    return DataError(f"'{name}' has {have} and no {lack}; idx files come in pairs.")


def _check_pair(files: Files, image: _File, label: _File) -> None:
    name, (count, height, width) = "/".join((str(files.path), *image.key)), image.sizes
    if len(label.data) != count or len(label.data) > LIMITS.files:
        raise DataError(f"'{name}' has {count:,} images and {len(label.data):,} labels.")
    if not 0 < height * width <= MAX_PICTURE:
        raise DataError(f"'{name}' has images of {height} × {width} pixels.")


def _sets(files: Files, pairs: Sequence[_Pair]) -> tuple[str, ...]:
    """A sentence where one part comes from several files, whose labels may differ in meaning."""
    for part in ("train", "test", ""):
        found = ["/".join(image.parts) for image, _ in pairs if _part(image.parts) == part]
        if len(found) > 1:
            return (
                f"'{files.path}': {len(found)} sets of images, {listed(found, 3)}, are put into "
                "the same classes by their labels. If a label means another thing in each, import "
                "each set alone.",
            )
    return ()


def _photos(pairs: Mapping[Folder, _File], entry: Entry) -> LabelledPhotos:
    if label := pairs.get(entry.parts):
        pixels = _pictures(entry, label.data)
        stem = _key(entry.parts)[-1] or "image"
        yield from labelled_pixels(entry, stem, _part(entry.parts), pixels)


def _pictures(entry: Entry, labels: bytes) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    with _unpacked(entry) as file:
        _, height, width = _sizes(file, 3)
        for label in labels:
            data = _exactly(read_exactly(file, height * width), height * width)
            yield label, np.frombuffer(data, np.uint8).reshape(height, width)


def _key(parts: Folder) -> Folder:
    """The folder and the common name of the images and labels of one pair.

    A folder that is named like an idx file is around that file alone.
    """
    match = NAME.fullmatch(parts[-1])
    assert match is not None
    around = [step for step in parts[:-1] if not NAME.fullmatch(step)]
    return (*around, match[1])


def _part(parts: Folder) -> str:
    """The part of images, by their name or else by their folders."""
    *folders, name = _key(parts)
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    if words & {"t10k", "test"}:
        return "test"
    return "train" if "train" in words else part_named(tuple(folders))


@contextmanager
def _unpacked(entry: Entry) -> Iterator[Readable]:
    try:
        with entry.open() as file:
            packed = entry.parts[-1].lower().endswith(".gz")
            yield gzip.GzipFile(fileobj=cast(IO[bytes], file)) if packed else file
    except (OSError, EOFError, zlib.error) as error:
        raise NotTaken(f"damaged ({error})") from None


def _sizes(file: Readable, dimensions: int) -> tuple[int, ...]:
    """The sizes in the header of an idx file of bytes."""
    head = read_exactly(file, 4 + 4 * dimensions)
    if head[:4] != bytes((0, 0, 8, dimensions)) or len(head) < 4 + 4 * dimensions:
        raise NotTaken(f"no idx file of bytes in {dimensions} dimensions")
    return struct.unpack(f">{dimensions}I", head[4:])


def _exactly(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise NotTaken(f"cut short or damaged: {len(data):,} bytes instead of {size:,}")
    return data
