"""Writing that survives: every file under a temporary name and renamed, folders whole, one writer.

A reader sees the old file or the new one and never a part. No pickle is read or written.
"""

import errno
import fcntl
import itertools
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from imgcli.documents import with_hash
from imgcli.errors import StorageError
from imgcli.reading import ARRAYS_HASH, hash_of_arrays
from imgcli.wording import megabytes

_counter = itertools.count()


def temporary_in(folder: Path) -> Path:
    """A name in `folder` that nothing has; what is left under it, `sweep_temporaries` removes."""
    return folder / f".imgcli-{os.getpid()}-{next(_counter)}.tmp"


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; on success it becomes `path`, durably."""
    temporary = temporary_in(path.parent)  # not made of its name, which may have 255 bytes already
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


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
    if hashed:
        data = with_hash(json.loads(json.dumps(data, default=_plain)))
    write_atomic(path, json.dumps(data, indent=2, default=_plain) + "\n")


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
    """Remove what a killed writer left in `folder`."""
    for stale in folder.glob(".imgcli-*.tmp"):
        stale.unlink(missing_ok=True)


@contextmanager
def staged_folder(out: Path, *, replace: bool, keep_old: bool = False) -> Iterator[Path]:
    """Give `<out>.incomplete/` to fill; on success it becomes `out`, whole.

    Args:
        replace: whether an `out` that exists may be replaced.
        keep_old: then move the old one aside, since it may hold someone's photos.

    Raises:
        StorageError: `out` exists and may not be replaced, or another imgcli is writing it.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with locked(out.with_name(f".{out.name}.lock")):
        exists = out.is_symlink() or (out.exists() and not _is_empty_folder(out))
        if exists and not replace:
            raise StorageError(
                f"'{out}' exists. Choose another --out, or replace it whole with --force."
            )
        staging = out.with_name(out.name + ".incomplete")
        if staging.exists():
            shutil.rmtree(staging)
        staging.mkdir()
        try:
            yield staging
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        aside = out.with_name(f"{out.name}.{'replaced' if keep_old else 'old'}-{stamp}")
        if exists:
            os.rename(out, aside)
        elif out.exists():
            out.rmdir()
        os.rename(staging, out)
        if exists and not keep_old and not aside.is_symlink():
            shutil.rmtree(aside, ignore_errors=True)
    sync_folder(out.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the one writer's lock at `path`; the system drops it if the process dies.

    Raises:
        StorageError: another imgcli holds it.
    """
    while True:
        file = open(path, "a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The holder before us removes the file; a lock on a removed file excludes nobody.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    break
        except BlockingIOError:
            file.close()
            raise StorageError(
                f"Another imgcli is writing here (lock '{path}'). Wait for it to finish."
            ) from None
        file.close()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()


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
    """Write named arrays as one compressed `.npz` with a hash of them, all or nothing."""
    plain = {name: np.asarray(values) for name, values in arrays.items()}
    vouched: dict[str, Any] = {**plain, ARRAYS_HASH: np.array(hash_of_arrays(plain))}
    with atomic_file(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **vouched)


def as_json(record: Any) -> dict[str, Any]:
    """A frozen record as plain JSON types."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(record), default=_plain))
    return plain


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _plain(value: Any) -> Any:
    """What `json` cannot write by itself: numpy scalars and arrays, paths."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} in JSON")
