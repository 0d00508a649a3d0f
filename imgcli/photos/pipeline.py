"""The one pass over photos: each is read, checked and decoded once, whatever is derived from it.

    bytes -> SHA-256 as recorded -> decoded when first needed -> view, fingerprint, metadata, …

Photos stream through threads over all cores, or through the nodes of a cluster, so the memory
needed depends on the number of cores and not on the number of photos. `fill` keeps what is derived
in RowStores, under the photo's SHA-256; `derive` hands it on. A transform may be sent to another
machine: it holds what it needs, and changes nothing.
"""

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imgcli.compute import engine
from imgcli.locations import Location, paths_in, reading_order, size_of
from imgcli.photos.decode import Fault, decode_picture, read_photos, reduction
from imgcli.photos.resize import Picture
from imgcli.photos.row_cache import RowStore
from imgcli.photos.row_cache_files import checksum
from imgcli.progress import track
from imgcli.records import IntArray, SampleRange

Bools = NDArray[np.bool_]

BLOCK = 64  # photos stored at once
# A task has so many photos at most, or so many bytes of them: enough to outweigh handing it over,
# few enough for tasks to end together and for what they derive to be small.
CHUNK = 16
WORK = 1 << 20
CHANGED = "Changed"  # kind of the fault of a file whose digest is another


class Undecodable(Exception):
    """A photo that cannot be decoded, and why."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo that has been read."""

    index: int  # in the sequence of files
    data: bytes
    digest: str | None = None  # SHA-256, where it is known
    given: Any = None  # what its transforms need of it beside that
    _decoded: dict[tuple[int, SampleRange | None], Picture] = field(default_factory=dict)

    def decoded(self, at_least: int, sample_range: SampleRange | None = None) -> Picture:
        """The picture, not to be changed, with at least so many pixels on its short side.

        It is decoded once for all needs that reduce it alike. Needs that differ get a picture each:
        what is derived from a photo must not depend on what else is.

        Raises:
            Undecodable: it cannot be decoded.
        """
        for (other, samples), image in self._decoded.items():
            if samples != sample_range:
                continue
            if at_least == other or reduction(self.data, at_least) == reduction(self.data, other):
                return image
        made = decode_picture(self.data, at_least, sample_range=sample_range)
        if isinstance(made, Fault):
            raise Undecodable(made)
        self._decoded[at_least, sample_range] = made
        return made


@dataclass(frozen=True)
class Transform:
    """A way to derive something from a photo."""

    apply: Callable[[Photo], Any]  # None: nothing is derived from such a photo
    opportunistic: bool = False  # applied only to photos that another transform is applied to


Derived = dict[int, Any]  # by the position of the transform


class _Row(NamedTuple):
    """A row to be stored."""

    values: NDArray[Any]
    checksum: bytes


def _row(transform: Transform, photo: Photo) -> _Row | None:
    """What a transform derives, as a row: made ready by the thread that derives it."""
    values = transform.apply(photo)
    if values is None:
        return None
    assert photo.digest is not None, "rows are kept under the digest"
    values = np.ascontiguousarray(values)
    return _Row(values, checksum(bytes.fromhex(photo.digest), values.data))


def fill(
    stores: Sequence[RowStore],
    transforms: Sequence[Transform],
    files: Sequence[Location],
    digests: Sequence[str],
    label: str,
    given: Callable[[int], Any] | None = None,
) -> dict[int, Fault]:
    """Derive the rows of these files that the stores, one per transform, lack.

    Ctrl-C keeps the photos that are done, SIGKILL the blocks.

    Args:
        given: as of `derive`.

    Returns:
        The fault of each file that cannot be read or decoded, by its position.
    """
    lacking = np.array([store.rows(digests) < 0 for store in stores]).reshape(len(stores), -1)
    opportunistic = np.array([transform.opportunistic for transform in transforms])
    lacking[opportunistic] &= lacking[~opportunistic].any(axis=0)
    faults: dict[int, Fault] = {}
    waiting: list[dict[str, _Row]] = [{} for _ in stores]
    rows_of = [replace(one, apply=partial(_row, one)) for one in transforms]

    def store_waiting() -> None:
        for store, rows in zip(stores, waiting, strict=True):
            if rows:
                made = rows.values()
                store.append(list(rows), [r.values for r in made], [r.checksum for r in made])
                rows.clear()

    try:
        order = np.array(reading_order(files), dtype=np.int64)
        with closing(derive(rows_of, files, digests, label, lacking, given, order)) as derived:
            for done, (i, made) in enumerate(derived, 1):
                if isinstance(made, Fault):
                    faults[i] = made
                else:
                    for k, row in made.items():
                        waiting[k][digests[i]] = row
                if done % BLOCK == 0:
                    store_waiting()
    finally:
        store_waiting()
        for store in stores:
            store.flush()
    return faults


def derive(
    transforms: Sequence[Transform],
    files: Sequence[Location],
    digests: Sequence[str | None] | None,
    label: str | None = None,
    wanted: Bools | None = None,
    given: Callable[[int], Any] | None = None,
    order: IntArray | None = None,
) -> Generator[tuple[int, Derived | Fault], None, None]:
    """Apply the transforms to files, in order, only a little ahead of the reader.

    Args:
        digests: SHA-256 that each file must have, if known; a file that has another is a fault.
        label: name of the work, for the progress bar; None shows none.
        wanted: (transforms, files) which to apply; None applies all.
        given: what the transforms need of a photo beside the file, by its position.
        order: (files,) positions in the order in which they are read; None reads them as given.

    Yields:
        The position of each file, and what is derived from it or why nothing is.
    """
    if wanted is None:
        wanted = np.ones((len(transforms), len(files)), dtype=bool)
    some_wanted: Bools = np.any(wanted, axis=0)
    todo = np.flatnonzero(some_wanted) if order is None else order[some_wanted[order]]

    def task(i: int) -> _Task:
        some = np.flatnonzero(wanted[:, i]).tolist()
        return _Task(
            i, files[i], some, digests[i] if digests else None, given(i) if given else None
        )

    derived = _derived(transforms, (task(i) for i in todo.tolist()))
    yield from track(derived, label, total=len(todo), unit="photos") if label else derived


def derive_stream(
    transforms: Sequence[Transform],
    photos: Iterable[Location | bytes | Fault],
    total: int,
    label: str,
) -> Generator[tuple[int, Derived | Fault], None, None]:
    """As `derive`, of photos that come one by one: files, or the bytes of members of an archive.

    Args:
        total: how many there are.
    """
    every = list(range(len(transforms)))
    tasks = (_Task(i, photo, every) for i, photo in enumerate(photos))
    yield from track(_derived(transforms, tasks), label, total=total, unit="photos")


class _Task(NamedTuple):
    """A photo to derive something from."""

    position: int
    photo: Location | bytes | Fault
    wanted: list[int]  # positions of the transforms to apply
    digest: str | None = None  # that it must have
    given: Any = None


def _derived(
    transforms: Sequence[Transform], tasks: Iterator[_Task]
) -> Generator[tuple[int, Derived | Fault], None, None]:
    """What is derived for each task, in order, by whatever engine does the work."""
    chunks = _chunks(tasks)
    work = partial(_derive_chunk, transforms)
    with closing(engine.in_order(work, chunks, _files_of, _unread)) as derived:
        for found in derived:
            yield from found


def _chunks(tasks: Iterable[_Task]) -> Iterator[list[_Task]]:
    """Tasks in parts of about equal work."""
    chunk, work = [], 0
    for task in tasks:
        chunk.append(task)
        work += _bytes_of(task.photo)
        if len(chunk) >= CHUNK or work >= WORK:
            yield chunk
            chunk, work = [], 0
    if chunk:
        yield chunk


def _bytes_of(photo: Location | bytes | Fault) -> int:
    """How much there is to read and decode."""
    if isinstance(photo, bytes):
        return len(photo)
    with suppress(OSError):  # which reading it says
        return 0 if isinstance(photo, Fault) else size_of(photo)
    return 0


def _files_of(chunk: Sequence[_Task]) -> list[str]:
    return paths_in(task.photo for task in chunk if not isinstance(task.photo, bytes | Fault))


def _unread(found: Sequence[tuple[int, Derived | Fault]]) -> bool:
    """Whether a photo could not be read, or not as it was hashed."""
    return any(isinstance(made, Fault) and made.stage == "read" for _, made in found)


def _derive_chunk(
    transforms: Sequence[Transform], chunk: Sequence[_Task]
) -> list[tuple[int, Derived | Fault]]:
    photos = read_photos(task.photo for task in chunk if not isinstance(task.photo, bytes | Fault))
    found = []
    for task in chunk:
        data = task.photo if isinstance(task.photo, bytes | Fault) else next(photos)
        some = {k: transforms[k] for k in task.wanted}
        found.append((task.position, _derive_one(task, data, some)))
    return found


def _derive_one(
    task: _Task, data: bytes | Fault, transforms: dict[int, Transform]
) -> Derived | Fault:
    """Apply transforms to one photo, which is hashed and decoded from the same bytes."""
    if isinstance(data, Fault):
        return data
    if task.digest is not None and hashlib.sha256(data).hexdigest() != task.digest:
        return Fault("read", CHANGED, "it changed while it was being read")
    read = Photo(task.position, data, task.digest, task.given)
    try:
        made = {k: transform.apply(read) for k, transform in transforms.items()}
    except Undecodable as error:
        return error.fault
    return {k: row for k, row in made.items() if row is not None}
