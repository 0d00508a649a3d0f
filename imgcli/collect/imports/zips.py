"""Zip archives as sources: members one by one, in the order of the archive's directory."""

import stat
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from imgcli.collect.imports.archive_members import (
    BROKEN,
    Unseen,
    damaged,
    member_parts,
    reason_of,
    whole_budget,
)
from imgcli.collect.imports.labelled_photo import (
    CHUNK,
    LIMITS,
    Budget,
    Entry,
    Limits,
    Metered,
    NotTaken,
)
from imgcli.collect.imports.zip_names import NAMES, encoding_of
from imgcli.progress import note_once
from imgcli.reading import open_regular
from imgcli.records import Rejected

_BYTES_AT_ONCE = {  # packed, by compression method
    zipfile.ZIP_STORED: CHUNK,
    zipfile.ZIP_DEFLATED: CHUNK,
    zipfile.ZIP_BZIP2: 4096,  # zipfile unpacks what it has read at once: 4 kB can become 80 MB
    zipfile.ZIP_LZMA: 4096,
}


def zip_entries(
    path: Path, limits: Limits = LIMITS, encoding: str | None = None
) -> Iterator[Entry | Rejected]:
    """The members of a zip, in its directory's order.

    Args:
        encoding: of the names that the zip itself does not say to be UTF-8; found if None.

    Raises:
        DataError: the archive's directory is damaged.
    """
    whole = whole_budget(path, limits)
    inside, unseen = f"{path}!", Unseen()
    with open_regular(path) as file, _directory(path, file) as archive:
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


def _directory(path: Path, file: IO[bytes]) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except BROKEN as error:
        raise damaged(path, error) from None


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
        raise NotTaken(f"damaged in the archive ({reason_of(error)})") from None
    if ended and metered.given != info.file_size:
        raise NotTaken(
            f"damaged in the archive ({metered.given} bytes, said to be {info.file_size})"
        )
