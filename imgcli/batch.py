"""Much written safely without waiting for the disk after each piece: small files, and lines.

Beside `files`, whose rules hold here too: under its own name a file is whole or not there. A list
of lines is the one thing that is added to in place: a torn last line is dropped when it is opened.
"""

import ctypes
import io
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

from imgcli.errors import StorageError
from imgcli.files import sync_folder, temporary_name, writing
from imgcli.reading import only_regular


class Batch:
    """Files under temporary names that become durable, and get their names, together.

    A file that must survive a power cut has to be synced before it is renamed. Synced one by one,
    60,000 photos wait four minutes for the disk (3.8 ms each, measured); one barrier for thousands
    of them costs a fraction of a second. What a reader may rely on stays the same: under its own
    name a file is whole or not there.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bytes = 0
        self._waiting: deque[tuple[str, str]] = deque()  # temporary and final paths

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, folder: str, name: str, data: bytes) -> None:
        """Write what `commit` will call `root/folder/name`."""
        # Plain strings: with Path objects, this costs more than writing the file.
        place = f"{self.root}/{folder}"
        temporary = f"{place}/{temporary_name('b')}"
        try:
            with writing(f"{place}/{name}", by=temporary), open(temporary, "xb") as file:
                file.write(data)
        except BaseException:
            _remove(temporary)
            raise
        self._waiting.append((temporary, f"{place}/{name}"))
        self.bytes += len(data)

    def commit(self) -> None:
        """Make what was added durable and give it its names, in the order of adding.

        Raises:
            StorageError: someone else made a file of that name meanwhile; it is not touched.
        """
        if self._waiting:
            sync_file_system(self.root)
        while self._waiting:
            temporary, path = self._waiting.popleft()
            if os.path.lexists(path):
                _remove(temporary)
                raise StorageError(f"'{path}' appeared while imgcli was writing. Run this again.")
            os.rename(temporary, path)
        self.bytes = 0

    def discard(self) -> None:
        """Drop what was added since the last commit."""
        while self._waiting:
            _remove(self._waiting.popleft()[0])


def _remove(temporary: str) -> None:
    with suppress(FileNotFoundError):
        os.remove(temporary)


def sync_file_system(folder: Path) -> None:
    """Make everything written so far to the file system of `folder` survive a power cut.

    Raises:
        OSError: the disk could not take it.
    """
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:  # not Linux
        os.sync()
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        if syncfs(handle) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(folder))
    finally:
        os.close(handle)


# --- lines --------------------------------------------------------------------------------------


def begin_lines(path: Path) -> None:
    """Make the list of lines at `path` if there is none, durably."""
    with writing(path), open(path, "ab", opener=only_regular) as file:
        os.fsync(file.fileno())


def append_lines(path: Path, entries: Iterable[Mapping[str, Any]]) -> None:
    """Add a line of JSON for each entry, all or none, without waiting for the disk."""
    data = b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)
    with (
        writing(path),
        open(path, "ab", buffering=0, opener=only_regular) as file,
        _all_or_none(file),
    ):
        _write(file, data)


def append_text(path: Path, lines: str) -> None:
    """Add whole lines of text, all or none, without waiting for the disk."""
    with (
        writing(path),
        open(path, "ab", buffering=0, opener=only_regular) as file,
        _all_or_none(file),
    ):
        _write(file, lines.encode("utf-8", "surrogateescape"))


def append_durably(path: Path, entry: Mapping[str, Any], is_whole: Callable[[bytes], bool]) -> None:
    """Add one line of JSON, made if there is no file yet: durably, or not at all.

    Args:
        is_whole: says of a last line without an end whether it is kept; a torn one is dropped.

    Raises:
        OSError: the line is not there.
    """
    with writing(path), open(path, "a+b", buffering=0, opener=only_regular) as file:
        file.seek(0)
        last = file.read().rpartition(b"\n")[2]
        if last and not is_whole(last):
            file.truncate(file.seek(0, os.SEEK_END) - len(last))
            last = b""
        with _all_or_none(file):
            _write(file, (b"\n" if last else b"") + json.dumps(entry).encode() + b"\n")
            os.fsync(file.fileno())
    sync_folder(path.parent)


@contextmanager
def _all_or_none(file: io.FileIO) -> Iterator[None]:
    """Take back what was appended if not all of it could be."""
    end = file.seek(0, os.SEEK_END)
    try:
        yield
    except BaseException:
        file.truncate(end)
        raise


def _write(file: io.FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # the system may take it in parts
        rest = rest[file.write(rest) :]


def repair_lines(path: Path) -> None:
    """Drop the last line if a kill tore it in the middle of being appended.

    One that lacks its newline alone, as some editors leave it, is whole and gets one.
    """
    with open(path, "r+b", opener=only_regular) as file:
        (last,) = deque(chain([b"\n"], file), maxlen=1)
        if not last.endswith(b"\n"):
            end = file.seek(0, os.SEEK_END)
            if _is_entry(last):
                file.write(b"\n")
            else:
                file.truncate(end - len(last))
            file.flush()
            os.fsync(file.fileno())


def _is_entry(line: bytes) -> bool:
    """Whether a line is a whole JSON object; no part of one is."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
