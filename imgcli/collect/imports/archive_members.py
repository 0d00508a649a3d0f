"""What members of zips and tars have in common: their paths, what is passed over, what is read."""

import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from imgcli.collect.imports.labelled_photo import (
    MB,
    Budget,
    Limits,
    NotTaken,
)
from imgcli.errors import DataError
from imgcli.folder_names import hidden, is_system_file, may_be_class
from imgcli.image_types import is_photo_name
from imgcli.records import Rejected

# What the standard library raises over damaged archives; OSError is gzip's and bz2's as well.
BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error),
    *(OSError, EOFError, RuntimeError, ValueError, OverflowError, LookupError),
)

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


class Unseen:
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


def whole_budget(path: Path, limits: Limits) -> Budget:
    """The budget of unpacked bytes of the whole archive."""
    ratio = max(limits.archive_ratio_from, limits.ratio * path.stat().st_size)
    reason = f"unpacks to more than {limits.archive // MB:,} MB"
    if ratio < limits.archive:
        reason = f"unpacks to more than {limits.ratio} times its size, as only a bomb does"
    return Budget(min(limits.archive, ratio), reason)


def damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"'{path}' is damaged or incomplete ({reason_of(error)}). Fetch or make the archive again."
    )


def reason_of(error: Exception) -> str:
    return str(error) or type(error).__name__
