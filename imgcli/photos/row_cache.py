"""Rows of one shape and type on disk, each under the SHA-256 of what it was made from.

Decoded pixels, frozen features and fingerprints are all such rows: slow to make, never changed,
found again by content. What the files are is in `store_files`.

A row is written before its record in the index, so a process killed at any moment leaves whole rows
and at most a tail that no record names, which the next writer cuts off. A power cut may reorder the
two, a disk may fail, a program may write where it should not: so a row is compared with its CRC
when it is first read, and again when the file has changed since. One that fails counts as missing
and is made again.

Rows are read, not mapped. A photo of 224 pixels costs 13 µs instead of 7 so, but what is read does
not count as memory of the process, and a file that is cut short, or a disk that fails, ends in a
sentence and not in a SIGBUS.
"""

import fcntl
import os
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcli.errors import StorageError
from imgcli.files import need_space, sweep_temporaries, without_locks, write_json
from imgcli.photos.row_cache_files import (
    INDEX,
    KEY,
    LOCK,
    META,
    RECORD,
    ROWS,
    VERSION,
    careful,
    checksum,
    cut_to,
    open_file,
    read_meta,
    stamp_of,
    write_all,
)
from imgcli.progress import note
from imgcli.records import IntArray
from imgcli.text import megabytes

CHECKED_AT_ONCE = 1 << 20  # bytes
# Seconds between syncs to the disk. They are not needed to be right (see above), they only bound
# what a power cut makes us compute again: 10,000 rows of 5 kB, in blocks of 64, take 0.3 s so, and
# 2 s with a sync for every block.
SYNC_SECONDS = 10.0


class RowStore:
    """Append-only rows found by key; one writer at a time, readers never wait.

    Where the folder cannot be written the store goes on in memory and says so once: the results are
    the same, they are only not there the next time. Any number of processes may share the folder; a
    store object is for one thread, except that several may `take` at once.

    A row keeps its number as long as the object lives, whatever happens on the disk.

    Args:
        folder: the store's own; made when the first row is appended. A store of another version,
            shape or type, or with a damaged `meta.json`, is then removed from it.
        shape: of one row.
        dtype: of one row, a numpy name such as "uint8" or "float32".
        about: what the rows are, in a few words for people; `imgcli cache` shows it.
    """

    def __init__(
        self, folder: Path, shape: tuple[int, ...], dtype: str, *, about: str = ""
    ) -> None:
        self.folder = folder
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.about = about
        self._row_bytes = int(np.prod(shape)) * self.dtype.itemsize
        self._file: int | None = None  # rows.bin, open as long as the object lives
        self._records = bytearray()  # of the rows on disk, as in index.bin
        self._sound = np.zeros(0, dtype=bool)  # (rows on disk,) whether the CRC has been right
        self._stamp = (0, 0)  # size and time of rows.bin for which that holds
        self._spare: list[NDArray[Any]] = []  # the rows after them, where the disk failed
        self._row_of: dict[bytes, int] = {}
        self._in_memory = False
        self._synced = time.monotonic()
        self._refresh()

    def __len__(self) -> int:
        return len(self._sound) + len(self._spare)

    # --- reading --------------------------------------------------------------------------------

    def rows(self, keys: Sequence[str]) -> IntArray:
        """Row number of each key; -1 where there is none, or where the row turns out damaged."""
        self._refresh()
        return self._find([bytes.fromhex(key) for key in keys])

    def take(self, rows: IntArray) -> NDArray[Any]:
        """A copy of some rows, (len(rows), *shape).

        Raises:
            StorageError: another program has spoilt rows that were whole when they were looked up.
        """
        out = np.empty((len(rows), *self.shape), self.dtype)
        if not self._read(rows, out).all():
            raise StorageError(
                f"The cache '{self.folder}' was changed, or can no longer be read, while it was in "
                "use. Run the command again; if that does not help: imgcli cache --clear"
            )
        return out

    def _find(self, keys: Sequence[bytes]) -> IntArray:
        """Row number of each key whose row is whole, else -1."""
        self._notice_changes()
        found = np.array([self._row_of.get(key, -1) for key in keys], dtype=np.int64)
        on_disk = np.unique(found[(found >= 0) & (found < len(self._sound))])
        damaged = self._check(on_disk[~self._sound[on_disk]])
        for row in damaged.tolist():
            del self._row_of[self._record(row)[:KEY]]
        found[np.isin(found, damaged)] = -1
        return found

    def _check(self, rows: IntArray) -> IntArray:
        """Those of some rows on disk that are damaged."""
        step = max(1, CHECKED_AT_ONCE // self._row_bytes)
        buffer = np.empty((min(step, len(rows)), *self.shape), self.dtype)
        parts = (rows[start : start + step] for start in range(0, len(rows), step))
        damaged = [part[~self._read(part, buffer[: len(part)])] for part in parts]
        return np.concatenate([rows[:0], *damaged])

    def _read(self, rows: IntArray, out: NDArray[Any]) -> NDArray[np.bool_]:
        """Fill `out` with some rows; (len(rows),) whether each is what was once written."""
        n, size = len(self._sound), self._row_bytes
        assert len(rows) == 0 or (rows.min() >= 0 and rows.max() < len(self))
        self._notice_changes()
        right = np.ones(len(rows), dtype=bool)
        for i in np.flatnonzero(rows >= n).tolist():
            out[i] = self._spare[rows[i] - n]
        view = out.reshape(-1).view(np.uint8).data
        for start, stop in _runs(rows, n):
            first = int(rows[start])
            part = view[start * size : stop * size]
            whole = self._pread(part, first * size)
            sound = self._sound[first : first + stop - start]
            for i in np.flatnonzero(~(sound & whole)).tolist():
                record = self._record(first + i)
                crc = checksum(record[:KEY], part[i * size : (i + 1) * size])
                sound[i] = right[start + i] = crc == record[KEY:]
        return right

    def _notice_changes(self) -> None:
        """Trust no row any more that was read before rows.bin changed."""
        if self._file is not None and self._stamp != (stamp := stamp_of(self._file)):
            self._stamp = stamp
            self._sound[:] = False

    def _record(self, row: int) -> bytes:
        return bytes(self._records[row * RECORD : (row + 1) * RECORD])

    def _pread(self, into: memoryview, offset: int) -> bool:
        """Read from rows.bin; whether all of it could be read."""
        assert self._file is not None
        with suppress(OSError):
            while into and (n := os.preadv(self._file, [into], offset)):
                into, offset = into[n:], offset + n
        into[:] = bytes(len(into))  # not what this memory held before, which may be such a row
        return not into

    def _refresh(self) -> None:
        """See what other processes have added."""
        # Without permission, or after someone deleted the cache, we have what we have.
        with suppress(OSError):
            if not self._in_memory and (self._file is not None or self._is_ours()):
                with self._open(INDEX) as index:
                    self._catch_up(index)

    def _catch_up(self, index: FileIO) -> None:
        """Take in the records from the last known one to the last that has its row on disk."""
        rows = self._attach()
        if not os.path.samestat(rows, os.stat(self.folder / ROWS, follow_symlinks=False)):
            raise OSError("another imgcli has started it again")
        known = len(self._sound)
        n = min(rows.st_size // self._row_bytes, os.fstat(index.fileno()).st_size // RECORD)
        if n < known:
            raise OSError("another program has cut it short")
        records = os.pread(index.fileno(), (n - known) * RECORD, known * RECORD)
        n = known + len(records) // RECORD
        self._records[known * RECORD :] = records[: (n - known) * RECORD]
        self._sound = np.concatenate([self._sound, np.zeros(n - known, dtype=bool)])
        self._row_of.update((self._record(row)[:KEY], row) for row in range(known, n))

    def _attach(self) -> os.stat_result:
        """Keep rows.bin open, so that its rows stay readable even if it is removed; its status."""
        if self._file is None:
            self._file = os.open(self.folder / ROWS, careful(os.O_RDONLY))
            weakref.finalize(self, os.close, self._file)
            # Both for `imgcli cache` alone: it leaves what is in use, and what was used lately.
            with suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            with suppress(OSError):
                os.utime(self.folder / META, follow_symlinks=False)
        return os.fstat(self._file)

    def _is_ours(self) -> bool:
        """Whether there is a store, whole and made for such rows."""
        meta = read_meta(self.folder)
        return meta is not None and {**meta, "about": ""} == {**self._meta(), "about": ""}

    def _meta(self) -> dict[str, object]:
        shape = list(self.shape)
        return {"version": VERSION, "shape": shape, "dtype": self.dtype.str, "about": self.about}

    def _open(self, name: str, mode: str = "r") -> FileIO:
        return open_file(self.folder / name, mode)

    # --- writing --------------------------------------------------------------------------------

    def reserve(self, rows: int) -> None:
        """Refuse early when that many more rows will not fit: on the disk, or else in memory.

        Raises:
            StorageError: naming the sizes.
        """
        size = rows * self._row_bytes
        folder = next(f for f in (self.folder, *self.folder.absolute().parents) if f.is_dir())
        if os.access(folder, os.W_OK):
            need_space(folder, size, f"The cache for {rows} photos")
        if not self._in_memory:
            try:
                with self._writing():
                    pass
            except OSError as error:
                self._go_on_in_memory(error)
        if self._in_memory:
            self._need_memory(size)

    def append(
        self,
        keys: Sequence[str],
        array: NDArray[Any] | Sequence[NDArray[Any]],
        checksums: Sequence[bytes] | None = None,
    ) -> None:
        """Add rows (len(keys), *shape) under their keys; those already there stay as they are.

        Args:
            checksums: of each row, by `checksum`; None works them out here.

        Raises:
            StorageError: neither the disk nor the memory can hold them.
        """
        assert len(array) == len(keys)
        assert all(row.shape == self.shape and row.dtype == self.dtype for row in array)
        packed = [bytes.fromhex(key) for key in keys]
        if not self._in_memory:
            try:
                with self._writing() as (rows, index):
                    self._write(packed, array, checksums, rows, index)
                return
            except OSError as error:
                self._go_on_in_memory(error)
        new = self._missing(packed)
        self._need_memory(len(new) * self._row_bytes)
        self._row_of.update((key, len(self) + j) for j, key in enumerate(new))
        self._spare += (array[i].copy() for i in new.values())

    def flush(self) -> None:
        """Make what was appended survive a power cut."""
        with suppress(OSError):
            for name in (ROWS, INDEX):
                with self._open(name) as file:
                    os.fsync(file.fileno())
        self._synced = time.monotonic()

    @contextmanager
    def _writing(self) -> Iterator[tuple[FileIO, FileIO]]:
        """Hold the lock, on a whole store of ours, caught up and without a torn tail.

        The lock is held for one block only, so two processes that need the same photos take turns
        and each finds what the other has made.
        """
        with self._lock():
            if not self._is_ours():
                self._start_again()
            with self._open(ROWS, "r+") as rows, self._open(INDEX, "r+") as index:
                self._catch_up(index)
                cut_to(rows, len(self._sound) * self._row_bytes)
                cut_to(index, len(self._sound) * RECORD)
                yield rows, index

    def _lock(self) -> FileIO:
        """The writers' lock, held until it is closed or the process dies."""
        while True:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = self._open(LOCK, "a")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError as error:  # rows that two writers mixed up would fail their checksums
                without_locks(self.folder.parent.parent, error)
            # It may have been pruned while we waited; a lock on a removed file excludes nobody.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(lock.fileno()), os.stat(self.folder / LOCK)):
                    return lock
            lock.close()

    def _start_again(self) -> None:
        # Removed and not emptied: another process may still read the old rows.
        for name in (META, ROWS, INDEX):
            (self.folder / name).unlink(missing_ok=True)
        sweep_temporaries(self.folder)
        for name in (ROWS, INDEX):
            self._open(name, "x").close()
        write_json(self.folder / META, self._meta())

    def _write(
        self,
        keys: Sequence[bytes],
        array: NDArray[Any] | Sequence[NDArray[Any]],
        checksums: Sequence[bytes] | None,
        rows: FileIO,
        index: FileIO,
    ) -> None:
        new = self._missing(keys)
        if not new:
            return
        known = len(self._sound)
        block = [np.ascontiguousarray(array[i]).data for i in new.values()]
        checks = (
            map(checksum, new, block) if checksums is None else (checksums[i] for i in new.values())
        )
        records = b"".join(key + check for key, check in zip(new, checks, strict=True))
        write_all(rows, block, known * self._row_bytes)
        write_all(index, [memoryview(records)], known * RECORD)
        self._catch_up(index)
        self._stamp = stamp_of(rows.fileno())  # changed by us: what we know still holds
        self._sound[known:] = True
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self.flush()

    def _missing(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        """The keys that have no row yet, each with its first position."""
        first: dict[bytes, int] = {}
        for i in np.flatnonzero(self._find(keys) < 0).tolist():
            first.setdefault(keys[i], i)
        return first

    def _go_on_in_memory(self, error: OSError) -> None:
        self._in_memory = True
        note(
            f"The cache '{self.folder}' cannot be written ({error.strerror or error}); what it "
            "would keep stays in memory and will be made again the next time."
        )

    def _need_memory(self, size: int) -> None:
        needed = len(self._spare) * self._row_bytes + size
        if needed > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2:
            raise StorageError(
                f"The cache '{self.folder}' cannot be written, and the {megabytes(needed)} that it "
                "would keep are more than half of this machine's memory. Make the folder writable, "
                "free some space, or work on another disk."
            )


def _runs(rows: IntArray, end: int) -> Iterator[tuple[int, int]]:
    """Where `rows` counts up by one: each stretch from start to before stop, of rows below end."""
    cuts = np.flatnonzero((np.diff(rows) != 1) | (rows[1:] == end)) + 1
    edges = [0, *cuts.tolist(), len(rows)]
    return ((i, j) for i, j in pairwise(edges) if i < j and rows[i] < end)
