"""Opening what others may have put there: only regular files, of a size that was looked at first.

    open_regular(path)      a file to read; a pipe, socket, device or folder is refused at once
    read_regular(path)      all bytes of a file that is not too large
    pixel_limit()           pixels of the largest photo that is decoded
    matching(pattern)       the paths that a pattern means
    read_arrays(path)       the arrays of an `.npz`, whose sizes are checked before memory is taken

Refusals are `OSError`s, so that whoever opens a file has one kind of error to turn into a sentence.
"""

import errno
import hashlib
import math
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from glob import escape, glob, has_magic
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from imgcli.errors import WrongUsage
from imgcli.remote.path import RemotePath
from imgcli.text import megabytes

# Bytes of the largest file of each kind that is read at all; a file of more is refused unread.
MAX_PHOTO = 1 << 30  # 50 million pixels, which is all that is decoded, are 0.4 GB in 16-bit RGBA
MAX_DOCUMENT = 1 << 30  # JSON and CSV; the manifest of a million photos has 0.3 GB

MAX_PIXELS = 200_000_000  # held at once: 0.8 GB in RGB, three times as much with transparency
MAX_PIXELS_VARIABLE = "IMGCLI_MAX_PIXELS"  # in the environment, for every command alike

ARRAYS_HASH = "sha256"  # the array of an `.npz` that vouches for the others
_DEFLATE = 1032  # bytes that one packed byte can become at most

# What reading a damaged `.npz` may raise.
# RuntimeError: what zipfile says of a flag it does not know, as after a flipped bit.
UNREADABLE = (
    *(OSError, ValueError, LookupError, EOFError, RuntimeError, MemoryError, OverflowError),
    *(zipfile.BadZipFile, zlib.error),
)


def open_regular(path: Path | str, most: int | None = None) -> BufferedReader:
    """Open a regular file, or an object behind a URI, to read its bytes; no pipe is waited for.

    Args:
        most: bytes; a larger file is refused.

    Raises:
        OSError: no such file, not a regular one, or too large; `strerror` is the reason.
    """
    if isinstance(path, RemotePath):
        refuse(path.stat(), path, most)
        return path.open_object()
    return open(path, "rb", opener=partial(only_regular, most=most))


def only_regular(path: str, flags: int, most: int | None = None) -> int:
    """The `opener` of `open` for regular files alone, to read or to add to.

    Raises:
        OSError: as `open_regular`.
    """
    return opened(path, flags, most)[0]


def opened(path: str, flags: int, most: int | None = None) -> tuple[int, os.stat_result]:
    """As `only_regular`, with the status of the file."""
    # A pipe would be waited for until somebody opens its other end.
    handle = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    try:
        status = os.fstat(handle)
        refuse(status, path, most)
    except BaseException:
        os.close(handle)
        raise
    return handle, status


def refuse(status: os.stat_result, path: Path | str, most: int | None = None) -> None:
    """Refuse what is not a regular file, or has more than `most` bytes.

    Raises:
        OSError: the reason is its `strerror`.
    """
    mode = status.st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    if most is not None:
        refuse_size(status.st_size, path, most)


def refuse_size(size: int, path: Path | str, most: int) -> None:
    """Refuse a file, or a part of one, of more than `most` bytes.

    Raises:
        OSError: the reason is its `strerror`.
    """
    if size > most:
        why = f"{megabytes(size)}, the limit is {megabytes(most)}"
        raise OSError(errno.EFBIG, why, str(path))


def read_regular(path: Path | str, most: int = MAX_DOCUMENT) -> bytes:
    """All bytes of a regular file.

    Raises:
        OSError: as `open_regular`.
    """
    with open_regular(path, most) as file:
        return file.read()


def matching(pattern: Path) -> list[Path]:
    """The paths that a pattern means, sorted; "**" means any folders. An existing path is itself.

    Brackets and stars in the names of folders that exist are no pattern; in a file's name they are
    only where something matches so.
    """
    if isinstance(pattern, RemotePath):
        return list(pattern.matching())
    if os.path.lexists(pattern) or not has_magic(str(pattern)):
        return [pattern]
    there = next(around for around in pattern.parents if os.path.lexists(around))
    rest = str(pattern.relative_to(there))
    for below in (rest, re.sub(r"\[", "[[]", rest)):
        if found := glob(os.path.join(escape(str(there)), below), recursive=True):
            return sorted(Path(path) for path in found)
    return []


def digest_of(path: Path) -> str:
    """SHA-256 of a regular file's bytes, hexadecimal.

    Raises:
        OSError: as `open_regular`.
    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pixel_limit() -> int:
    """The pixels of the largest photo that is decoded: `MAX_PIXELS`, or what the environment says.

    Raises:
        WrongUsage: that is not a number of pixels.
    """
    text = os.environ.get(MAX_PIXELS_VARIABLE)
    if not text:
        return MAX_PIXELS
    try:
        limit = int(text)
    except ValueError:
        limit = 0
    if limit < 1:
        raise WrongUsage(
            f"{MAX_PIXELS_VARIABLE}={text} is not a number of pixels, such as {2 * MAX_PIXELS}."
        )
    return limit


@contextmanager
def pixels_up_to(limit: int) -> Iterator[None]:
    """Decode photos of up to so many pixels, for the time of one command."""
    before = os.environ.get(MAX_PIXELS_VARIABLE)
    os.environ[MAX_PIXELS_VARIABLE] = str(limit)
    try:
        yield
    finally:
        if before is None:
            del os.environ[MAX_PIXELS_VARIABLE]
        else:
            os.environ[MAX_PIXELS_VARIABLE] = before


# --- arrays -------------------------------------------------------------------------------------


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an `.npz`, by name; compared with the hash that `save_arrays` wrote, if any.

    Sizes are compared with what the file can hold before memory is taken, and objects are refused.

    Raises:
        One of UNREADABLE: it is damaged, has changed, or is none.
    """
    with open_regular(path) as file, zipfile.ZipFile(file) as archive:
        arrays = {
            member.filename.removesuffix(".npy"): _array(archive, member)
            for member in archive.infolist()
        }
    expected = arrays.pop(ARRAYS_HASH, None)
    if expected is not None and str(expected) != hash_of_arrays(arrays):
        raise ValueError("its content has changed since it was written")
    return arrays


def digest_of_lines(lines: Iterable[str]) -> str:
    """SHA-256 of some lines, hexadecimal."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()


def hash_of_arrays(arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 over names, types, shapes and values, hexadecimal."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(repr((name, array.dtype.str, array.shape)).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    if member.file_size > _DEFLATE * member.compress_size + 64:
        raise ValueError(f"'{member.filename}' cannot have {member.file_size} bytes")
    with archive.open(member) as file:
        shape, fortran, dtype = _header(file)
        if dtype.hasobject:
            raise ValueError(f"'{member.filename}' holds objects")
        data = bytearray(file.read())
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"'{member.filename}' has not the size of its shape {shape}")
    if not data:
        return np.empty(shape, dtype)
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    version = np.lib.format.read_magic(file)
    if version not in readers:
        raise ValueError(f"an array of version {version}")
    shape, fortran, dtype = readers[version](file)
    if any(side < 0 for side in shape):
        raise ValueError(f"an array of shape {shape}")
    return shape, fortran, dtype
