"""Rows of one shape and type on disk, each under the SHA-256 of what it was made from.

Decoded pixels, frozen features and perceptual hashes are all such rows: slow to make, never
changed, found again by content.

    meta.json    version, shape and type of a row; written last, so it vouches for the others
    rows.bin     the rows, one after the other, mapped into memory
    index.bin    per row its key (32 bytes) and the CRC-32 of its bytes (4 bytes)
    lock         held by whoever writes

A row is written before its record in the index, so a process killed at any moment leaves whole rows
and at most a tail that no record names, which the next writer cuts off. A power cut may reorder the
two; then the CRC, checked when a row is first used, tells. A row that fails it counts as missing
and is made again.
"""

import fcntl
import json
import os
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcli import workspace
from imgcli.progress import is_quiet
from imgcli.records import IntArray

VERSION = 1
RECORD = 36  # bytes
# Seconds between syncs to the disk. They are not needed to be right (see above), they only bound
# what a power cut makes us compute again: 10,000 rows of 5 kB, in blocks of 64, take 0.3 s so, and
# 2 s with a sync for every block.
SYNC_SECONDS = 10.0


class RowStore:
    """Append-only rows found by key; one writer at a time, readers never wait.

    Where the folder cannot be written the store goes on in memory and says so once: the results are
    the same, they are only not there the next time. For use by one thread of a process; any number
    of processes may share the folder.

    Args:
        folder: the store's own; made when the first row is appended. A store of another version,
            shape or type, or with a damaged `meta.json`, is then removed from it.
        shape: of one row.
        dtype: of one row, a numpy name such as "uint8" or "float32".
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: str) -> None:
        self.folder = folder
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._row_bytes = int(np.prod(shape)) * self.dtype.itemsize
        self._disk: NDArray[Any] = np.empty((0, *shape), self.dtype)  # rows 0.., mapped
        self._crcs: list[int] = []  # of the rows on disk
        self._sound: list[bool] = []  # whether that CRC has been checked
        self._spare: list[NDArray[Any]] = []  # the rows after them, where the disk failed
        self._row_of: dict[bytes, int] = {}
        self._in_memory = False
        self._inode: int | None = None  # of rows.bin, to notice that another began it anew
        self._synced = time.monotonic()
        self._refresh()

    def __len__(self) -> int:
        return len(self._disk) + len(self._spare)

    # --- reading --------------------------------------------------------------------------------

    def rows(self, keys: Sequence[str]) -> IntArray:
        """Row number of each key; -1 where there is none, or where the row turns out damaged."""
        self._refresh()
        return np.array([self._sound_row(bytes.fromhex(key)) for key in keys], dtype=np.int64)

    @property
    def array(self) -> NDArray[Any]:
        """All rows as they are now, (n, *shape), read-only; mapped, unless the disk failed."""
        if not self._spare:
            return self._disk
        return np.concatenate([self._disk, np.stack(self._spare)])

    def take(self, rows: IntArray) -> NDArray[Any]:
        """A copy of some rows, (len(rows), *shape)."""
        if not self._spare:
            return self._disk[rows]
        n = len(self._disk)
        out = np.empty((len(rows), *self.shape), self.dtype)
        for i, row in enumerate(rows):
            out[i] = self._disk[row] if row < n else self._spare[row - n]
        return out

    def _sound_row(self, key: bytes) -> int:
        row = self._row_of.get(key, -1)
        if 0 <= row < len(self._disk) and not self._sound[row]:
            if zlib.crc32(self._disk[row].data) != self._crcs[row]:
                del self._row_of[key]
                return -1
            self._sound[row] = True
        return row

    def _refresh(self) -> None:
        """See what other processes have added."""
        # Without permission, or after someone deleted the cache, we have what we have.
        with suppress(OSError):
            if not self._in_memory and (self._inode is not None or self._is_ours()):
                with self._open("rows.bin") as rows, self._open("index.bin") as index:
                    self._catch_up(rows, index)

    def _catch_up(self, rows: FileIO, index: FileIO) -> None:
        """Take in the records from the last known one to the last that has its row on disk."""
        status = os.fstat(rows.fileno())
        if self._inode not in (None, status.st_ino):
            raise OSError("another imgcli has begun it anew")
        self._inode = status.st_ino
        known = len(self._disk)
        n = min(status.st_size // self._row_bytes, os.fstat(index.fileno()).st_size // RECORD)
        if n <= known:
            return
        records = os.pread(index.fileno(), (n - known) * RECORD, known * RECORD)
        self._disk = np.memmap(rows, self.dtype, "r", shape=(n, *self.shape))
        self._crcs += (int.from_bytes(r[32:], "little") for r in _cut(records))
        self._sound += [False] * (n - known)
        self._row_of.update((r[:32], known + i) for i, r in enumerate(_cut(records)))

    def _is_ours(self) -> bool:
        """Whether there is a store, whole and made for such rows."""
        try:
            whole = all((self.folder / name).is_file() for name in ("rows.bin", "index.bin"))
            return whole and json.loads((self.folder / "meta.json").read_bytes()) == self._meta()
        except (OSError, ValueError):
            return False

    def _meta(self) -> dict[str, object]:
        return {"version": VERSION, "shape": list(self.shape), "dtype": self.dtype.str}

    def _open(self, name: str, mode: str = "r") -> FileIO:
        return FileIO(self.folder / name, mode)

    # --- writing --------------------------------------------------------------------------------

    def reserve(self, rows: int) -> None:
        """Refuse early when that many more rows will not fit on the disk.

        Raises:
            StorageError: naming the sizes. Not where the folder cannot be written anyway.
        """
        folder = next(f for f in (self.folder, *self.folder.absolute().parents) if f.is_dir())
        if os.access(folder, os.W_OK):
            workspace.need_space(folder, rows * self._row_bytes, f"The cache for {rows} photos")

    def append(self, keys: Sequence[str], array: NDArray[Any]) -> None:
        """Add rows (len(keys), *shape) under their keys; those already there stay as they are."""
        assert array.shape == (len(keys), *self.shape) and array.dtype == self.dtype
        if not self._in_memory:
            try:
                with self._writing() as (rows, index):
                    self._write(keys, array, rows, index)
                return
            except OSError as error:
                self._in_memory = True
                _note(self.folder, error)
        new = self._missing(keys)
        start = len(self)
        self._spare += (array[i].copy() for i in new.values())
        self._row_of.update((key, start + j) for j, key in enumerate(new))

    def flush(self) -> None:
        """Make what was appended survive a power cut."""
        with suppress(OSError):
            for name in ("rows.bin", "index.bin"):
                with self._open(name) as file:
                    os.fsync(file.fileno())
        self._synced = time.monotonic()

    @contextmanager
    def _writing(self) -> Iterator[tuple[FileIO, FileIO]]:
        """Hold the lock, on a whole store of ours, caught up and without a torn tail.

        The lock is held for one block only, so two processes that need the same photos take turns
        and each finds what the other has made.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._open("lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # closing the file, or dying, lets go of it
            if not self._is_ours():
                self._begin_anew()
            with self._open("rows.bin", "r+") as rows, self._open("index.bin", "r+") as index:
                self._catch_up(rows, index)
                os.ftruncate(rows.fileno(), len(self._disk) * self._row_bytes)
                os.ftruncate(index.fileno(), len(self._disk) * RECORD)
                yield rows, index

    def _begin_anew(self) -> None:
        # Removed and not emptied: another process may still have the old rows mapped.
        for name in ("meta.json", "rows.bin", "index.bin"):
            (self.folder / name).unlink(missing_ok=True)
        for name in ("rows.bin", "index.bin"):
            self._open(name, "x").close()
        workspace.write_json(self.folder / "meta.json", self._meta())

    def _write(self, keys: Sequence[str], array: NDArray[Any], rows: FileIO, index: FileIO) -> None:
        new = self._missing(keys)
        if not new:
            return
        known = len(self._disk)
        block = np.ascontiguousarray(array[list(new.values())])
        records = b"".join(
            key + zlib.crc32(row.data).to_bytes(4, "little")
            for key, row in zip(new, block, strict=True)
        )
        _write_all(rows, block.data.cast("B"), known * self._row_bytes)
        _write_all(index, memoryview(records), known * RECORD)
        self._catch_up(rows, index)
        self._sound[known:] = [True] * len(new)
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self.flush()

    def _missing(self, keys: Sequence[str]) -> dict[bytes, int]:
        """The keys that have no row yet, each with its first position."""
        first: dict[bytes, int] = {}
        for i, key in enumerate(map(bytes.fromhex, keys)):
            if self._sound_row(key) < 0:
                first.setdefault(key, i)
        return first


def _cut(records: bytes) -> Iterator[bytes]:
    return (records[i : i + RECORD] for i in range(0, len(records), RECORD))


def _write_all(file: FileIO, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(file.fileno(), data, offset)
        data, offset = data[written:], offset + written


def _note(folder: Path, error: OSError) -> None:
    if not is_quiet():
        why = error.strerror or error
        print(
            f"imgcli: the cache '{folder}' cannot be written ({why}); what it would keep stays in "
            "memory and will be made again the next time.",
            file=sys.stderr,
        )
