"""Photos without labels, to be predicted: named in tables and lists, or members of archives.

list.csv     path,camera             the column of photos is found as for an import
list.txt     cat/1.jpg               a path per line; NUL between paths as of `find -print0`
new.zip      cat/1.jpg, dog/2.jpg    read in place, named "new.zip!cat/1.jpg"
"""

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from imgcli.collect.imports.archives import archive_entries, is_archive
from imgcli.collect.imports.formats.tables import SAMPLE
from imgcli.collect.imports.labelled_photo import LIMITS, Entry, NotTaken, read_photo
from imgcli.errors import DataError, WrongUsage
from imgcli.image_types import OTHER_SUFFIXES, is_photo_name
from imgcli.parquet_tables import is_parquet, open_parquet
from imgcli.photo_files import PhotoFiles, photo_column
from imgcli.reading import read_regular
from imgcli.records import NewPhotos, Rejected
from imgcli.tables import LISTS, MAX_MISSING, SUFFIXES, table_rows
from imgcli.text import count, listed, percent


def photos_named_in(path: Path, root: Path | None, path_column: str | None) -> NewPhotos | None:
    """The photos of a table, list or archive; None if a file is none of them.

    Args:
        root: the folder that the paths in a table or list are below; by default its own.
        path_column: the column of a table with the photos' paths; found by default.

    Raises:
        DataError: damaged, without a column of photos, or nearly all photos are missing.
        WrongUsage: the named column is not there.
        Refused: a Parquet table, and pyarrow is not installed.
    """
    if is_photo_name(path.name):
        return None
    suffix = path.suffix.lower()
    if is_parquet(path):
        return _in_parquet(path, root, path_column)
    if suffix in SUFFIXES:
        return _in_table(path, root, path_column)
    if suffix in LISTS:
        return listed_photos(read_regular(path), f"'{path}'", root or path.parent)
    return _in_archive(path) if is_archive(path) else None


def listed_photos(data: bytes, source: str, root: Path | None = None) -> NewPhotos:
    """The photos of a list of paths, one per line or with NUL between them.

    Args:
        source: the list's name, for messages.
        root: where a path is looked for besides the current folder.

    Raises:
        DataError: the list is empty, or none of its photos is there.
    """
    separated = data.split(b"\0") if b"\0" in data else data.splitlines()
    paths = [os.fsdecode(path) for one in separated if (path := one.strip(b"\r\n"))]
    if not paths:
        raise DataError(f"{source} names no photo. Expected is a path per line.")
    below = PhotoFiles(root) if root else None
    files = [
        path if below is None or os.path.lexists(path) else _found(below, path) for path in paths
    ]
    return _files(files, paths, (), source)


def _in_table(path: Path, root: Path | None, path_column: str | None) -> NewPhotos:
    files = PhotoFiles(root or path.parent)
    rows = (cells for _, cells in table_rows(path) if not isinstance(cells, Rejected))
    sample = list(islice(rows, SAMPLE))
    column = _column(path, sample, files, path_column)
    named: list[str] = []
    rejected = []
    for number, cells in table_rows(path):
        value = cells if isinstance(cells, Rejected) else cells.get(column)
        if isinstance(value, Rejected):
            rejected.append(value)
        elif not str("" if value is None else value).strip():
            rejected.append(Rejected(f"{path}:{number}", "names no photo"))
        else:
            named.append(str(value).strip())
    return _files([_found(files, name) for name in named], named, rejected, f"'{path}'")


def _column(
    path: Path, sample: Sequence[Mapping[str, Any]], files: PhotoFiles, path_column: str | None
) -> str:
    """The column of the photos' paths."""
    if not sample:
        raise DataError(f"'{path}' has no rows. Expected is a column such as path.")
    names = [name for name in sample[0] if name not in ("", "None")]
    if path_column is not None and path_column not in names:
        raise WrongUsage(
            f"--path-column '{path_column}' is no column of '{path}': it has {listed(names, 12)}."
        )
    column = path_column or photo_column(names, sample, files)
    if column is None:
        raise DataError(
            f"'{path}' has no column that looks like photos' paths (--path-column): it has "
            f"{listed(names, 12)}."
        )
    return column


def _found(files: PhotoFiles, named: str) -> str:
    """The file that is meant; the path itself where it may be several."""
    try:
        return os.path.normpath(files.find(named, {}))
    except ValueError:
        return named


def _files(
    files: Sequence[str], named: Sequence[str], rejected: Sequence[Rejected], source: str
) -> NewPhotos:
    """Files, each once; refused where nearly none is there."""
    missing = [name for file, name in zip(files, named, strict=True) if not os.path.exists(file)]
    if missing and len(missing) > MAX_MISSING * len(files):
        raise DataError(
            f"Of the {count(len(files), 'path')} in {source}, {percent(len(missing) / len(files))} "
            f"are not there, such as '{missing[0]}'. Say where they are: --root FOLDER"
        )
    once = tuple(dict.fromkeys(files))
    inner = tuple(os.path.basename(file) for file in once)
    return NewPhotos(once, inner, lambda: once, tuple(rejected))


# --- photos in one file -------------------------------------------------------------------------


def _in_archive(path: Path) -> NewPhotos:
    """The photos in an archive: by their suffix, or all files where none has one."""
    members: list[Entry] = []
    rejected: list[Rejected] = []
    for item in archive_entries(path):
        if len(members) > LIMITS.files:
            raise DataError(f"'{path}' holds more than {LIMITS.files:,} files. Unpack it.")
        if isinstance(item, Rejected):
            rejected.append(item)
        elif (suffix := os.path.splitext(item.path)[1].lower()) in OTHER_SUFFIXES:
            rejected.append(Rejected(item.origin, f"not a picture, by its name ({suffix})"))
        else:
            members.append(item)
    chosen = {member.origin for member in members}

    def contents() -> Iterator[bytes | Rejected]:
        for item in archive_entries(path):
            if isinstance(item, Entry) and item.origin in chosen:
                yield _read(item)

    names = tuple(member.origin for member in members)
    inner = tuple(member.path for member in members)
    return NewPhotos(names, inner, contents, tuple(rejected))


def _read(entry: Entry) -> bytes | Rejected:
    try:
        return entry.read()
    except NotTaken as reason:
        return Rejected(entry.origin, str(reason))


def _in_parquet(path: Path, root: Path | None, path_column: str | None) -> NewPhotos:
    """The photos in a Parquet table, or at the paths in it."""
    table = open_parquet(path)
    files = PhotoFiles(root or path.parent)
    image = table.image if path_column is None else path_column
    if image is None or image != table.image:
        column = _column(path, table.sample(), files, image)
        cells = (row[column] for row in table.rows([column]))
        named = [str(cell).strip() for cell in cells if cell is not None]
        return _files([_found(files, name) for name in named], named, (), f"'{path}'")

    def contents() -> Iterator[str | bytes | Rejected]:
        for name, row in zip(names, table.rows([image]), strict=False):
            photo = row[image]
            data = photo.get("bytes") if isinstance(photo, dict) else photo
            if isinstance(photo, dict) and data is None and photo.get("path"):
                yield _found(files, str(photo["path"]))
            elif isinstance(data, bytes):
                yield _photo_in(data, name)
            else:
                yield Rejected(name, "no photo in this row")

    names = tuple(f"{path}[{i}]" for i in range(table.count))
    return NewPhotos(names, tuple(f"{path.stem}-{i:06}" for i in range(len(names))), contents)


def _photo_in(data: bytes, name: str) -> bytes | Rejected:
    try:
        return read_photo(io.BytesIO(data))
    except NotTaken as reason:
        return Rejected(name, str(reason))
