"""Zip and tar archives as sources. Nothing is unpacked to a path.

Members are read one by one, in their order, and their bytes counted; no path from an archive
reaches `open()`. Refused, each with its reason: absolute names, names with "..", links, devices,
encrypted members, unknown compression, wrong sizes, and more bytes than `Limits` allow.
"""

import bz2
import gzip
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from imgcli.collect.imports.labelled_photo import (
    CHUNK,
    LIMITS,
    MB,
    Budget,
    Entry,
    Limits,
    Metered,
    NotTaken,
)
from imgcli.collect.imports.survey import is_system_file
from imgcli.errors import DataError
from imgcli.reading import open_regular
from imgcli.records import Rejected

# What the standard library raises over damaged archives; OSError is gzip's and bz2's as well.
BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error),
    *(OSError, EOFError, RuntimeError, ValueError, OverflowError, LookupError),
)
_BYTES_AT_ONCE = {  # packed, by compression method
    zipfile.ZIP_STORED: CHUNK,
    zipfile.ZIP_DEFLATED: CHUNK,
    zipfile.ZIP_BZIP2: 4096,  # zipfile unpacks what it has read at once: 4 kB can become 80 MB
    zipfile.ZIP_LZMA: 4096,
}
_MAX_TAR_READ = 16 * MB  # bytes at once; only a hostile header asks for more


_DRIVE = re.compile(r"[A-Za-z]:[/\\]")


def member_parts(name: str) -> tuple[str, ...]:
    """Folders and file name of a member.

    Raises:
        NotTaken: a name that leads out of the archive, or is empty.
    """
    if name.startswith("/") or _DRIVE.match(name):
        raise NotTaken("an absolute path")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise NotTaken("a path that climbs out of the archive")
    if not parts:
        raise NotTaken("a member without a name")
    return parts


def _whole(path: Path, limits: Limits) -> Budget:
    """The budget of unpacked bytes of the whole archive."""
    ratio = max(limits.archive_ratio_from, limits.ratio * path.stat().st_size)
    reason = f"unpacks to more than {limits.archive // MB:,} MB"
    if ratio < limits.archive:
        reason = f"unpacks to more than {limits.ratio} times its size, as only a bomb does"
    return Budget(min(limits.archive, ratio), reason)


# --- zip ----------------------------------------------------------------------------------------


def zip_entries(path: Path, limits: Limits = LIMITS) -> Iterator[Entry | Rejected]:
    """The members of a zip, in its directory's order.

    Raises:
        DataError: the archive's directory is damaged.
    """
    whole = _whole(path, limits)
    try:
        archive = zipfile.ZipFile(path)
    except BROKEN as error:
        raise _damaged(path, error) from None
    inside = f"{path}!"
    with archive:
        for info in archive.infolist():
            name = _zip_name(info)
            if name.endswith("/"):
                continue
            try:
                parts = member_parts(name)
                if any(is_system_file(part) for part in parts):
                    continue
                _check_zip_member(info)
            except NotTaken as reason:
                yield Rejected(inside + name, str(reason))
                continue
            opened = partial(_open_zip_member, archive, info, whole, limits)
            yield Entry(parts, inside + name, info.file_size, opened, limits)
            if whole.spent:
                yield Rejected(str(path), f"{whole.reason}; the rest was not read")
                return


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The member's name; corrects UTF-8 without a flag, and Windows' backslash."""
    name = info.filename
    if not info.flag_bits & 0x800:
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            pass
    return name.replace("\\", "/")  # the format knows only "/"; some Windows tools do not


def _check_zip_member(info: zipfile.ZipInfo) -> None:
    mode = info.external_attr >> 16
    if info.create_system == 3 and stat.S_IFMT(mode) not in (0, stat.S_IFREG):  # 3 is Unix
        raise NotTaken("a link" if stat.S_ISLNK(mode) else "a device or pipe")
    if info.flag_bits & 0x1:
        raise NotTaken("encrypted; unpack it with its password and import the folder")
    if info.compress_type not in _BYTES_AT_ONCE:
        raise NotTaken(f"compressed by a method unknown here ({info.compress_type})")


@contextmanager
def _open_zip_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, whole: Budget, limits: Limits
) -> Iterator[Metered]:
    packed = max(limits.member_ratio_from, limits.ratio * info.compress_size)
    ratio = Budget(packed, f"unpacks to more than {limits.ratio} times its packed size")
    try:
        with archive.open(info) as file:
            metered = Metered(file, whole, ratio, at_once=_BYTES_AT_ONCE[info.compress_type])
            yield metered
            ended = not file.read(1)
    except BROKEN as error:
        raise NotTaken(f"damaged in the archive ({_reason(error)})") from None
    if ended and metered.given != info.file_size:
        raise NotTaken(
            f"damaged in the archive ({metered.given} bytes, said to be {info.file_size})"
        )


# --- tar ----------------------------------------------------------------------------------------


class _Counted:
    """A tar's unpacked bytes, forwards, counted against a budget.

    Skipping a member unpacks it too, so the stream is counted and not the members.
    """

    def __init__(self, file: IO[bytes], budget: Budget) -> None:
        self.file = file
        self.budget = budget
        self.last = b""  # what was read last: tells how a tar ended

    def read(self, size: int) -> bytes:
        if size > _MAX_TAR_READ:
            raise NotTaken(f"a header of {size // MB} MB")
        self.last = self.file.read(size)
        self.budget.spend(len(self.last))
        return self.last

    def seek(self, position: int) -> None:
        self.budget.spend(max(0, position - self.file.tell()))
        self.file.seek(position)

    def tell(self) -> int:
        return self.file.tell()


def tar_entries(
    path: Path, unpack: Callable[[Path], IO[bytes]], limits: Limits = LIMITS
) -> Iterator[Entry | Rejected]:
    """The members of a tar, in their order; a truncated one gives those before the cut.

    Args:
        unpack: opens the tar's bytes, such as `gzip.open`.

    Raises:
        DataError: not a tar.
    """
    whole = _whole(path, limits)
    with unpack(path) as file:
        stream = _Counted(file, whole)
        try:
            tar = tarfile.TarFile(
                fileobj=cast(IO[bytes], stream), encoding="utf-8", errors="surrogateescape"
            )
        except (NotTaken, *BROKEN) as error:
            raise _damaged(path, error) from None
        try:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # tarfile would remember every one
                yield from _tar_member(path, tar, member, limits)
        except (NotTaken, *BROKEN) as error:
            yield Rejected(str(path), f"{_reason(error)}; the rest was not read")
            return
        if stream.last.strip(b"\0") or not stream.last:  # a tar ends in a block of zeros
            yield Rejected(str(path), "damaged or cut short: the tar does not end as it should")


def _tar_member(
    path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, limits: Limits
) -> Iterator[Entry | Rejected]:
    if member.isdir():
        return
    origin = f"{path}!{member.name}"
    try:
        parts = member_parts(member.name)
        if any(is_system_file(part) for part in parts):
            return
        if not member.isreg():
            raise NotTaken("a link" if member.issym() or member.islnk() else "a device or pipe")
    except NotTaken as reason:
        yield Rejected(origin, str(reason))
        return
    yield Entry(parts, origin, member.size, partial(_open_tar_member, tar, member), limits)


@contextmanager
def _open_tar_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[IO[bytes]]:
    file = tar.extractfile(member)
    assert file is not None  # _tar_member gives regular files only
    try:
        yield file
    except BROKEN as error:
        raise NotTaken(f"damaged in the archive ({_reason(error)})") from None


# --- zip or tar ---------------------------------------------------------------------------------

_TARS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}


def archive_entries(path: Path, limits: Limits = LIMITS) -> Iterator[Entry | Rejected]:
    """The members of an archive; zip or tar is told by the first bytes, not by the name.

    Raises:
        DataError: neither a zip nor a tar, or damaged.
    """
    with open_regular(path) as file:
        head = file.read(tarfile.BLOCKSIZE)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return zip_entries(path, limits)
    for start, unpack in _TARS.items():
        if head.startswith(start):
            return tar_entries(path, unpack, limits)
    if head[257:262] == b"ustar":
        return tar_entries(path, open_regular, limits)
    raise DataError(
        f"'{path}' is neither a folder nor a zip or tar (gz, bz2, xz) archive. "
        "Unpack it and import the folder."
    )


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"'{path}' is damaged or incomplete ({_reason(error)}). Fetch or make the archive again."
    )


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
