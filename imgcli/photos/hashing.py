"""SHA-256 of files; as by git's index, a file that has not changed is not read again."""

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

from imgcli import reading
from imgcli.image_types import EMPTY
from imgcli.locations import (
    Location,
    Member,
    Remote,
    Where,
    is_remote,
    locations_of,
    read_each,
    reading_order,
    status_of,
)
from imgcli.photos.digest_memory import DigestMemory, digest_memory, file_key, object_key, part_key
from imgcli.progress import track
from imgcli.records import Rejected
from imgcli.runs import CACHE

T = TypeVar("T")
R = TypeVar("R")

# Git's rule: a file changed again in the very tick of the clock in which it was hashed keeps its
# times. So one modified this shortly before it was hashed is not remembered.
RACY_NS = 1_000_000_000
SAVE_SECONDS = 5.0  # between savings; so much hashing a kill loses
CHUNK = 128  # files per task: handing over a single small file takes longer than hashing it
SMALL = 1 << 20  # bytes; larger files are hashed piece by piece


def digest_files(files: Sequence[Location], cache: Path = CACHE) -> list[str | Rejected]:
    """SHA-256 of each file's bytes as hexadecimal, or why there is none, in the order given.

    An empty file is rejected: it is no photo, and all empty files would pass for the same one.
    """
    fresh: dict[bytes, bytes] = {}
    found: list[str | Rejected] = []
    order = reading_order(files)
    chunks = ([files[i] for i in order[at : at + CHUNK]] for at in range(0, len(files), CHUNK))
    with digest_memory(cache) as memory:
        digests = chain.from_iterable(in_threads(partial(_digests, memory, fresh), chunks))
        saved, known = time.monotonic(), 0
        try:
            for digest in track(digests, "Hashing", total=len(files), unit="photos"):
                found.append(digest)
                if time.monotonic() - saved > SAVE_SECONDS and len(fresh) > known:
                    added = dict(islice(fresh.copy().items(), known, None))
                    memory.add(added)
                    saved, known = time.monotonic(), known + len(added)
        finally:
            if len(fresh) > known:
                memory.add(dict(islice(fresh.items(), known, None)))
    given: list[str | Rejected] = [""] * len(files)
    for i, digest in zip(order, found, strict=True):
        given[i] = digest
    return given


def digests_by_path(
    where: Where, paths: Sequence[str], cache: Path = CACHE
) -> tuple[dict[str, str], list[Rejected]]:
    """As `digest_files`, of photos by their paths: the digests, and the paths without one."""
    digests: dict[str, str] = {}
    rejected: list[Rejected] = []
    for path, found in zip(paths, digest_files(locations_of(where, paths), cache), strict=True):
        if isinstance(found, Rejected):
            rejected.append(Rejected(path, found.reason))
        else:
            digests[path] = found
    return digests, rejected


def remember(
    files: Iterable[Path | str], digests: Sequence[str], before: int, cache: Path = CACHE
) -> None:
    """Remember digests that are known without reading, as of files that were linked since.

    Args:
        before: nanoseconds since the epoch; a file modified since then is not remembered.
    """
    fresh = {}
    for file, digest in zip(files, digests, strict=True):
        with suppress(OSError):
            status = os.stat(file)
            if before - status.st_mtime_ns > RACY_NS:
                fresh[file_key(status)] = bytes.fromhex(digest)
    if fresh:
        with digest_memory(cache) as memory:
            memory.add(fresh)


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


def _digests(
    memory: DigestMemory, fresh: dict[bytes, bytes], files: Sequence[Location]
) -> list[str | Rejected]:
    """The digests of some files, from memory or by reading; what was read goes into `fresh`."""
    keys = [content_key(file) for file in files]
    known = memory.known([key for key in keys if key])
    unknown = [file for file, key in zip(files, keys, strict=True) if key not in known]
    read = _read_digests([file for file in unknown if isinstance(file, Member | Remote)], fresh)
    return [
        known[key].hex()
        if key in known
        else next(read)
        if isinstance(file, Member | Remote)
        else _digest(file, fresh)
        for file, key in zip(files, keys, strict=True)
    ]


def content_key(location: Location) -> bytes | None:
    """What changes when a photo does: its file or object, and where in a shard it is.

    None where there is nothing, or nothing is known of its content without reading it: reading it
    says why.
    """
    if is_remote(location):
        etag = location.etag  # type: ignore[union-attr]
        whole = object_key(str(location.shard if isinstance(location, Member) else location), etag)
        if not etag:
            return None
    else:
        try:
            whole = file_key(status_of(location))
        except OSError:
            return None
    if isinstance(location, Member):
        return part_key(whole, location.offset, location.size)
    return whole


def _read_digests(
    photos: Sequence[Member | Remote], fresh: dict[bytes, bytes]
) -> Iterator[str | Rejected]:
    """The digests of some objects and members of shards, by reading them, in order."""
    began = time.time_ns()
    keys = [content_key(photo) for photo in photos]  # before they are read, so that a change shows
    for photo, key, data in zip(photos, keys, read_each(photos, reading.MAX_PHOTO), strict=True):
        if isinstance(data, OSError):
            yield Rejected(str(photo), f"cannot be read: {data.strerror or data}")
        elif not data:
            yield Rejected(str(photo), EMPTY)
        else:
            digest = hashlib.sha256(data).digest()
            if key and _is_old(photo, began):
                fresh[key] = digest
            yield digest.hex()


def _is_old(location: Location, now: int) -> bool:
    """Whether a photo would show that it has changed since."""
    if is_remote(location):
        return True
    try:
        return now - status_of(location).st_mtime_ns > RACY_NS
    except OSError:
        return False


def _digest(file: Path | str, fresh: dict[bytes, bytes]) -> str | Rejected:
    """The digest of one file, by reading it."""
    try:
        began = time.time_ns()
        status, digest = _read(os.fspath(file))
    except OSError as error:
        return Rejected(str(file), f"cannot be read: {error.strerror or error}")
    if status.st_size == 0:
        return Rejected(str(file), EMPTY)
    if began - status.st_mtime_ns > RACY_NS:
        fresh[file_key(status)] = digest
    return digest.hex()


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
