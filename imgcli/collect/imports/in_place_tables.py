"""Photos that are read where they are, named by a table or in class folders behind a URI.

path,label
cat/0001.jpg,cat                      below the table's folder, or --root
s3://bucket/cat/0001.jpg,cat          an object
shards/000.tar!0001.jpg,cat           a member of a shard
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shlex import quote

from imgcli.collect.imports.detect import open_source
from imgcli.collect.imports.formats import tables
from imgcli.collect.imports.formats.parquet import parquet_source
from imgcli.collect.imports.formats.source import LabelledPhotos, Reading
from imgcli.collect.imports.labelled_photo import Entry, LabelledPhoto
from imgcli.collect.imports.survey import split_into
from imgcli.collect.imports.tars import tar_entries
from imgcli.collect.ingest import class_name
from imgcli.errors import DataError
from imgcli.locations import SHARD
from imgcli.parquet_tables import is_parquet, open_parquet
from imgcli.photo_files import PhotoFiles
from imgcli.progress import track
from imgcli.reading import open_regular
from imgcli.records import LabelledLocation, PhotosInPlace, Rejected
from imgcli.remote.libraries import BUCKETS
from imgcli.remote.path import RemotePath, etag_of
from imgcli.remote.uris import is_uri, split_uri
from imgcli.tables import table_rows
from imgcli.text import count, listed


def of_folder(path: RemotePath, reading: Reading) -> PhotosInPlace:
    """The photos in class folders behind a URI."""
    source = open_source(path, reading)
    photos, rejected, _ = _located(source.photos(), path)
    said = f"'{path}': {count(len(photos), 'photo')}, read in place; none is copied."
    return PhotosInPlace(str(path), str(path), photos, rejected, (*source.notes, said))


def of_table(path: Path, reading: Reading) -> PhotosInPlace:
    """The photos that a table names, by their paths."""
    if is_parquet(path) and open_parquet(path).image is not None:
        raise DataError(
            f"'{path}' holds the photos themselves, which cannot be read in place. Import it: "
            f"imgcli import {quote(str(path))}"
        )
    if members := _members_named(path):
        return _of_members(path, reading, members)
    if reading.root is None and (above := _above_uris(path)):
        reading = replace(reading, root=RemotePath(above))
    source = (parquet_source if is_parquet(path) else tables.table_source)(path, reading)
    folder = reading.root or path.parent
    photos, rejected, parts = _located(source.photos(), folder)
    notes = [
        *source.notes,
        f"'{path}': a table of {count(len(photos), 'photo')}, read in place; none is copied.",
    ]
    if kept := split_into(parts):
        notes.append(
            f"'{path}' puts photos into {listed(kept)}, which a split does not keep. To keep "
            f"them: imgcli import {quote(str(path))} --keep-split"
        )
    return PhotosInPlace(str(path), str(folder), photos, rejected, tuple(notes))


def _located(
    items: LabelledPhotos, folder: Path
) -> tuple[list[LabelledLocation], tuple[Rejected, ...], set[str]]:
    """The photos, those that cannot be used, and the parts that they are in."""
    photos: list[LabelledLocation] = []
    rejected: list[Rejected] = []
    parts: set[str] = set()
    for item in _once(items):
        if isinstance(item, Rejected):
            rejected.append(item)
            continue
        if isinstance(folder, RemotePath) and not item.ahead:
            rejected.append(Rejected(item.origin, "there is no such object"))
            continue
        parts.add(item.part)
        name = _relative(item.origin, folder)
        label = class_name(item.label)
        photos.append(LabelledLocation(label, name, None, item.ahead, item.etag))
    return photos, tuple(rejected), parts


def _members_named(table: Path) -> set[str]:
    """The members of shards that a table names, such as "000.tar!0001.jpg"."""
    rows = (cells for _, cells in table_rows(table) if not isinstance(cells, Rejected))
    return {
        cell.strip()
        for cells in rows
        for cell in cells.values()
        if isinstance(cell, str) and f"{SHARD}!" in cell
    }


def _of_members(path: Path, reading: Reading, named: set[str]) -> PhotosInPlace:
    """The members of shards that a table names, with its labels; each shard is indexed once."""
    folder = reading.root or path.parent
    places: dict[str, LabelledLocation] = {}
    gone: dict[str, str] = {}
    shards = sorted({name.partition(f"{SHARD}!")[0] + SHARD for name in named})
    for shard in track(shards, "Reading shards", unit="shards"):
        try:
            for entry in tar_entries(folder / shard, open_regular):
                if isinstance(entry, Entry) and entry.offset is not None:
                    source = f"{shard}!{entry.origin.removeprefix(f'{folder / shard}!')}"
                    if source in named and source not in places:
                        etag = etag_of(folder / shard)
                        places[source] = LabelledLocation(
                            "", source, entry.offset, entry.size, etag
                        )
        except (DataError, OSError) as error:
            gone[shard] = getattr(error, "strerror", None) or "no tar, or damaged"
    rows = list(table_rows(path))
    sample = [cells for _, cells in rows[: tables.SAMPLE] if not isinstance(cells, Rejected)]
    columns = tables.find_columns(path, sample, reading, PhotoFiles(Path(), names=named))
    photos: list[LabelledLocation] = []
    rejected: list[Rejected] = []
    seen: set[tuple[str, str]] = set()
    for number, cells in rows:
        if isinstance(cells, Rejected):
            rejected.append(cells)
            continue
        name = str(cells.get(columns.photo) or "").strip()
        where = f"{path}:{number} ({name})"
        try:
            label = class_name(columns.label_of(cells, reading.multi))
            place = places.get(name)
            if place is None:
                shard = name.partition(f"{SHARD}!")[0] + SHARD
                raise ValueError(gone.get(shard) or "no member of a shard is called so")
            if (label, name) in seen:
                raise ValueError("named a second time for its class")
        except ValueError as reason:
            rejected.append(Rejected(where, str(reason)))
            continue
        seen.add((label, name))
        photos.append(place._replace(label=label))
    said = (
        f"'{path}': a table of {count(len(photos), 'photo')} in {count(len(shards), 'shard')}, "
        "read in place; none is copied."
    )
    return PhotosInPlace(str(path), str(folder), photos, tuple(rejected), (said,))


def _above_uris(table: Path) -> str | None:
    """The folder above all objects that a table names by their URIs; None where it names none.

    Raises:
        DataError: they are in several buckets.
    """
    above: str | None = None
    for _, cells in table_rows(table):
        for cell in () if isinstance(cells, Rejected) else cells.values():
            if isinstance(cell, str) and is_uri(uri := cell.strip()):
                if split_uri(uri)[0] not in BUCKETS:
                    continue  # of the web, which is refused with what to do
                folder = uri.rpartition("/")[0]
                above = folder if above is None else os.path.commonpath([above, folder])
    if above is None:
        return None
    scheme, _, rest = above.partition(":/")
    if not rest.strip("/"):
        raise DataError(f"'{table}' names photos of several buckets. Make a table for each.")
    return f"{scheme}://{rest.lstrip('/')}"


def _once(photos: LabelledPhotos) -> Iterator[LabelledPhoto | Rejected]:
    """Each photo of a class once."""
    seen: set[tuple[str, str]] = set()
    for item in photos:
        if isinstance(item, Rejected):
            yield item
        elif (key := (item.label, item.origin)) in seen:
            yield Rejected(item.origin, "named a second time for its class")
        else:
            seen.add(key)
            yield item


def _relative(file: str, folder: Path) -> str:
    """A file relative to the folder that a table's paths are below, if it is inside."""
    if isinstance(folder, RemotePath):
        return file.removeprefix(f"{folder}/")
    path = os.path.normpath(file)
    base = os.path.normpath(folder)
    if os.path.isabs(path) and not os.path.isabs(base):
        return path
    relative = os.path.relpath(path, base)
    return path if relative.startswith("..") and os.path.isabs(path) else relative
