"""Files and labelled photos of a source, and the limits on reading them.

Limits are counted while reading, never taken from the file's own header:

    one photo                       1 GB, as every command reads
    one archive, unpacked           1 TB, and no more than 100 times its size once past 1 GB
    one zip member, unpacked        no more than 100 times its packed size once past 10 MB
    files in one source             2,000,000
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from imgcli.image_types import HEAD, refusal

MB = 1_000_000
CHUNK = 1 << 16  # bytes asked for at a time


@dataclass(frozen=True)
class Limits:
    """How much is read from one source; see the module's docstring."""

    photo: int = 1_000 * MB  # bytes
    archive: int = 1_000_000 * MB  # bytes, unpacked
    ratio: int = 100  # unpacked bytes per packed byte
    archive_ratio_from: int = 1_000 * MB  # bytes; below, an archive's ratio is not limited
    member_ratio_from: int = 10 * MB  # bytes; below, a zip member's ratio is not limited
    files: int = 2_000_000


LIMITS = Limits()


class NotTaken(Exception):
    """A rejected file; `str(error)` is the reason, for `Rejected`."""


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Entry:
    """A file found in a source, before its class is known.

    Opening and reading it gives its bytes or raises `NotTaken`. A tar can only be read forwards, so
    read an entry before taking the next one from the source.
    """

    parts: tuple[str, ...]  # folders and file name below the source
    origin: str  # for people and provenance: "photos.zip!photos/crab/1.jpg"
    size: int  # bytes, as the source states it
    open: Callable[[], AbstractContextManager[Readable]]
    limits: Limits = LIMITS
    etag: str = ""  # of the object behind a URI that it is or is in; "" for files
    apart: bool = False  # it may be read before those before it, by another thread
    offset: int | None = None  # bytes, in the tar it is in; None where it cannot be read there

    @property
    def path(self) -> str:
        return "/".join(self.parts)

    def read(self) -> bytes:
        """The whole photo.

        Raises:
            NotTaken: not a photo, or larger than the limit.
        """
        self._refuse_large()
        with self.open() as file:
            return read_photo(file, self.limits)

    def labelled(self, label: str, part: str = "") -> "LabelledPhoto":
        """This file as a photo of a class."""
        ahead = max(self.size, 1) if self.apart else 0
        name = self.parts[-1]
        return LabelledPhoto(
            label,
            name,
            self.origin,
            self.read,
            part,
            offset=self.offset,
            size=self.size,
            etag=self.etag,
            ahead=ahead,
        )

    def content(self) -> bytes:
        """All bytes of a file that need not be a photo, such as a list of labels.

        Raises:
            NotTaken: larger than a photo may be.
        """
        self._refuse_large()
        with self.open() as file:
            return read_all(file, limits=self.limits)

    def _refuse_large(self) -> None:
        if self.size > self.limits.photo:
            raise NotTaken(f"larger than {self.limits.photo // MB:,} MB")


@dataclass(frozen=True)
class LabelledPhoto:
    """A labelled photo on its way into the store.

    `read` gives the whole photo or raises `NotTaken`; call it before taking the next one.
    """

    label: str
    name: str  # the file name it came with; the store makes it safe
    origin: str
    read: Callable[[], bytes]
    part: str = ""  # train, val or test where the source was split already
    offset: int | None = None  # as of its `Entry`
    size: int = 0  # bytes, where they are known
    provenance: Mapping[str, Any] = field(default_factory=dict)  # further fields of its line
    etag: str = ""  # as of its `Entry`
    ahead: int = 0  # bytes that reading it early takes; 0 where it is to be read in its turn


@dataclass
class Budget:
    """Bytes that may still be read, and the reason to give when they are used up."""

    left: int
    reason: str

    def spend(self, size: int) -> None:
        """Count bytes that were read.

        Raises:
            NotTaken: the budget is used up.
        """
        self.left -= size
        if self.spent:
            raise NotTaken(self.reason)

    @property
    def spent(self) -> bool:
        return self.left < 0


class Metered:
    """A file whose bytes are counted against budgets as they are read, a little at a time."""

    def __init__(self, file: Readable, *budgets: Budget, at_once: int = CHUNK) -> None:
        self.given = 0  # bytes
        self._file = file
        self._budgets = budgets
        self._at_once = at_once

    def read(self, size: int, /) -> bytes:
        data = self._file.read(min(size, self._at_once))
        self.given += len(data)
        for budget in self._budgets:
            budget.spend(len(data))
        return data


def read_photo(file: Readable, limits: Limits = LIMITS) -> bytes:
    """Read a whole photo; anything else is refused by its first bytes.

    Raises:
        NotTaken: not a photo, or larger than the limit.
    """
    head = file.read(HEAD)
    reason = refusal(head)
    if reason is not None:
        raise NotTaken(reason)
    return read_all(file, head, limits)


def read_all(file: Readable, head: bytes = b"", limits: Limits = LIMITS) -> bytes:
    """All bytes of a file of which `head` was read already.

    Raises:
        NotTaken: larger than a photo may be.
    """
    data = bytearray(head)
    while more := file.read(CHUNK):
        data += more
        if len(data) > limits.photo:
            raise NotTaken(f"larger than {limits.photo // MB:,} MB")
    return bytes(data)


def read_exactly(file: Readable, size: int) -> bytes:
    """`size` bytes, though the file may give fewer at a time; fewer only at its end."""
    data = bytearray()
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return bytes(data)
