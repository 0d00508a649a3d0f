"""SHA-256 of files, with a memory like git's index: a file that has not changed is not read again.

`digests.npz` in the cache remembers, for each absolute path, what `stat` said when the file was
hashed and what came out. All it can do is save time: damage shows in the checksums that zip keeps,
and a file that cannot be understood, or written, is ignored.
"""

import hashlib
import os
import struct
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from imgcli import reading
from imgcli.files import atomic_file
from imgcli.image_types import EMPTY
from imgcli.progress import track
from imgcli.records import Rejected
from imgcli.runs import CACHE

T = TypeVar("T")
R = TypeVar("R")

# hash of the absolute path (16 bytes) -> size, mtime, ctime, inode (32 bytes), SHA-256 (32 bytes)
Memory = dict[bytes, bytes]

MEMORY = "digests.npz"
MAX_FILES = 500_000  # files remembered, those hashed last; 80 bytes each
# Git's rule: a file changed again in the very tick of the clock in which it was hashed keeps its
# times. So one modified this shortly before it was hashed is not remembered.
RACY_NS = 1_000_000_000
SAVE_SECONDS = 5.0  # between savings, which write all; so much hashing a kill loses
CHUNK = 128  # files per task: handing over a single small file takes longer than hashing it
SMALL = 1 << 20  # bytes; larger files are hashed piece by piece


def digest_files(files: Sequence[Path | str], cache: Path = CACHE) -> list[str | Rejected]:
    """SHA-256 of each file's bytes as hexadecimal, or why there is none, in the order given.

    An empty file is rejected: it is no photo, and all empty files would pass for the same one.
    """
    here = os.getcwd()
    memory = _load(cache / MEMORY)
    fresh: Memory = {}

    def digest_chunk(chunk: Sequence[Path | str]) -> list[str | Rejected]:
        return [_digest(file, here, memory, fresh) for file in chunk]

    chunks = (files[start : start + CHUNK] for start in range(0, len(files), CHUNK))
    found: list[str | Rejected] = []
    digests = chain.from_iterable(in_threads(digest_chunk, chunks))
    saved, known = time.monotonic(), 0
    try:
        for digest in track(digests, "Hashing", total=len(files), unit="photos"):
            found.append(digest)
            if time.monotonic() - saved > SAVE_SECONDS and len(fresh) > known:
                known = len(fresh)
                _save(cache / MEMORY, memory, fresh.copy())
                saved = time.monotonic()
    finally:
        if len(fresh) > known:
            _save(cache / MEMORY, memory, fresh)
    return found


def digests_by_path(
    root: Path, paths: Sequence[str], cache: Path = CACHE
) -> tuple[dict[str, str], list[Rejected]]:
    """As `digest_files`, of files below `root`: the digests by path, and the paths without one."""
    digests: dict[str, str] = {}
    rejected: list[Rejected] = []
    files = [f"{root}/{path}" for path in paths]  # a Path for each takes a second for 100,000
    for path, found in zip(paths, digest_files(files, cache), strict=True):
        if isinstance(found, Rejected):
            rejected.append(Rejected(path, found.reason))
        else:
            digests[path] = found
    return digests, rejected


def remember(
    files: Iterable[tuple[Path | str, ...]],
    digests: Sequence[str],
    before: int,
    cache: Path = CACHE,
) -> None:
    """Remember digests that are known without reading, as of links to files just hashed.

    Args:
        files: for each digest the names that one file has, which are looked at once.
        before: nanoseconds since the epoch; a file modified since then is not remembered.
    """
    here = os.getcwd()
    fresh: Memory = {}
    for names, digest in zip(files, digests, strict=True):
        with suppress(OSError):
            status = os.stat(names[0])
            if before - status.st_mtime_ns > RACY_NS:
                entry = _packed(status) + bytes.fromhex(digest)
                for name in names:
                    fresh[_key(os.path.join(here, name))] = entry
    if fresh:
        _save(cache / MEMORY, _load(cache / MEMORY), fresh)


def in_threads(work: Callable[[T], R], items: Iterable[T]) -> Generator[R, None, None]:
    """`work(item)` for each item, in order, on all cores, only a few items ahead of the reader.

    A reader that stops, by Ctrl-C too, waits for what has begun and nothing more is begun.
    """
    threads = cores()
    pool = ThreadPoolExecutor(threads)
    ahead: deque[Future[R]] = deque()
    try:
        for item in items:
            ahead.append(pool.submit(work, item))
            if len(ahead) > threads + 1:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def cores() -> int:
    """Cores this process may use, where the system tells; a container's share is smaller."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _digest(file: Path | str, here: str, memory: Memory, fresh: Memory) -> str | Rejected:
    """The digest of one file, from memory or by reading it; what was read goes into `fresh`."""
    path = os.path.join(here, file)
    key = _key(path)
    try:
        known = memory.get(key)
        if known and known[:32] == _packed(os.stat(path)):
            return known[32:].hex()
        began = time.time_ns()
        status, digest = _read(path)
    except OSError as error:
        return Rejected(str(file), f"cannot be read: {error.strerror or error}")
    if status.st_size == 0:
        return Rejected(str(file), EMPTY)
    if began - status.st_mtime_ns > RACY_NS:
        fresh[key] = _packed(status) + digest
    return digest.hex()


def _key(path: str) -> bytes:
    return hashlib.blake2b(os.fsencode(path), digest_size=16).digest()


def _read(path: str) -> tuple[os.stat_result, bytes]:
    """The status of a file before it was hashed, so that a change meanwhile shows, and its hash."""
    # `decode` would refuse a larger one, hashed or not.
    handle = reading.only_regular(path, os.O_RDONLY, reading.MAX_PHOTO)
    try:
        status = os.fstat(handle)
        if status.st_size <= SMALL:
            data = os.read(handle, status.st_size + 1)
            if len(data) == status.st_size:
                return status, hashlib.sha256(data).digest()
            os.lseek(handle, 0, os.SEEK_SET)  # it has just grown or shrunk
        with open(handle, "rb", buffering=0, closefd=False) as file:
            return status, hashlib.file_digest(file, "sha256").digest()
    finally:
        os.close(handle)


def _packed(status: os.stat_result) -> bytes:
    """What changes when a file does; ctime also where someone has put mtime back."""
    inode = status.st_ino & (2**63 - 1)  # unsigned on some file systems
    return struct.pack("<4q", status.st_size, status.st_mtime_ns, status.st_ctime_ns, inode)


def _load(path: Path) -> Memory:
    try:
        raw: bytes = reading.read_arrays(path)["v1"].tobytes()
    except reading.UNREADABLE:
        return {}
    return {raw[i : i + 16]: raw[i + 16 : i + 80] for i in range(0, len(raw) - 79, 80)}


def _save(path: Path, memory: Memory, fresh: Memory) -> None:
    """Remember the fresh ones too, at the end, and forget the oldest beyond `MAX_FILES`."""
    kept = {key: value for key, value in memory.items() if key not in fresh} | fresh
    entries = islice(kept.items(), max(0, len(kept) - MAX_FILES), None)
    raw = b"".join(chain.from_iterable(entries))
    with suppress(OSError):  # a cache that cannot be written means hashing again, no more
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, v1=np.frombuffer(raw, dtype=np.uint8))  # hashes cannot be compressed
