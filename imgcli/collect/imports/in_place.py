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
from functools import partial
from glob import has_magic
from pathlib import Path
from shlex import quote

from imgcli.collect.imports.archives import is_archive
from imgcli.collect.imports.formats import webdataset
from imgcli.collect.imports.formats.source import Reading
from imgcli.collect.imports.in_place_tables import of_folder, of_table
from imgcli.collect.imports.tars import tar_entries
from imgcli.collect.ingest import class_name
from imgcli.errors import DataError, WrongUsage
from imgcli.folder_names import is_system_file
from imgcli.image_types import is_photo_name
from imgcli.locations import SHARD
from imgcli.parquet_tables import is_parquet
from imgcli.progress import track
from imgcli.reading import matching, open_regular, read_regular
from imgcli.records import LabelledLocation, PhotosInPlace, Rejected
from imgcli.remote.objects import list_uris, nothing_at
from imgcli.remote.path import RemotePath, etag_of
from imgcli.tables import LISTS, SUFFIXES
from imgcli.text import count

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
            return of_folder(path, reading)
        found = _of_shards(path, path, shards) if shards else None
    elif has_magic(str(path)) and (shards := _matching_shards(path)):
        around = next(one for one in path.parents if not has_magic(str(one)))
        found = _of_shards(path, around, shards)
    elif not path.is_file():
        if isinstance(path, RemotePath):
            raise nothing_at(path.uri)
        return None
    elif path.suffix == SHARD:
        found = _of_shards(path, path.parent, [path])
    elif is_parquet(path) or path.suffix.lower() in (*SUFFIXES, *LISTS, ".json"):
        return of_table(path, reading)
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


def _matching_shards(pattern: Path) -> list[Path]:
    """The shards that a pattern such as 'shards/0*.tar' means; none where it means other files."""
    found = matching(pattern)
    return found if all(one.suffix == SHARD and one.is_file() for one in found) else []


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
