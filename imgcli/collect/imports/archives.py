"""Zip and tar archives as sources. Nothing is unpacked to a path.

Members are read one by one, in their order, and their bytes counted; no path from an archive
reaches `open()`. Refused, each with its reason: absolute names, names with "..", links, devices,
encrypted members, unknown compression, wrong sizes, and more bytes than `Limits` allow.
"""

import bz2
import gzip
import io
import lzma
import posixpath
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from imgcli.collect.imports.zip_names import NAMES, encoding_of
from imgcli.errors import DataError
from imgcli.folder_names import hidden, is_system_file, may_be_class
from imgcli.image_types import is_photo_name
from imgcli.progress import note_once
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


class _Unseen:
    """The members that are passed over; photos in hidden folders, which may be classes, count."""

    def __init__(self) -> None:
        self._photos: Counter[str] = Counter()  # by hidden folder

    def passes_over(self, parts: tuple[str, ...]) -> bool:
        first = next((n for n, part in enumerate(parts) if is_system_file(part)), None)
        if first is None:
            return False
        if is_photo_name(parts[-1]) and first < len(parts) - 1 and may_be_class(parts[first]):
            self._photos["/".join(parts[: first + 1])] += 1
        return True

    def rejected(self, inside: str) -> Iterator[Rejected]:
        for folder, photos in sorted(self._photos.items()):
            yield Rejected(inside + folder, hidden(photos))


def _whole(path: Path, limits: Limits) -> Budget:
    """The budget of unpacked bytes of the whole archive."""
    ratio = max(limits.archive_ratio_from, limits.ratio * path.stat().st_size)
    reason = f"unpacks to more than {limits.archive // MB:,} MB"
    if ratio < limits.archive:
        reason = f"unpacks to more than {limits.ratio} times its size, as only a bomb does"
    return Budget(min(limits.archive, ratio), reason)


# --- zip ----------------------------------------------------------------------------------------


def zip_entries(
    path: Path, limits: Limits = LIMITS, encoding: str | None = None
) -> Iterator[Entry | Rejected]:
    """The members of a zip, in its directory's order.

    Args:
        encoding: of the names that the zip itself does not say to be UTF-8; found if None.

    Raises:
        DataError: the archive's directory is damaged.
    """
    whole = _whole(path, limits)
    try:
        archive = zipfile.ZipFile(path)
    except BROKEN as error:
        raise _damaged(path, error) from None
    inside, unseen = f"{path}!", _Unseen()
    with archive:
        members = archive.infolist()
        encoding = encoding or _encoding(path, members)
        for info in members:
            name = _zip_name(info, encoding)
            if name.endswith("/"):
                continue
            try:
                parts = member_parts(name)
                if unseen.passes_over(parts):
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
        yield from unseen.rejected(inside)


def _encoding(path: Path, members: Sequence[zipfile.ZipInfo]) -> str:
    """The encoding that fits the names, which is said where it is a guess."""
    found = encoding_of(name for info in members if (name := _raw_name(info)) is not None)
    if found != "utf-8":
        note_once(
            f"'{path}': its names were read as {NAMES[found]} ({found}); if they look wrong, name "
            "the encoding with --encoding."
        )
    return found


def _raw_name(info: zipfile.ZipInfo) -> bytes | None:
    """The bytes of a member's name; None if the zip says itself what they mean."""
    if info.flag_bits & 0x800:
        return None
    try:
        return info.orig_filename.encode("cp437")  # as which zipfile read them
    except UnicodeEncodeError:  # from an extra field with the name in Unicode
        return None


def _zip_name(info: zipfile.ZipInfo, encoding: str) -> str:
    """The member's name, with "/" for Windows' backslash."""
    raw = _raw_name(info)
    name = info.filename if raw is None else raw.partition(b"\0")[0].decode(encoding, "replace")
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
    links: dict[str, list[str]] = {}  # names of links, by what they lead to
    unseen = _Unseen()
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
                if target := _target(member):
                    links.setdefault(target, []).append(member.name)
                else:
                    yield from _tar_member(path, tar, member, unseen, limits)
        except (NotTaken, *BROKEN) as error:
            yield Rejected(str(path), f"{_reason(error)}; the rest was not read")
            return
        if stream.last.strip(b"\0") or not stream.last:  # a tar ends in a block of zeros
            yield Rejected(str(path), "damaged or cut short: the tar does not end as it should")
            return
    yield from unseen.rejected(f"{path}!")
    if links:
        yield from _linked(path, unpack, limits, links)


def _target(member: tarfile.TarInfo) -> str | None:
    """The member that a link leads to; None if it is no link, or leads out of the archive."""
    if member.islnk():
        return posixpath.normpath(member.linkname)
    if member.issym() and not member.linkname.startswith("/"):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(member.name), member.linkname))
        return None if target.startswith("../") else target
    return None


def _linked(
    path: Path,
    unpack: Callable[[Path], IO[bytes]],
    limits: Limits,
    links: Mapping[str, Sequence[str]],
) -> Iterator[Entry | Rejected]:
    """The links to other members as photos of their own, in one more pass through the tar."""
    waiting = dict(links)
    for target in sorted(links):  # a link to a link leads where that one leads
        for name in links[target]:
            if further := waiting.pop(posixpath.normpath(name), None):
                waiting[target] = [*waiting.get(target, links[target]), *further]
    with unpack(path) as file:
        stream = _Counted(file, _whole(path, limits))
        tar = tarfile.TarFile(
            fileobj=cast(IO[bytes], stream), encoding="utf-8", errors="surrogateescape"
        )
        while waiting and (member := tar.next()) is not None:
            tar.members = []  # type: ignore[attr-defined]
            names = waiting.pop(posixpath.normpath(member.name), ()) if member.isreg() else ()
            data = _Kept(tar, member)
            for name in names:
                try:
                    parts = member_parts(name)
                except NotTaken as reason:
                    yield Rejected(f"{path}!{name}", str(reason))
                    continue
                if not any(is_system_file(part) for part in parts):
                    yield Entry(parts, f"{path}!{name}", member.size, data.open, limits)
    for target, names in waiting.items():
        for name in names:
            yield Rejected(f"{path}!{name}", f"a link to '{target}', no file in the archive")


class _Kept:
    """The bytes of a member, read once though several links lead to it."""

    def __init__(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        self._tar = tar
        self._member = member
        self._data: bytes | None = None

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        if self._data is None:
            with _open_tar_member(self._tar, self._member) as file:
                self._data = file.read(self._member.size)
        yield io.BytesIO(self._data)


def _tar_member(
    path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, unseen: _Unseen, limits: Limits
) -> Iterator[Entry | Rejected]:
    if member.isdir():
        return
    origin = f"{path}!{member.name}"
    try:
        parts = member_parts(member.name)
        if unseen.passes_over(parts):
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


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or a tar by its first bytes."""
    with open_regular(path) as file:
        return _is_zip(head := file.read(tarfile.BLOCKSIZE)) or _is_tar(head)


def _is_zip(head: bytes) -> bool:
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def _is_tar(head: bytes) -> bool:
    return head.startswith(tuple(_TARS)) or head[257:262] == b"ustar"


def archive_entries(
    path: Path, limits: Limits = LIMITS, encoding: str | None = None
) -> Iterator[Entry | Rejected]:
    """The members of an archive; zip or tar is told by the first bytes, not by the name.

    Args:
        encoding: of the names in a zip; found if None.

    Raises:
        DataError: neither a zip nor a tar, or damaged.
    """
    with open_regular(path) as file:
        head = file.read(tarfile.BLOCKSIZE)
    if _is_zip(head):
        return zip_entries(path, limits, encoding)
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
