"""Writing that survives: every file under a temporary name and renamed, one writer.

A reader sees the old file or the new one and never a part; of whole folders `imgcli.staging` keeps
the same promise. No pickle is read or written.
"""

import errno
import functools
import hashlib
import itertools
import json
import os
import platform
import re
import secrets
import shutil
import stat
import time
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcli.documents import with_hash
from imgcli.errors import StorageError
from imgcli.progress import note_once
from imgcli.reading import ARRAYS_HASH, hash_of_arrays
from imgcli.text import megabytes

_counter = itertools.count()
_LIFE = secrets.token_hex(4)  # of this process: another may have had its number before
# .imgcli-<machine>-<process>-<life>-<number>.tmp; earlier versions wrote process and number alone.
_TEMPORARY = re.compile(r"\.imgcli-(?:([0-9a-f]{8})-(\d+)-([0-9a-f]{8})|\d+)-b?\d+\.tmp")
_ELSEWHERE = 86_400.0  # seconds until what a process of another machine left counts as given up


def temporary_name(mark: str = "") -> str:
    """A file name that nothing has, and that says whose it is; `sweep_temporaries` knows it."""
    return f".imgcli-{_machine()}-{os.getpid()}-{_LIFE}-{mark}{next(_counter)}.tmp"


def temporary_in(folder: Path) -> Path:
    """A name in `folder` that nothing has; what is left under it, `sweep_temporaries` removes."""
    return folder / temporary_name()


@functools.cache
def _machine() -> str:
    """Where process numbers mean the same: a host, and on it a container."""
    try:
        inside = os.readlink("/proc/self/ns/pid")
    except OSError:  # not Linux
        inside = ""
    return hashlib.sha256(f"{platform.node()} {inside}".encode()).hexdigest()[:8]


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; on success it becomes `path`, durably.

    Raises:
        OSError: about `path`, whoever wrote to the temporary one.
    """
    sweep_temporaries(path.parent)
    temporary = temporary_in(path.parent)  # not made of its name, which may have 255 bytes already
    with writing(path, by=temporary):
        try:
            with open(temporary, "xb") as file:
                mode = os.fstat(file.fileno()).st_mode
            yield temporary
            with open(temporary, "rb") as file:
                if os.fstat(file.fileno()).st_mode != mode:  # safetensors shuts all others out
                    os.fchmod(file.fileno(), stat.S_IMODE(mode))
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


# What the system answers where a disk, a quota or `ulimit -f` leaves no room.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def writing(path: Path | str, by: Path | str | None = None) -> Iterator[None]:
    """Let what fails while `path` is written be an OSError about it, and about no other file.

    The system names no file where a write fails, the source where a copy does; libraries in Rust
    raise errors of their own, with the system's number in words.

    Args:
        by: the temporary file that is written in its place.
    """
    try:
        yield
    except OSError as error:
        of_two = error.filename2 is not None and error.errno in FULL
        if error.errno is None or not (of_two or error.filename in (None, by, str(by))):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    except Exception as error:
        found = re.search(r"\(os error (\d+)\)", str(error))
        if found is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1])), str(path)) from error


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write a whole file, all or nothing; text as UTF-8 with undecodable file names kept."""
    raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    with atomic_file(path) as temporary:
        temporary.write_bytes(raw)


def write_json(path: Path, data: Mapping[str, Any], *, hashed: bool = False) -> None:
    """Write one JSON document, all or nothing.

    Args:
        hashed: with a hash of its content, which whoever reads it compares.
    """
    write_atomic(path, json_text(data, hashed=hashed))


def json_text(data: Mapping[str, Any], *, hashed: bool = False) -> str:
    """A JSON document as it is written."""
    if hashed:
        data = with_hash(json.loads(json.dumps(data, default=_plain)))
    return json.dumps(data, indent=2, default=_plain) + "\n"


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems
            raise
    finally:
        os.close(handle)


def sweep_temporaries(folder: Path) -> None:
    """Remove what killed writers left in `folder`, and nothing that a living one may still need."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".imgcli-") and _given_up(entry):
                with suppress(OSError):  # swept by another, or not ours to remove
                    _remove(entry)


def _given_up(entry: os.DirEntry[str]) -> bool:
    """Whether a temporary's writer is dead."""
    if not (found := _TEMPORARY.fullmatch(entry.name)):
        return False
    machine, process, life = found.groups()
    if machine is None:
        return True
    if machine != _machine():  # of a shared file system: only its age tells
        with suppress(OSError):
            return time.time() - entry.stat(follow_symlinks=False).st_mtime > _ELSEWHERE
        return False
    if int(process) == os.getpid():
        return life != _LIFE
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def _remove(entry: os.DirEntry[str]) -> None:
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path)
    else:
        os.unlink(entry.path)


# What `flock` answers where a file system keeps no locks: some network and FUSE mounts.
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)


def without_locks(folder: Path, error: OSError) -> None:
    """Note that a file system keeps no locks; any other error is raised again."""
    if error.errno not in NO_LOCKS:
        raise error
    note_once(
        f"The file system of '{folder}' keeps no locks ({error.strerror}): run one imgcli at a "
        "time there."
    )


@contextmanager
def locked(path: Path, wait: float = 0) -> Iterator[None]:
    """Hold the one writer's lock at `path`; the system drops it if the process dies.

    A file system without locks excludes nobody: a note says so once, and the work goes on.

    Args:
        wait: seconds to wait for another holder; `math.inf` for as long as it takes.

    Raises:
        StorageError: another imgcli holds it, and still does after `wait`.
    """
    from filelock import FileLock, Timeout  # here: commands that write nothing need no lock

    lock = FileLock(path, fallback_to_soft=False)
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        raise StorageError(
            f"Another imgcli is writing here (lock '{path}'). Wait for it to finish."
        ) from None
    except OSError as error:
        without_locks(path.parent, error)
    try:
        yield
    finally:
        # While it is held: whoever waits for a removed file sees that, and opens the next one.
        path.unlink(missing_ok=True)
        lock.release()


def need_writable(folder: Path) -> None:
    """Refuse at once what could not be written at the end of long work.

    Raises:
        OSError: the folder, or that in which it would be made, cannot be written.
    """
    there = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    if there.is_dir() and not os.access(there, os.W_OK | os.X_OK):
        read_only = os.statvfs(there).f_flag & os.ST_RDONLY if hasattr(os, "statvfs") else False
        number = errno.EROFS if read_only else errno.EACCES
        raise OSError(number, os.strerror(number), str(folder))


def refuse_case_twins(paths: Iterable[str], out: Path, folder: Path) -> None:
    """Refuse paths that would be one on the file system of `folder`, which is to become `out`.

    Args:
        paths: relative, of files; their folders are compared too.

    Raises:
        StorageError: two of them differ only in case, and the file system does not tell them apart.
    """
    seen: dict[str, str] = {}
    for whole in _with_folders(paths):
        twin = seen.setdefault(unicodedata.normalize("NFC", whole).casefold(), whole)
        if twin != whole:
            if tells_case(folder):
                return
            raise StorageError(
                f"'{twin}' and '{whole}' would be one in '{out}', whose file system ignores "
                "case. Rename one, or name a place on another file system with --out."
            )


def _with_folders(paths: Iterable[str]) -> Iterator[str]:
    """The paths, and before what is in it each folder, once."""
    known = {""}
    for path in paths:
        folder = path.rpartition("/")[0]
        if folder not in known:
            steps = folder.split("/")
            yield from ("/".join(steps[:depth]) for depth in range(1, len(steps) + 1))
            known.add(folder)
        yield path


def tells_case(folder: Path) -> bool:
    """Whether the file system of a folder tells upper from lower case."""
    probe = folder / f".imgcli-case-{os.getpid()}"
    probe.mkdir()
    try:
        return not probe.with_name(probe.name.upper()).exists()
    finally:
        probe.rmdir()


def need_space(folder: Path, size: int, what: str) -> None:
    """Refuse early when `size` bytes will not fit.

    Raises:
        StorageError: naming what was to be written, its size and what is free.
    """
    free = shutil.disk_usage(folder).free
    if size > free:
        raise StorageError(
            f"{what} needs {megabytes(size)} in '{folder}', where {megabytes(free)} are free. "
            "Free some space, or work on another disk."
        )


def save_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write named arrays as one `.npz` with a hash of them, all or nothing.

    Names, hashes and whole numbers are compressed; floats are not, for it takes a hundred times as
    long as writing them and saves little.
    """
    plain = {name: np.asarray(values) for name, values in arrays.items()}
    vouched = {**plain, ARRAYS_HASH: np.array(hash_of_arrays(plain))}
    with atomic_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, values in vouched.items():
            member = zipfile.ZipInfo(f"{name}.npy")
            member.compress_type = _compression(values)
            with archive.open(member, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, values, allow_pickle=False)


def _compression(values: NDArray[Any]) -> int:
    return zipfile.ZIP_STORED if values.dtype.kind == "f" else zipfile.ZIP_DEFLATED


def as_json(value: Any) -> Any:
    """A value, such as a frozen record, as plain JSON types."""
    return json.loads(json.dumps(value, default=_plain))


def _plain(value: Any) -> Any:
    """What `json` cannot write by itself: records, numpy scalars and arrays, paths."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} in JSON")
