"""Where the bytes of a photo are: a file, an object behind a URI, or a member of a shard.

    raw/cat/017.jpg                               a file
    Remote("s3://bucket/cat/017.jpg", 48_211)     an object of 48,211 bytes
    Member("shards/000.tar", 1536, 48_211)        48,211 bytes of a tar, from byte 1,536; the tar
                                                  may be an object too
Documents name a photo by its source, relative to a folder: "cat/017.jpg", "000.tar!017.jpg".

Members of one shard that are read after one another take one open file; in the order of
`reading_order` a whole shard is read from its beginning to its end.
"""

import errno
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import groupby
from pathlib import Path
from shlex import quote
from typing import IO, NamedTuple

from imgcli.reading import open_regular, refuse_size
from imgcli.remote.uris import is_uri


class Member(NamedTuple):
    """A photo in a tar that is not compressed."""

    shard: str  # a path or a URI
    offset: int  # bytes
    size: int  # bytes
    etag: str = ""  # of the shard's content, if it is an object whose content is to be that

    def __str__(self) -> str:
        return f"{self.shard}[{self.offset}:{self.offset + self.size}]"


class Remote(NamedTuple):
    """A photo that is an object behind a URI."""

    uri: str
    size: int  # bytes
    etag: str = ""  # of its content, where it is to be that

    def __str__(self) -> str:
        return self.uri


Location = Path | str | Member | Remote
# The folder that paths of photos are below, or the location of each path.
Where = Path | Mapping[str, Location]

SHARD = ".tar"  # the suffix of shards
_INSIDE = f"{SHARD}!"  # between a shard's name and a member's


def location_in(
    folder: str, source: str, offset: int | None = None, size: int = 0, etag: str = ""
) -> Location:
    """The location of a photo by its source.

    Args:
        folder: that the source is relative to, which may be a URI.
        offset: of a member of a shard.
        etag: of the object that it is, or is in.
    """
    if offset is None:
        path = os.path.join(folder, source)
        return Remote(path, size, etag) if is_uri(path) else path
    shard = os.path.join(folder, source.partition(_INSIDE)[0] + SHARD)
    return Member(sys.intern(shard), offset, size, etag)


def is_remote(location: Location) -> bool:
    """Whether reading it asks a server."""
    return isinstance(location, Remote) or (isinstance(location, Member) and is_uri(location.shard))


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


def paths_in(locations: Iterable[Location]) -> list[str]:
    """The files on a disk that photos are in, which another machine may not see."""
    files = (one.shard if isinstance(one, Member) else str(one) for one in locations)
    return [file for file in files if not is_uri(file)]


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
    """The bytes of each photo, in order, or why it cannot be read; few are held at once.

    Args:
        most: bytes; a larger photo is refused.
        first: the bytes to read at the photo's beginning; None reads all.

    Raises:
        Refused: a server does not answer, or refuses.
    """
    for shard, group in groupby(locations, _in_one):
        if shard is None:
            yield from (_read_file(location, most, first) for location in group)  # type: ignore[arg-type]
        elif shard == "":
            yield from _read_objects(list(group), most, first)  # type: ignore[arg-type]
        elif is_uri(shard):
            yield from _read_from_object(list(group), most, first)  # type: ignore[arg-type]
        else:
            yield from _read_from_shard(shard, list(group), most, first)  # type: ignore[arg-type]


def _in_one(location: Location) -> str | None:
    """The shard that a photo is in; "" for an object, None for a file."""
    if isinstance(location, Member):
        return location.shard
    return "" if isinstance(location, Remote) else None


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
    if isinstance(location, Member | Remote):
        return BytesIO(read_location(location, most))
    return open_regular(location, most)


def as_listed(where: Mapping[str, Location], folder: str) -> dict[str, Location]:
    """The locations behind a URI, pinned to the content that the objects have now.

    Raises:
        DataError: there is nothing in the folder.
        Refused: it cannot be listed.
    """
    from imgcli.remote.objects import list_uris

    found = {one.uri: one for one in list_uris(folder)}

    def listed(location: Location) -> Location:
        uri = location.shard if isinstance(location, Member) else str(location)
        if (one := found.get(uri)) is None or not isinstance(location, Member | Remote):
            return location  # reading it says why
        if isinstance(location, Member):
            return location._replace(etag=one.etag)
        return Remote(uri, one.size, one.etag)

    return {path: listed(location) for path, location in where.items()}


def status_of(location: Location) -> os.stat_result:
    """What the system says of the file that a photo is in.

    Raises:
        OSError: it is not there.
    """
    if isinstance(location, Remote):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), location.uri)
    return os.stat(location.shard if isinstance(location, Member) else location)


def size_of(location: Location) -> int:
    """The bytes of a photo.

    Raises:
        OSError: it is not there.
    """
    return location.size if isinstance(location, Member | Remote) else os.stat(location).st_size


# --- files --------------------------------------------------------------------------------------


def _read_file(path: Path | str, most: int, first: int | None) -> bytes | OSError:
    try:
        with open_regular(path, most) as file:
            return file.read(-1 if first is None else first)
    except OSError as error:
        return error


def _read_from_shard(
    shard: str, members: Sequence[Member], most: int, first: int | None
) -> Iterator[bytes | OSError]:
    try:
        file = open_regular(shard)
    except OSError as error:
        yield from (error for _ in members)
        return
    with file:
        for member in members:
            size = member.size if first is None else min(first, member.size)
            try:
                refuse_size(member.size, shard, most)
                data = os.pread(file.fileno(), size, member.offset)
                yield data if len(data) == size else _cut_short(shard)
            except OSError as error:
                yield error


def _cut_short(shard: str) -> OSError:
    return OSError(errno.EIO, "its shard is cut short", shard)


# --- objects ------------------------------------------------------------------------------------

AT_ONCE = 8  # objects on their way per thread that reads: a request takes longer than its bytes
RUN = 16 << 20  # bytes of a shard that are asked for at once
GAP = 1 << 16  # bytes between two photos that are rather read than left out


def _read_objects(
    photos: Sequence[Remote], most: int, first: int | None
) -> Iterator[bytes | OSError]:
    """Objects, a few of them on their way at once."""

    def read(photo: Remote) -> bytes | OSError:
        end = photo.size if first is None else min(first, photo.size)
        return _range(photo.uri, photo.etag, (0, photo.size, end), most)

    if len(photos) == 1:
        yield read(photos[0])
        return
    with ThreadPoolExecutor(min(AT_ONCE, len(photos))) as pool:
        for start in range(0, len(photos), AT_ONCE):
            yield from pool.map(read, photos[start : start + AT_ONCE])


def _read_from_object(
    members: Sequence[Member], most: int, first: int | None
) -> Iterator[bytes | OSError]:
    """Members of a shard behind a URI: those that follow one another by one request."""
    for run in _runs(members):
        start, end = run[0].offset, run[-1].offset + run[-1].size
        data = _range(run[0].shard, run[0].etag, (start, end, end), max(most, RUN))
        for member in run:
            at = member.offset - start
            size = member.size if first is None else min(first, member.size)
            yield data if isinstance(data, OSError) else data[at : at + size]


def _runs(members: Sequence[Member]) -> Iterator[list[Member]]:
    run: list[Member] = []
    for member in members:
        if run:
            end = run[-1].offset + run[-1].size
            far = not 0 <= member.offset - end <= GAP
            if far or member.offset + member.size - run[0].offset > RUN:
                yield run
                run = []
        run.append(member)
    if run:
        yield run


def _range(uri: str, etag: str, span: tuple[int, int, int], most: int) -> bytes | OSError:
    """The bytes of an object from the first to before the last of the span.

    Args:
        span: the first byte, the one behind the photo, and the one behind what is read.
    """
    from imgcli.remote.faults import Changed
    from imgcli.remote.objects import read_uri
    from imgcli.remote.storage import RemoteObject

    start, size, end = span
    try:
        refuse_size(size - start, uri, most)
        return read_uri(RemoteObject(uri, size, etag), start, end)
    except Changed:
        return OSError(errno.ESTALE, "it has changed since it was listed", uri)
    except OSError as error:
        return error
