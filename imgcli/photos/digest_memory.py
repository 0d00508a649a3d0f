"""What files were when they were hashed, and what came out: a SQLite table in the cache.

A file is known by what `stat` says of it, not by its path: its size, its times and its inode. So
hard links are one file, and a file that was moved is not read again. All the table can do is save
time: each digest has a checksum, a table that cannot be understood is begun again, and one that
cannot be read or written is done without.
"""

import hashlib
import os
import sqlite3
import struct
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

MEMORY = "digests.sqlite"
MAX_FILES = 5_000_000  # files remembered, those hashed last; some 70 bytes each
_BUSY_SECONDS = 1.0  # to wait for another process's transaction; without the table it is slower
_CACHE_KB = 32_768  # of SQLite's own memory at most: pages of half a million files
_TABLE = """
CREATE TABLE IF NOT EXISTS digests (
    file BLOB PRIMARY KEY,
    digest BLOB NOT NULL,
    pass INTEGER NOT NULL
) WITHOUT ROWID
"""


class DigestMemory:
    """SHA-256 of files by `file_key`; threads may share one."""

    def __init__(self, path: Path) -> None:
        self._path, self._turn = path, threading.Lock()
        self._database: sqlite3.Connection | None = None
        if path.exists():
            self._open()

    @property
    def is_empty(self) -> bool:
        """Whether there was no table when it was opened, and nothing has been added since."""
        return self._database is None

    def known(self, files: Sequence[bytes]) -> dict[bytes, bytes]:
        """The digests of those of the files that are remembered."""
        marks = ",".join("?" * len(files))
        query = f"SELECT file, digest FROM digests WHERE file IN ({marks})"
        with self._turn, suppress(sqlite3.Error):
            if self._database:
                rows = self._database.execute(query, files).fetchall()
                return {
                    file: value[4:] for file, value in rows if value == _vouched(file, value[4:])
                }
        return {}

    def add(self, fresh: Mapping[bytes, bytes]) -> None:
        """Remember digests, and forget those of the longest ago beyond `MAX_FILES`."""
        with self._turn, suppress(OSError, sqlite3.Error):
            if self._database is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._open()
            try:
                self._insert(fresh)
            except sqlite3.OperationalError:  # a full disk, another process's turn
                raise
            except sqlite3.DatabaseError:  # damaged
                self.close()
                self._path.unlink()
                self._open()
                self._insert(fresh)

    def close(self) -> None:
        if self._database:
            self._database.close()
        self._database = None

    def _open(self) -> None:
        if self._path.is_symlink() or (self._path.exists() and not self._path.is_file()):
            return  # none of ours
        with suppress(sqlite3.Error):
            self._database = sqlite3.connect(self._path, _BUSY_SECONDS, check_same_thread=False)
            # Nothing is lost by a kill; what a power cut spoils is begun again.
            self._database.execute("PRAGMA synchronous = OFF")
            self._database.execute(f"PRAGMA cache_size = -{_CACHE_KB}")

    def _insert(self, fresh: Mapping[bytes, bytes]) -> None:
        if self._database is None:
            return
        with self._database as database:
            database.execute(_TABLE)
            last, n = database.execute("SELECT max(pass), count(*) FROM digests").fetchone()
            rows = [  # sorted: pages are then filled one after another
                (file, _vouched(file, fresh[file]), (last or 0) + 1) for file in sorted(fresh)
            ]
            database.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", rows)
            if n + len(fresh) > MAX_FILES:
                oldest = "SELECT file FROM digests ORDER BY pass DESC LIMIT -1 OFFSET ?"
                database.execute(f"DELETE FROM digests WHERE file IN ({oldest})", (MAX_FILES,))


@contextmanager
def digest_memory(cache: Path) -> Iterator[DigestMemory]:
    """The memory in a cache folder, closed in the end."""
    memory = DigestMemory(cache / MEMORY)
    try:
        yield memory
    finally:
        memory.close()


def file_key(status: os.stat_result) -> bytes:
    """What changes when a file does; ctime also where someone has put mtime back."""
    inode = status.st_ino & (2**63 - 1)  # unsigned on some file systems
    packed = struct.pack("<4q", status.st_size, status.st_mtime_ns, status.st_ctime_ns, inode)
    return hashlib.blake2b(packed, digest_size=16).digest()


def object_key(uri: str, etag: str) -> bytes:
    """The key of an object behind a URI, by what its server says of its content."""
    text = f"{uri}\n{etag}".encode("utf-8", "surrogateescape")
    return hashlib.blake2b(text, digest_size=16).digest()


def part_key(file: bytes, offset: int, size: int) -> bytes:
    """The key of some bytes of a file, by the key of the file."""
    return hashlib.blake2b(file + struct.pack("<2q", offset, size), digest_size=16).digest()


def _vouched(file: bytes, digest: bytes) -> bytes:
    """A digest with a checksum of it and of its file in front."""
    return struct.pack("<I", zlib.crc32(file + digest)) + digest
