"""The files of a row store, and how they are opened.

    meta.json    version, shape and type of a row; written last, so it vouches for the others. Its
                 time says when the store was last used
    rows.bin     the rows, one after the other; whoever reads them holds a shared lock on it
    index.bin    per row its key (32 bytes) and the CRC-32 of key and row (4 bytes)
    lock         held by whoever writes

Readers and the writer may be different processes.
"""

import os
import stat
import zlib
from collections import deque
from collections.abc import Sequence
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec import Struct

from imgcli.documents import Count, DocumentError, as_type, parse

VERSION = 2
META, ROWS, INDEX, LOCK = "meta.json", "rows.bin", "index.bin", "lock"
KEY = 32  # bytes
RECORD = KEY + 4  # bytes
PIECES = 64  # written at once; systems take 1,024 or more
MAX_META = 1 << 16  # bytes; ours has about a hundred


class Meta(Struct):
    """A store's `meta.json`."""

    version: int
    shape: list[Count]
    dtype: str
    about: str


def read_meta(folder: Path) -> dict[str, Any] | None:
    """What the store in a folder says of itself; None unless it is whole and readable."""
    try:
        # Only files as a store makes them: writing through a link could hurt what is elsewhere.
        if not all(stat.S_ISREG(os.lstat(folder / name).st_mode) for name in (META, ROWS, INDEX)):
            return None
        with open_file(folder / META) as file:
            meta = parse(file.read(MAX_META) or b"")
        as_type(meta, Meta)
    except (OSError, DocumentError):
        return None
    return dict(meta)


def checksum(key: bytes, row: memoryview) -> bytes:
    """CRC-32 of key and row: of the row alone, half a record of another could vouch for it."""
    return zlib.crc32(row, zlib.crc32(key)).to_bytes(RECORD - KEY, "little")


def open_file(path: Path, mode: str = "r") -> FileIO:
    """Open a store's file, following no link and waiting for no pipe."""
    return FileIO(path, mode, opener=lambda name, flags: os.open(name, careful(flags), 0o666))


def careful(flags: int) -> int:
    """Those flags of `os.open`, following no link and waiting for no pipe."""
    return flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def stamp_of(file: int) -> tuple[int, int]:
    """Size and time of an open file: another stamp means other content."""
    status = os.fstat(file)
    return status.st_size, status.st_mtime_ns


def cut_to(file: FileIO, size: int) -> None:
    """Cut off what is beyond `size`; a file of that size keeps its time."""
    if os.fstat(file.fileno()).st_size != size:
        os.ftruncate(file.fileno(), size)


def write_all(file: FileIO, pieces: Sequence[memoryview], offset: int) -> None:
    """Write pieces one after the other from `offset` on, in as many steps as the system takes."""
    left = deque(piece.cast("B") for piece in pieces)
    while left:
        written = os.pwritev(file.fileno(), list(islice(left, PIECES)), offset)
        offset += written
        while left and written >= len(left[0]):
            written -= len(left.popleft())
        if written:
            left[0] = left[0][written:]
