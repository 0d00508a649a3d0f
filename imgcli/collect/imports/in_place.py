"""Labelled photos that are read where they are: in WebDataset's shards, or named by a table.

    shards/000.tar           0001.jpg 0001.cls 0002.jpg 0002.cls …
    shards/001.tar
    shards/classes.txt       names of numbered labels, a line each; may be absent

    photos.csv               path,label
                             cat/0001.jpg,cat

A shard is read from its beginning to its end once, for names and labels; photos are passed over.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from shlex import quote

from imgcli.collect.imports.archives import is_archive
from imgcli.collect.imports.detect import open_source
from imgcli.collect.imports.formats import tables, webdataset
from imgcli.collect.imports.formats.parquet import parquet_source
from imgcli.collect.imports.formats.source import LabelledPhotos, Reading
from imgcli.collect.imports.labelled_photo import Entry, LabelledPhoto
from imgcli.collect.imports.survey import split_into
from imgcli.collect.imports.tars import tar_entries
from imgcli.collect.ingest import class_name
from imgcli.errors import DataError, WrongUsage
from imgcli.folder_names import is_system_file
from imgcli.image_types import is_photo_name
from imgcli.locations import SHARD
from imgcli.parquet_tables import is_parquet, open_parquet
from imgcli.photo_files import PhotoFiles
from imgcli.progress import track
from imgcli.reading import open_regular, read_regular
from imgcli.records import LabelledLocation, PhotosInPlace, Rejected
from imgcli.remote.objects import list_uris, nothing_at
from imgcli.remote.path import RemotePath, etag_of
from imgcli.remote.storage import BUCKETS
from imgcli.remote.uris import is_uri, split_uri
from imgcli.tables import LISTS, SUFFIXES, table_rows
from imgcli.text import count, listed

PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
CLASS_NAMES = ("classes.txt", "classes.json", "class_names.txt", "labels.txt")  # beside shards


def find_in_place(path: Path, reading: Reading) -> PhotosInPlace | None:
    """The photos that shards or a table name; None for a folder of photos, or nothing at all.

    Raises:
        DataError: no photo can be read in place, or the names of the classes cannot be used.
        WrongUsage: an option names a column that is not there, or is for tables.
    """
    if path.is_dir():
        shards = _shards_in(path)
        if not shards and isinstance(path, RemotePath):
            return _of_folder(path, reading)
        found = _of_shards(path, path, shards) if shards else None
    elif not path.is_file():
        if isinstance(path, RemotePath):
            raise nothing_at(path.uri)
        return None
    elif path.suffix == SHARD:
        found = _of_shards(path, path.parent, [path])
    elif is_parquet(path) or path.suffix.lower() in (*SUFFIXES, *LISTS, ".json"):
        return _of_table(path, reading)
    else:
        if path.name.lower().endswith(PACKED):
            raise DataError(_packed(path))
        what = "an archive" if is_archive(path) else "a file"
        raise DataError(
            f"'{path}' is {what} that cannot be split in place: there are folders of shards or "
            f"shards (.tar) and tables. Import it first: imgcli import {quote(str(path))}"
        )
    if found is not None and (reading.path_column or reading.label_column or reading.root):
        raise WrongUsage("--path-column, --label-column and --root are for tables.")
    return found


# --- shards -------------------------------------------------------------------------------------


def _shards_in(folder: Path) -> list[Path]:
    """The shards of a folder, sorted; none where it has photos of its own.

    Raises:
        DataError: all of them are compressed.
    """
    shards: list[Path] = []
    packed: list[Path] = []
    for path in _files_below(folder):
        if is_photo_name(path.name):
            return []
        if path.name.endswith(SHARD) and not is_system_file(path.name):
            shards.append(path)
        elif path.name.lower().endswith(PACKED):
            packed.append(path)
    if packed and not shards:
        raise DataError(_packed(packed[0]))
    return shards


def _files_below(folder: Path) -> Iterator[Path]:
    """The files of a folder, which may be behind a URI, in the order of their names."""
    if isinstance(folder, RemotePath):
        yield from (RemotePath(one.uri) for one in list_uris(folder.uri))
        return
    for around, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_system_file(name))
        yield from (Path(around, name) for name in sorted(names))


def _packed(path: Path) -> str:
    return (
        f"'{path}' is compressed, so its photos cannot be read in place. Unpack it to a .tar "
        f"(photos are compressed anyway), or import it: imgcli import {quote(str(path))}"
    )


def _of_shards(path: Path, folder: Path, shards: Sequence[Path]) -> PhotosInPlace:
    photos: list[LabelledLocation] = []
    rejected: list[Rejected] = []
    for shard in track(shards, "Reading shards", unit="shards"):
        for item in _in_shard(shard, folder):
            (rejected if isinstance(item, Rejected) else photos).append(item)  # type: ignore[arg-type]
    if not photos:
        why = f" ({rejected[0].path}: {rejected[0].reason})" if rejected else ""
        raise DataError(
            f"'{path}' holds no WebDataset samples{why}. Expected is a photo and its label under "
            f"one name, such as 0001.jpg and 0001.cls. To read class folders in tars: "
            f"imgcli import {' '.join(quote(str(shard)) for shard in shards[:3])}"
        )
    named, note = _with_names(photos, folder)
    return PhotosInPlace(
        name=str(path),
        folder=str(folder),
        photos=named,
        rejected=tuple(rejected),
        notes=(
            f"'{path}': {count(len(shards), 'WebDataset shard')}, read in place; no photo is "
            "copied.",
            *note,
        ),
    )


def _in_shard(shard: Path, folder: Path) -> Iterator[LabelledLocation | Rejected]:
    """The photos of a shard; or why it has none, or no further ones."""
    relative = shard.relative_to(folder).as_posix()
    if f"{SHARD}!" in relative:
        yield Rejected(relative, f"its path has '{SHARD}!', which marks members; rename it")
        return
    seen: set[str] = set()
    try:
        for item in webdataset.labelled_photos(
            partial(tar_entries, shard, open_regular), read=False
        ):
            origin = (item.path if isinstance(item, Rejected) else item.origin).removeprefix(
                f"{shard}!"
            )
            source = relative if origin == str(shard) else f"{relative}!{origin}"
            if isinstance(item, Rejected):
                yield Rejected(source, item.reason)
            elif item.offset is None:
                yield Rejected(source, "a link or sparse file, which cannot be read in place")
            elif origin in seen:
                yield Rejected(source, "a second photo of that name in its shard")
            else:
                seen.add(origin)
                label = class_name(item.label)
                yield LabelledLocation(label, source, item.offset, item.size, etag_of(shard))
    except (DataError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no tar, or damaged"
        yield Rejected(relative, f"{reason}; none of its photos is used")


def _with_names(
    photos: list[LabelledLocation], folder: Path
) -> tuple[list[LabelledLocation], tuple[str, ...]]:
    """The photos with names for numbered labels, where a file beside the shards has them.

    Raises:
        DataError: it has no name for a label.
    """
    numbers = {photo.label for photo in photos}
    if not all(number.isdecimal() for number in numbers):
        return photos, ()
    file = next((folder / name for name in CLASS_NAMES if (folder / name).is_file()), None)
    if file is None:
        return photos, (
            f"Labels are numbers, and the classes are called so. '{folder / CLASS_NAMES[0]}' may "
            "have their names, one in each line from number 0.",
        )
    names = _class_names(file)
    if lacking := sorted((n for n in numbers if int(n) not in names), key=int):
        raise DataError(
            f"'{file}' has {count(len(names), 'name')}, and none for the label {lacking[0]}. "
            "Complete it, or rename it so that numbers are the names of the classes."
        )
    twice = [name for name, n in Counter(names[int(n)] for n in numbers).items() if n > 1]
    if twice:
        raise DataError(f"'{file}' gives two labels the name '{twice[0]}'. Give each its own.")
    named = [photo._replace(label=class_name(names[int(photo.label)])) for photo in photos]
    return named, (f"Classes are named by '{file}'.",)


def _class_names(file: Path) -> dict[int, str]:
    """Names by number: lines from 0, a JSON list, or a JSON object of numbers and names."""
    text = read_regular(file).decode("utf-8", "replace")
    if file.suffix != ".json":
        return dict(enumerate(line.strip() for line in text.strip().splitlines()))
    try:
        document = json.loads(text)
        pairs = document.items() if isinstance(document, dict) else enumerate(document)
        turned = [(b, a) if isinstance(b, int) else (a, b) for a, b in pairs]
        return {int(number): str(name) for number, name in turned}
    except (ValueError, TypeError, RecursionError):
        raise DataError(
            f"'{file}' is no list of names, and no object of numbers and names. Correct or remove "
            "it."
        ) from None


# --- folders and tables --------------------------------------------------------------------------


def _of_folder(path: RemotePath, reading: Reading) -> PhotosInPlace:
    """The photos in class folders behind a URI."""
    source = open_source(path, reading)
    photos, rejected, _ = _located(source.photos(), path)
    said = f"'{path}': {count(len(photos), 'photo')}, read in place; none is copied."
    return PhotosInPlace(str(path), str(path), photos, rejected, (*source.notes, said))


def _of_table(path: Path, reading: Reading) -> PhotosInPlace:
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
