"""SHA-256 of files; as by git's index, a file that has not changed is not read again."""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from imgcli import reading
from imgcli.compute.engine import in_order
from imgcli.compute.local import in_threads
from imgcli.image_types import EMPTY
from imgcli.photos.digest_memory import DigestMemory, digest_memory, file_key
from imgcli.progress import counter
from imgcli.records import Rejected
from imgcli.runs import CACHE

# Git's rule: a file changed again in the very tick of the clock in which it was hashed keeps its
# times. So one modified this shortly before it was hashed is not remembered.
RACY_NS = 1_000_000_000
SAVE_SECONDS = 5.0  # between savings; so much hashing a kill loses
CHUNK = 128  # files per task: handing over a single small file takes longer than hashing it
SMALL = 1 << 20  # bytes; larger files are hashed piece by piece


def digest_files(files: Sequence[Path | str], cache: Path = CACHE) -> list[str | Rejected]:
    """SHA-256 of each file's bytes as hexadecimal, or why there is none, in the order given.

    An empty file is rejected: it is no photo, and all empty files would pass for the same one.
    """
    found: list[str | Rejected] = [""] * len(files)
    fresh: dict[bytes, bytes] = {}
    with digest_memory(cache) as memory, counter("Hashing", len(files), "photos") as bar:

        def unknown() -> Iterator[tuple[int, Path | str]]:
            starts = range(0, len(files), CHUNK)
            chunks = (files[start : start + CHUNK] for start in starts)
            with closing(in_threads(partial(_remembered, memory), chunks)) as remembered:
                for start, digests in zip(starts, remembered, strict=True):
                    for i, digest in enumerate(digests, start):
                        if digest is None:
                            yield i, files[i]
                        else:
                            found[i] = digest
                            bar.update()

        left = unknown()
        chunks = iter(lambda: list(islice(left, CHUNK)), [])
        saved, known = time.monotonic(), 0
        try:
            with closing(in_order(partial(_read_all, fresh), chunks, _names, _unread)) as read:
                for one in chain.from_iterable(read):
                    found[one.position] = one.digest
                    if one.key:
                        fresh[one.key] = bytes.fromhex(str(one.digest))
                    bar.update()
                    if time.monotonic() - saved > SAVE_SECONDS and len(fresh) > known:
                        added = dict(islice(fresh.copy().items(), known, None))
                        memory.add(added)
                        saved, known = time.monotonic(), known + len(added)
        finally:
            if len(fresh) > known:
                memory.add(dict(islice(fresh.items(), known, None)))
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


def _remembered(memory: DigestMemory, files: Sequence[Path | str]) -> list[str | None]:
    """The digests of some files, as far as they are remembered."""
    keys: list[bytes | None] = []
    for file in files:
        try:
            keys.append(file_key(os.stat(file)))
        except OSError:  # reading it says why
            keys.append(None)
    known = memory.known([key for key in keys if key])
    return [known[key].hex() if key in known else None for key in keys]


class _Read(NamedTuple):
    """A file that was hashed by reading it."""

    position: int
    digest: str | Rejected
    key: bytes | None = None  # to remember it by; None for one that changed a moment ago


def _read_all(fresh: dict[bytes, bytes], files: Sequence[tuple[int, Path | str]]) -> list[_Read]:
    """The digests of some files, by reading them.

    Args:
        fresh: gets what is to be remembered at once, so that in this process it outlives Ctrl-C
            in the middle of some files; a node has a copy.
    """
    return [_digest(i, file, fresh) for i, file in files]


def _names(files: Sequence[tuple[int, Path | str]]) -> list[str]:
    return [os.fspath(file) for _, file in files]


def _unread(read: Sequence[_Read]) -> bool:
    """Whether a file could not be read."""
    return any(isinstance(one.digest, Rejected) for one in read)


def _digest(index: int, file: Path | str, fresh: dict[bytes, bytes]) -> _Read:
    """The digest of one file, by reading it."""
    try:
        began = time.time_ns()
        status, digest = _read(os.fspath(file))
    except OSError as error:
        return _Read(index, Rejected(str(file), f"cannot be read: {error.strerror or error}"))
    if status.st_size == 0:
        return _Read(index, Rejected(str(file), EMPTY))
    key = file_key(status) if began - status.st_mtime_ns > RACY_NS else None
    if key:
        fresh[key] = digest
    return _Read(index, digest.hex(), key)


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
