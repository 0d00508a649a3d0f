"""CIFAR-10 and CIFAR-100 in their binary version.

    data_batch_1.bin … test_batch.bin    CIFAR-10: a label, then 3 × 32 × 32 bytes
    batches.meta.txt                     its class names, one in a line
    train.bin  test.bin                  CIFAR-100: a coarse label, the fine one, 3 × 32 × 32 bytes
    fine_label_names.txt

The Python version is pickle and refused. Format: https://www.cs.toronto.edu/~kriz/cifar.html
"""

import hashlib
import re
from collections.abc import Iterator, Set
from functools import partial

import numpy as np
from numpy.typing import NDArray

from imgcli.collect.imports.formats.source import (
    Files,
    Kind,
    LabelledPhotos,
    Source,
    labelled_pixels,
)
from imgcli.collect.imports.labelled_photo import CHUNK, Entry, NotTaken, read_exactly
from imgcli.collect.imports.survey import split_into
from imgcli.errors import DataError
from imgcli.folder_names import Folder

SIDE = 32  # pixels
PIXELS = 3 * SIDE * SIDE  # bytes
TEN = re.compile(r"(data_batch_\d+|test_batch)\.bin")
HUNDRED = re.compile(r"(train|test)\.bin")
NAMES = {TEN: "batches.meta.txt", HUNDRED: "fine_label_names.txt"}
LABELS = {TEN: 1, HUNDRED: 2}  # bytes before the pixels; the last is the label
PICKLES = {"batches.meta", "meta"}


def find(files: Files) -> Source | None:
    """The batches in a folder or archive, each once; None where there are none.

    Raises:
        DataError: the Python version, or damaged batches.
    """
    _refuse_pickles(files)
    named = [parts[-1] for parts in files.found.others.get(".bin", [])]
    kind = next((k for k in (TEN, HUNDRED) if any(map(k.fullmatch, named))), None)
    if kind is None:
        return None
    record = LABELS[kind] + PIXELS
    classes: list[str] = []
    count = 0
    parts, known, copies = set(), set[tuple[str, bytes]](), set[Folder]()
    for entry in files.readable():
        if kind.fullmatch(name := entry.parts[-1]):
            if named.count(name) > 1:
                if (key := (name, _digest(entry))) in known:
                    copies.add(entry.parts)
                    continue
                known.add(key)
            if entry.size % record:
                raise DataError(f"'{entry.origin}' is not of whole records of {record} bytes.")
            count += entry.size // record
            parts.add(_part(entry))
        elif entry.parts[-1] == NAMES[kind]:
            try:
                classes = entry.content().decode("utf-8", "replace").split()
            except NotTaken as reason:
                raise DataError(f"'{entry.origin}' cannot be used: {reason}.") from None
    return Source(
        path=files.path,
        kind=Kind.CIFAR,
        photos=partial(files.labelled, partial(_photos, kind, classes, copies)),
        count=count,
        size=count * record,
        parts=split_into(parts),
    )


def _refuse_pickles(files: Files) -> None:
    bare = files.found.others.get("", []) + files.found.others.get(".meta", [])
    names = {parts[-1] for parts in bare}
    if names & PICKLES and any(re.fullmatch(r"data_batch_\d+|train", name) for name in names):
        raise DataError(
            f"'{files.path}' is the Python version of CIFAR, which is pickle, and unpickling can "
            "run anything: imgcli reads none. Import the binary version, such as "
            "cifar-10-binary.tar.gz."
        )


def _digest(entry: Entry) -> bytes:
    """SHA-256 of a batch.

    Raises:
        DataError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with entry.open() as file:
            while data := file.read(CHUNK):
                digest.update(data)
    except NotTaken as reason:
        raise DataError(f"'{entry.origin}' cannot be used: {reason}.") from None
    return digest.digest()


def _photos(
    kind: re.Pattern[str], classes: list[str], copies: Set[Folder], entry: Entry
) -> LabelledPhotos:
    if kind.fullmatch(entry.parts[-1]) and entry.parts not in copies:
        stem = entry.parts[-1].removesuffix(".bin")
        pixels = _pictures(entry, LABELS[kind])
        yield from labelled_pixels(entry, stem, _part(entry), pixels, classes)


def _pictures(entry: Entry, labels: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    with entry.open() as file:
        while len(data := read_exactly(file, labels + PIXELS)) == labels + PIXELS:
            pixels = np.frombuffer(data, np.uint8, offset=labels).reshape(3, SIDE, SIDE)
            yield data[labels - 1], np.ascontiguousarray(pixels.transpose(1, 2, 0))


def _part(entry: Entry) -> str:
    return "test" if entry.parts[-1].startswith("test") else "train"
