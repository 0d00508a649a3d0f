"""Where the bytes of a photo are: a file, or a member of a shard, read where it is.

    raw/cat/017.jpg                               a file
    Member("shards/000.tar", 1536, 48_211)        48,211 bytes of a tar, from byte 1,536

Documents name a photo by its source, relative to a folder: "cat/017.jpg", "000.tar!017.jpg".

Members of one shard that are read after one another take one open file; in the order of
`reading_order` a whole shard is read from its beginning to its end.
"""

import errno
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import groupby
from pathlib import Path
from shlex import quote
from typing import IO, NamedTuple

from imgcli.reading import open_regular, refuse_size


class Member(NamedTuple):
    """A photo in a tar that is not compressed."""

    shard: str
    offset: int  # bytes
    size: int  # bytes

    def __str__(self) -> str:
        return f"{self.shard}[{self.offset}:{self.offset + self.size}]"


Location = Path | str | Member
# The folder that paths of photos are below, or the location of each path.
Where = Path | Mapping[str, Location]

SHARD = ".tar"  # the suffix of shards
_INSIDE = f"{SHARD}!"  # between a shard's name and a member's


def location_in(folder: str, source: str, offset: int | None = None, size: int = 0) -> Location:
    """The location of a photo by its source.

    Args:
        folder: that the source is relative to.
        offset: of a member of a shard.
    """
    if offset is None:
        return os.path.join(folder, source)
    shard = os.path.join(folder, source.partition(_INSIDE)[0] + SHARD)
    return Member(sys.intern(shard), offset, size)


def name_of(source: str) -> str:
    """The path of a photo in its shard, or its source as it is."""
    return source.partition(_INSIDE)[2] or source


def as_words(name: str) -> str:
    """What to type for photos in place where files are wanted: a table or shard, or all shards."""
    return f"{quote(name.rstrip('/'))}/*{SHARD}" if os.path.isdir(name) else quote(name)


def locations_of(where: Where, paths: Iterable[str]) -> list[Location]:
    """The location of each photo."""
    if isinstance(where, Path):
        return [f"{where}/{path}" for path in paths]  # a Path for each takes a second for 100,000
    return [where[path] for path in paths]


def reading_order(locations: Sequence[Location]) -> list[int]:
    """Positions in the order in which photos are best read: members of a shard as they follow."""
    if not any(isinstance(location, Member) for location in locations):
        return list(range(len(locations)))
    return sorted(range(len(locations)), key=lambda i: _position(locations[i]))


def _position(location: Location) -> tuple[str, int]:
    return (location.shard, location.offset) if isinstance(location, Member) else (str(location), 0)


def read_each(
    locations: Iterable[Location], most: int, first: int | None = None
) -> Iterator[bytes | OSError]:
    """The bytes of each photo, in order and one at a time, or why it cannot be read.

    Args:
        most: bytes; a larger photo is refused.
        first: the bytes to read at the photo's beginning; None reads all.
    """
    for shard, group in groupby(locations, lambda p: p.shard if isinstance(p, Member) else None):
        if shard is None:
            for location in group:
                try:
                    with open_regular(location, most) as file:  # type: ignore[arg-type]
                        yield file.read(-1 if first is None else first)
                except OSError as error:
                    yield error
            continue
        try:
            file = open_regular(shard)
        except OSError as error:
            yield from (error for _ in group)
            continue
        with file:
            yield from (_read_member(file.fileno(), location, most, first) for location in group)  # type: ignore[arg-type]


def read_location(location: Location, most: int) -> bytes:
    """All bytes of a photo.

    Raises:
        OSError: it is not there, no regular file, or larger than `most`; `strerror` is the reason.
    """
    (data,) = read_each([location], most)
    if isinstance(data, OSError):
        raise data
    return data


def open_location(location: Location, most: int) -> IO[bytes]:
    """A photo, open to be read; of a file only what is asked for is read.

    Raises:
        OSError: as `read_location`.
    """
    if isinstance(location, Member):
        return BytesIO(read_location(location, most))
    return open_regular(location, most)


def status_of(location: Location) -> os.stat_result:
    """What the system says of the file that a photo is in.

    Raises:
        OSError: it is not there.
    """
    return os.stat(location.shard if isinstance(location, Member) else location)


def size_of(location: Location) -> int:
    """The bytes of a photo.

    Raises:
        OSError: it is not there.
    """
    return location.size if isinstance(location, Member) else os.stat(location).st_size


def _read_member(handle: int, member: Member, most: int, first: int | None) -> bytes | OSError:
    size = member.size if first is None else min(first, member.size)
    try:
        refuse_size(member.size, member.shard, most)
        data = os.pread(handle, size, member.offset)
    except OSError as error:
        return error
    if len(data) < size:
        return OSError(errno.EIO, "its shard is cut short", member.shard)
    return data
