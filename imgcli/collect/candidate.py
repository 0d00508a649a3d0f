"""What a source offers, and how much of it is ever read.

Limits, counted while reading and never taken from what a file says of itself:

    one photo                       100 MB
    one archive, unpacked           1 TB, and no more than 100 times its size once past 1 GB
    one zip member, unpacked        no more than 100 times its packed size once past 10 MB
    files in one source             2,000,000
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from imgcli.collect.sniff import HEAD, refusal

MB = 1_000_000
CHUNK = 1 << 16  # bytes asked for at a time


@dataclass(frozen=True)
class Limits:
    """How much is taken from one source; see the module's docstring."""

    photo: int = 100 * MB  # bytes
    archive: int = 1_000_000 * MB  # bytes, unpacked
    ratio: int = 100  # unpacked bytes per packed byte
    archive_unjudged: int = 1_000 * MB  # bytes up to which an archive's ratio does not matter
    member_unjudged: int = 10 * MB  # bytes up to which a zip member's ratio does not matter
    files: int = 2_000_000


LIMITS = Limits()


class NotTaken(Exception):
    """A file that is not used; `str(error)` is the reason, for `Rejected`."""


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Entry:
    """A file found in a source, before its class is known.

    `read` gives the whole photo or raises `NotTaken`. A tar can only be read forwards, so call it
    before asking the source for the next entry.
    """

    parts: tuple[str, ...]  # folders and file name below the source
    origin: str  # for people and provenance: "photos.zip!photos/crab/1.jpg"
    size: int  # bytes, as the source has it
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Candidate:
    """A labelled photo on its way into the store; `read` as in `Entry`."""

    label: str
    name: str  # the file name it came with; the store makes it safe
    origin: str
    read: Callable[[], bytes]


@dataclass
class Budget:
    """Bytes that may still be read, and what to say when they are used up."""

    left: int
    reason: str

    def spend(self, size: int) -> None:
        """Count bytes that were read.

        Raises:
            NotTaken: more than there were.
        """
        self.left -= size
        if self.spent:
            raise NotTaken(self.reason)

    @property
    def spent(self) -> bool:
        return self.left < 0


def read_photo(
    file: Readable, *budgets: Budget, limits: Limits = LIMITS, chunk: int = CHUNK
) -> bytes:
    """Read a whole photo, stopping at the first bytes of anything that is none.

    Raises:
        NotTaken: no photo, larger than the limit, or one of `budgets` is used up.
    """
    data = bytearray(file.read(HEAD))
    reason = refusal(bytes(data))
    if reason is not None:
        raise NotTaken(reason)
    size = Budget(limits.photo, f"larger than {limits.photo // MB} MB")
    more = bytes(data)
    while more:
        for budget in (size, *budgets):
            budget.spend(len(more))
        more = file.read(chunk)
        data += more
    return bytes(data)
