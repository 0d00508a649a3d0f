"""Objects by their URIs, for whoever reads photos from a bucket.

    list_uris("s3://bucket/shards")     every object below, sorted, with size and ETag
    stat_uri("s3://bucket/a.tar")       one of them
    read_uri(found, 0, 512)             some bytes of it, or all
    open_uri(found)                     a file that reads ahead, and may be sought in

What could not be listed is a sentence (`Refused`), and so is a server that does not answer; an
object that alone cannot be read, or has changed since it was listed, is an `OSError`.
"""

import io
from collections.abc import Iterator
from functools import partial

from imgcli.errors import DataError
from imgcli.remote.storage import WEB, RemoteObject, storage_of, walk
from imgcli.remote.uris import shown, split_uri

BLOCK = 4 << 20  # bytes read at once in a file that is read forwards
_WEB_BLOCK = 32 << 20
_MOST_FIRST = 64 << 20
_FIRST = 64 << 10  # bytes read at first, and after a jump: many files are only looked into
_END = 256 << 10  # bytes at the end that are read at once

Kept = dict[int, bytes]  # some bytes of an object, by where they begin


def list_uris(prefix: str) -> Iterator[RemoteObject]:
    """Every object below a folder: of each folder its files by name, then its folders.

    Raises:
        DataError: there is nothing.
        Refused: it cannot be listed.
    """
    found = None
    for found in walk(storage_of(prefix), RemoteObject(prefix.rstrip("/"), is_folder=True)):
        yield found
    if found is None:
        raise nothing_at(prefix)


def list_folder(uri: str) -> list[RemoteObject]:
    """The objects and folders directly in a folder, sorted by name; empty where there is none.

    Raises:
        Refused: it cannot be listed.
    """
    return storage_of(uri).listing(uri)


def stat_uri(uri: str) -> RemoteObject:
    """The object or folder at a URI.

    Raises:
        DataError: there is nothing.
        Refused: it may not be looked at.
    """
    found = storage_of(uri).look_up(uri.rstrip("/"))
    if found is None:
        raise nothing_at(uri)
    return found


def nothing_at(uri: str) -> DataError:
    """The error on a URI that leads to nothing."""
    return DataError(
        f"There is nothing at '{shown(uri)}'. Check the path: it is told apart by case, and a part "
        "of a name is no folder."
    )


def read_uri(one: RemoteObject, start: int = 0, end: int | None = None) -> bytes:
    """The bytes from `start` to before `end`, all of them, as the object was when it was listed.

    Raises:
        OSError: it has changed, is gone or may not be read; `strerror` is the reason.
        Refused: the server does not answer.
    """
    stop = one.size if end is None else min(end, one.size)
    return storage_of(one.uri).read(one, start, stop)


def open_uri(
    one: RemoteObject | str, first: int | None = None, kept: Kept | None = None
) -> io.BufferedReader:
    """An object as a file, of which never more than a few blocks are in memory.

    Args:
        first: bytes asked for first, for a file that is to be read whole; at most 64 MB.
        kept: its start and end, for several files of one object; filled here.

    Raises:
        as `stat_uri`; reading raises as `read_uri`.
    """
    found = stat_uri(one) if isinstance(one, str) else one
    return io.BufferedReader(_Raw(found, min(first or _FIRST, _MOST_FIRST), kept), _FIRST)


class _Raw(io.RawIOBase):
    """Reads ranges: small ones where it is sought in, twice as large with each read forwards.

    The end is read at once, since archives and tables have their directories there.
    """

    def __init__(self, one: RemoteObject, first: int, kept: Kept | None) -> None:
        super().__init__()
        self._read = partial(read_uri, one)
        self._size = one.size
        # The web's hosts want a second between two requests.
        self._block = _WEB_BLOCK if split_uri(one.uri)[0] in WEB else BLOCK
        self._kept: Kept = {} if kept is None else kept
        self._at = 0
        self._start = 0  # of the bytes at hand
        self._data = b""
        self._next = max(first, _FIRST)  # bytes

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"no position {base + offset}")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        if self._at >= self._size:
            return 0
        if not self._start <= self._at < self._start + len(self._data):
            self._start, self._data = self._around()
        data = self._data[self._at - self._start :][: len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _around(self) -> tuple[int, bytes]:
        """The next bytes at hand, from before or at the position, and where they begin."""
        for start, data in self._kept.items():
            if start <= self._at < start + len(data):
                return start, data
        end = max(0, self._size - _END)
        if self._at >= end:
            self._kept[end] = self._read(end, self._size)
            return end, self._kept[end]
        skipped = (
            self._at - self._start - len(self._data)
        )  # a little, between members of an archive
        if self._data and 0 <= skipped <= self._next:
            self._next = max(self._next, min(2 * self._next, self._block))
        elif self._data:
            self._next = _FIRST
        stop = self._at + self._next
        data = self._read(self._at, stop if stop >= self._size else min(stop, end))
        if self._at == 0 and len(data) <= _END:
            self._kept[0] = data
        return self._at, data
