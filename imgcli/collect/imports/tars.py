"""Tar archives as sources: read forwards once, and once more for links to other members."""

import io
import posixpath
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, cast

from imgcli.collect.imports.archive_members import (
    BROKEN,
    Unseen,
    damaged,
    member_parts,
    reason_of,
    whole_budget,
)
from imgcli.collect.imports.labelled_photo import (
    LIMITS,
    MB,
    Budget,
    Entry,
    Limits,
    NotTaken,
)
from imgcli.folder_names import is_system_file
from imgcli.reading import open_regular
from imgcli.records import Rejected

_MAX_TAR_READ = 16 * MB  # bytes at once; only a hostile header asks for more


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
    path: Path, unpack: Callable[[Path], AbstractContextManager[IO[bytes]]], limits: Limits = LIMITS
) -> Iterator[Entry | Rejected]:
    """The members of a tar, in their order; a truncated one gives those before the cut.

    Args:
        unpack: opens the tar's bytes.

    Raises:
        DataError: not a tar.
    """
    whole = whole_budget(path, limits)
    links: dict[str, list[str]] = {}  # names of links, by what they lead to
    unseen = Unseen()
    with unpack(path) as file:
        stream = _Counted(file, whole)
        try:
            tar = tarfile.TarFile(
                fileobj=cast(IO[bytes], stream), encoding="utf-8", errors="surrogateescape"
            )
        except (NotTaken, *BROKEN) as error:
            raise damaged(path, error) from None
        try:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # tarfile would remember every one
                if target := _target(member):
                    links.setdefault(target, []).append(member.name)
                else:
                    plain = unpack is open_regular and not member.issparse()
                    yield from _tar_member(path, tar, member, unseen, limits, plain)
        except (NotTaken, *BROKEN) as error:
            yield Rejected(str(path), f"{reason_of(error)}; the rest was not read")
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
    unpack: Callable[[Path], AbstractContextManager[IO[bytes]]],
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
        stream = _Counted(file, whole_budget(path, limits))
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
    path: Path,
    tar: tarfile.TarFile,
    member: tarfile.TarInfo,
    unseen: Unseen,
    limits: Limits,
    plain: bool,
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
    opened = partial(_open_tar_member, tar, member)
    offset = member.offset_data if plain else None
    yield Entry(parts, origin, member.size, opened, limits, offset=offset)


@contextmanager
def _open_tar_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[IO[bytes]]:
    file = tar.extractfile(member)
    assert file is not None  # _tar_member gives regular files only
    try:
        yield file
    except BROKEN as error:
        raise NotTaken(f"damaged in the archive ({reason_of(error)})") from None
