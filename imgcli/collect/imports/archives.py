"""Zip and tar archives as sources. Nothing is unpacked to a path.

Members are read one by one, in their order, and their bytes counted; no path from an archive
reaches `open()`. Refused, each with its reason: absolute names, names with "..", links, devices,
encrypted members, unknown compression, wrong sizes, and more bytes than `Limits` allow.
"""

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

from imgcli.collect.imports.labelled_photo import (
    LIMITS,
    Entry,
    Limits,
)
from imgcli.collect.imports.tars import tar_entries
from imgcli.collect.imports.zips import zip_entries
from imgcli.errors import DataError
from imgcli.reading import open_regular
from imgcli.records import Rejected

_TARS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}


@contextmanager
def _unpacked(unpack: Callable[..., Any], path: Path) -> Iterator[IO[bytes]]:
    with open_regular(path) as file, unpack(file) as stream:
        yield stream


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or a tar by its first bytes."""
    with open_regular(path) as file:
        return _is_zip(head := file.read(tarfile.BLOCKSIZE)) or _is_tar(head)


def _is_zip(head: bytes) -> bool:
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def _is_tar(head: bytes) -> bool:
    return head.startswith(tuple(_TARS)) or head[257:262] == b"ustar"


def archive_entries(
    path: Path, limits: Limits = LIMITS, encoding: str | None = None
) -> Iterator[Entry | Rejected]:
    """The members of an archive; zip or tar is told by the first bytes, not by the name.

    Args:
        encoding: of the names in a zip; found if None.

    Raises:
        DataError: neither a zip nor a tar, or damaged.
    """
    with open_regular(path) as file:
        head = file.read(tarfile.BLOCKSIZE)
    if _is_zip(head):
        return zip_entries(path, limits, encoding)
    for start, unpack in _TARS.items():
        if head.startswith(start):
            return tar_entries(path, partial(_unpacked, unpack), limits)
    if head[257:262] == b"ustar":
        return tar_entries(path, open_regular, limits)
    raise DataError(
        f"'{path}' is neither a folder nor a zip or tar (gz, bz2, xz) archive. "
        "Unpack it and import the folder."
    )
