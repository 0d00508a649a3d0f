"""MNIST's idx files: pictures in one file, their labels in another, often gzipped.

    train-images-idx3-ubyte.gz    00 00 08 03, count, height, width (big-endian), then the pixels
    train-labels-idx1-ubyte.gz    00 00 08 01, count, then a byte each
    t10k-…                        the test part

Format: http://yann.lecun.com/exdb/mnist/
"""

import gzip
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
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
from imgcli.folder_names import Folder

NAME = re.compile(r"(.*?)[-_.]?(images|labels)[-_.]idx[13][-_.]ubyte(\.gz)?", re.IGNORECASE)
MAX_PICTURE = 4 * MB  # bytes


def find(files: Files) -> Source | None:
    """The pairs of idx files in a folder or archive; None where there are none.

    Raises:
        DataError: images without labels or the other way round, or damaged ones.
    """
    pairs = {
        _key(parts)
        for many in files.found.others.values()
        for parts in many
        if NAME.fullmatch(parts[-1])
    }
    if not pairs:
        return None
    labels: dict[Folder, bytes] = {}
    images: dict[Folder, tuple[Folder, tuple[int, ...]]] = {}  # their file, and its sizes
    for entry in files.readable():
        if (match := NAME.fullmatch(entry.parts[-1])) is None:
            continue
        try:
            with _unpacked(entry) as file:
                if match[2].lower() == "labels":
                    (count,) = _sizes(file, 1)
                    labels.setdefault(_key(entry.parts), _exactly(read_all(file), count))
                else:  # if it is there packed and unpacked, the first is used
                    images.setdefault(_key(entry.parts), (entry.parts, _sizes(file, 3)))
        except NotTaken as reason:
            raise DataError(f"'{entry.origin}' cannot be used: {reason}.") from None
    for pair in pairs:
        _check_pair(files, pair, labels.get(pair), images[pair][1] if pair in images else None)
    count = sum(map(len, labels.values()))
    return Source(
        path=files.path,
        kind=Kind.IDX,
        photos=partial(
            files.labelled, partial(_photos, labels, {file for file, _ in images.values()})
        ),
        count=count,
        size=sum(n * (height * width + 100) for _, (n, height, width) in images.values()),
        parts=split_into(map(_part, pairs)),
    )


def _check_pair(
    files: Files, pair: Folder, labels: bytes | None, sizes: tuple[int, ...] | None
) -> None:
    name = "/".join((str(files.path), *pair))
    if labels is None or sizes is None:
        have, lack = ("labels", "images") if sizes is None else ("images", "labels")
        raise DataError(f"'{name}' has {have} and no {lack}; idx files come in pairs.")
    if len(labels) != sizes[0] or len(labels) > LIMITS.files:
        raise DataError(f"'{name}' has {sizes[0]:,} images and {len(labels):,} labels.")
    if not 0 < sizes[1] * sizes[2] <= MAX_PICTURE:
        raise DataError(f"'{name}' has images of {sizes[1]} × {sizes[2]} pixels.")


def _photos(labels: dict[Folder, bytes], images: set[Folder], entry: Entry) -> LabelledPhotos:
    if entry.parts in images:
        pair = _key(entry.parts)
        pixels = _pictures(entry, labels[pair])
        yield from labelled_pixels(entry, pair[-1] or "image", _part(pair), pixels)


def _pictures(entry: Entry, labels: bytes) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    with _unpacked(entry) as file:
        _, height, width = _sizes(file, 3)
        for label in labels:
            data = _exactly(read_exactly(file, height * width), height * width)
            yield label, np.frombuffer(data, np.uint8).reshape(height, width)


def _key(parts: Folder) -> Folder:
    """The common name of the images and labels of one pair."""
    match = NAME.fullmatch(parts[-1])
    assert match is not None
    return (*parts[:-1], match[1])


def _part(pair: Folder) -> str:
    words = set(re.split(r"[^a-z0-9]+", pair[-1].lower()))
    return "test" if words & {"t10k", "test"} else "train" if "train" in words else ""


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
