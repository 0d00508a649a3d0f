"""SHA-256 of files; as by git's index, a file that has not changed is not read again."""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from imgcli import reading
from imgcli.compute.engine import in_order
from imgcli.compute.local import in_threads
from imgcli.image_types import EMPTY
from imgcli.locations import (
    Location,
    Member,
    Remote,
    Where,
    is_remote,
    locations_of,
    paths_in,
    read_each,
    reading_order,
    status_of,
)
from imgcli.photos.digest_memory import DigestMemory, digest_memory, file_key, object_key, part_key
from imgcli.progress import counter
from imgcli.records import IntArray, Rejected
from imgcli.runs import CACHE

# Git's rule: a file changed again in the very tick of the clock in which it was hashed keeps its
# times. So one modified this shortly before it was hashed is not remembered.
RACY_NS = 1_000_000_000
SAVE_SECONDS = 5.0  # between savings; so much hashing a kill loses
CHUNK = 128  # files per task: handing over a single small file takes longer than hashing it
SMALL = 1 << 20  # bytes; larger files are hashed piece by piece


class Hashed(NamedTuple):
    """What is known of N files that were hashed."""

    digests: list[str | Rejected]  # (N,) hexadecimal, or why there is none
    sizes: IntArray  # (N,) bytes, of what was hashed


def digest_files(files: Sequence[Location], cache: Path = CACHE) -> list[str | Rejected]:
    """SHA-256 of each file's bytes as hexadecimal, or why there is none, in the order given.

    An empty file is rejected: it is no photo, and all empty files would pass for the same one.
    """
    return hash_files(files, cache).digests


def hash_files(files: Sequence[Location], cache: Path = CACHE) -> Hashed:
    """As `digest_files`, with the sizes, so that nobody has to ask for them again."""
    found: list[str | Rejected] = [""] * len(files)
    sizes = np.zeros(len(files), np.int64)
    order = reading_order(files)
    fresh: dict[bytes, bytes] = {}
    with digest_memory(cache) as memory, counter("Hashing", len(files), "photos") as bar:

        def unknown() -> Iterator[tuple[int, Location]]:
            parts = [order[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
            chunks = ([files[i] for i in part] for part in parts)
            with closing(in_threads(partial(_remembered, memory), chunks)) as remembered:
                for part, known in zip(parts, remembered, strict=True):
                    for i, one in zip(part, known, strict=True):
                        if one is None:
                            yield i, files[i]
                        else:
                            found[i], sizes[i] = one
                    bar.update(len(known) - known.count(None))

        left = unknown()
        chunks = iter(lambda: list(islice(left, CHUNK)), [])
        saved, known = time.monotonic(), 0
        try:
            with closing(in_order(partial(_read_all, fresh), chunks, _names, _unread)) as read:
                for chunk in read:
                    for one in chunk:
                        found[one.position], sizes[one.position] = one.digest, one.size
                        if one.key and one.key not in fresh:  # hashed by a node
                            fresh[one.key] = bytes.fromhex(str(one.digest))
                    bar.update(len(chunk))
                    if time.monotonic() - saved > SAVE_SECONDS and len(fresh) > known:
                        added = dict(islice(fresh.copy().items(), known, None))
                        memory.add(added)
                        saved, known = time.monotonic(), known + len(added)
        finally:
            if len(fresh) > known:
                memory.add(dict(islice(fresh.items(), known, None)))
    return Hashed(found, sizes)


def digests_by_path(
    where: Where, paths: Sequence[str], cache: Path = CACHE
) -> tuple[dict[str, str], list[Rejected]]:
    """As `digest_files`, of photos by their paths: the digests, and the paths without one."""
    return by_path(paths, digest_files(locations_of(where, paths), cache))


def by_path(
    paths: Sequence[str], found: Sequence[str | Rejected]
) -> tuple[dict[str, str], list[Rejected]]:
    """The digests by their paths, and the paths without one."""
    digests: dict[str, str] = {}
    rejected: list[Rejected] = []
    for path, one in zip(paths, found, strict=True):
        if isinstance(one, Rejected):
            rejected.append(Rejected(path, one.reason))
        else:
            digests[path] = one
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


def content_key(location: Location) -> bytes | None:
    """What changes when a photo does: its file or object, and where in a shard it is.

    None where there is nothing, or nothing is known of its content without reading it: reading it
    says why.
    """
    return _key_and_size(location)[0]


def _key_and_size(location: Location) -> tuple[bytes | None, int]:
    """As `content_key`; and the bytes of the photo."""
    if is_remote(location):
        etag, size = location.etag, location.size  # type: ignore[union-attr]
        if not etag:
            return None, size
        whole = object_key(str(location.shard if isinstance(location, Member) else location), etag)
    else:
        try:
            status = status_of(location)
        except OSError:
            return None, 0
        whole, size = file_key(status), status.st_size
    if isinstance(location, Member):
        return part_key(whole, location.offset, location.size), location.size
    return whole, size


def _remembered(memory: DigestMemory, files: Sequence[Location]) -> list[tuple[str, int] | None]:
    """The digests and sizes of some files, as far as they are remembered."""
    if memory.is_empty:  # the files need not be asked
        return [None] * len(files)
    keys = [_key_and_size(file) for file in files]
    known = memory.known([key for key, _ in keys if key])
    return [(known[key].hex(), size) if key in known else None for key, size in keys]


class _Read(NamedTuple):
    """A file that was hashed by reading it."""

    position: int
    digest: str | Rejected
    size: int = 0  # bytes that were hashed
    key: bytes | None = None  # to remember it by; None for one that changed a moment ago


def _read_all(fresh: dict[bytes, bytes], files: Sequence[tuple[int, Location]]) -> list[_Read]:
    """The digests of some files, by reading them.

    Args:
        fresh: gets what is to be remembered at once, so that in this process it outlives Ctrl-C
            in the middle of some files; a node has a copy.
    """
    parts = [file for _, file in files if isinstance(file, Member | Remote)]
    read = _digest_parts(parts, fresh)
    return [
        next(read)._replace(position=i)
        if isinstance(file, Member | Remote)
        else _digest(i, file, fresh)
        for i, file in files
    ]


def _digest_parts(photos: Sequence[Member | Remote], fresh: dict[bytes, bytes]) -> Iterator[_Read]:
    """The digests of some objects and members of shards, by reading them, in order."""
    began = time.time_ns()
    keys = [content_key(photo) for photo in photos]  # before they are read, so that a change shows
    for photo, key, data in zip(photos, keys, read_each(photos, reading.MAX_PHOTO), strict=True):
        if isinstance(data, OSError):
            reason = f"cannot be read: {data.strerror or data}"
            yield _Read(0, Rejected(str(photo), reason))
        elif not data:
            yield _Read(0, Rejected(str(photo), EMPTY))
        else:
            digest = hashlib.sha256(data).digest()
            key = key if _is_old(photo, began) else None
            if key:
                fresh[key] = digest
            yield _Read(0, digest.hex(), len(data), key)


def _is_old(location: Location, now: int) -> bool:
    """Whether a photo would show that it has changed since."""
    if is_remote(location):
        return True
    try:
        return now - status_of(location).st_mtime_ns > RACY_NS
    except OSError:
        return False


def _names(files: Sequence[tuple[int, Location]]) -> list[str]:
    return paths_in(file for _, file in files)


def _unread(read: Sequence[_Read]) -> bool:
    """Whether a file could not be read."""
    return any(isinstance(one.digest, Rejected) for one in read)


def _digest(index: int, file: Path | str, fresh: dict[bytes, bytes]) -> _Read:
    """The digest of one file, by reading it."""
    try:
        began = time.time_ns()
        status, size, digest = _read(os.fspath(file))
    except OSError as error:
        return _Read(index, Rejected(str(file), f"cannot be read: {error.strerror or error}"))
    if size == 0:
        return _Read(index, Rejected(str(file), EMPTY))
    key = file_key(status) if began - status.st_mtime_ns > RACY_NS else None
    if key:
        fresh[key] = digest
    return _Read(index, digest.hex(), size, key)


def _read(path: str) -> tuple[os.stat_result, int, bytes]:
    """The status of a file before it was hashed, so that a change shows; its size and hash."""
    # `decode` would refuse a larger one, hashed or not.
    handle, status = reading.opened(path, os.O_RDONLY, reading.MAX_PHOTO)
    try:
        if status.st_size <= SMALL:
            data = os.read(handle, status.st_size + 1)
            if len(data) == status.st_size:
                return status, len(data), hashlib.sha256(data).digest()
            os.lseek(handle, 0, os.SEEK_SET)  # it has just grown or shrunk
        with open(handle, "rb", buffering=0, closefd=False) as file:
            digest = hashlib.file_digest(file, "sha256").digest()
            return status, file.tell(), digest
    finally:
        os.close(handle)
