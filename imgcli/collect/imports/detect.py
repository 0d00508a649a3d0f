"""Detect what a source is: each format recognises its own."""

from functools import partial
from pathlib import Path

from imgcli import provenance
from imgcli.collect.imports.archives import archive_entries
from imgcli.collect.imports.folders import folder_entries
from imgcli.collect.imports.formats import (
    cifar,
    classes,
    coco,
    idx,
    parquet,
    tables,
    webdataset,
)
from imgcli.collect.imports.formats.source import PIXELS, TABLES, Files, Reading, Source
from imgcli.collect.imports.labelled_photo import LIMITS
from imgcli.collect.imports.survey import class_names, survey
from imgcli.collect.imports.tables import SUFFIXES
from imgcli.collect.imports.zip_names import checked
from imgcli.errors import DataError, WrongUsage
from imgcli.progress import track
from imgcli.reading import open_regular
from imgcli.staging import recover

FORMATS = (idx.find, cifar.find, coco.find, webdataset.find)


def open_source(path: Path, reading: Reading) -> Source:
    """Detect what `path` is and how its photos are labelled; nothing is unpacked.

    Raises:
        DataError: it does not exist, is damaged, of no known format, or without photos.
        WrongUsage: it is of two formats, split already, or the options are for another kind.
    """
    recover(path)
    if not path.exists():
        raise DataError(f"There is no '{path}'. Name a folder, a zip or a tar of class folders.")
    source = _open_table(path, reading) or _open_annotations(path)
    if source is None:
        files = _survey(path, reading.encoding)
        if reading.label_from is not None:
            source = classes.labels_in_paths(files, reading.label_from)
        else:
            source = _recognised(files, reading)
    _refuse_unused_options(source, reading)
    return source


def _open_table(path: Path, reading: Reading) -> Source | None:
    """The table at `path`; None if it is none."""
    if path.is_dir():
        return None
    with open_regular(path) as file:
        is_parquet = file.read(4) == parquet.MAGIC
    if not is_parquet and path.suffix.lower() not in SUFFIXES:
        return None
    if reading.label_from is not None:
        raise WrongUsage(f"--label-from is for photos; the table '{path}' has labels of its own.")
    return (parquet.parquet_source if is_parquet else tables.table_source)(path, reading)


def _open_annotations(path: Path) -> Source | None:
    """The photos beside a file of COCO's annotations; None for any other file."""
    if path.is_dir() or path.suffix.lower() != ".json":
        return None
    folder = path.absolute().parent
    if folder.name == "annotations":
        folder = folder.parent
    source = coco.find(_survey(folder, None), path.name)
    if source is None:
        raise DataError(f"'{path}' is no file of COCO annotations with its photos in '{folder}'.")
    return source


def _survey(path: Path, encoding: str | None) -> Files:
    """Read the names in a folder or archive, once."""
    if not path.is_dir() and (idx.NAME.fullmatch(path.name) or _is_batch(path)):
        raise DataError(
            f"'{path}' is one file of several that belong together. Import the folder or archive "
            f"they are in: imgcli import {path.parent}"
        )
    if path.is_dir():
        entries = partial(folder_entries, path)
    else:
        entries = partial(archive_entries, path, encoding=encoding and checked(encoding))
    found = survey(track(entries(), "list files", unit="files"), str(path), LIMITS.files)
    return Files(path, entries, found)


def _is_batch(path: Path) -> bool:
    return bool(cifar.TEN.fullmatch(path.name) or cifar.HUNDRED.fullmatch(path.name))


def _recognised(files: Files, reading: Reading) -> Source:
    """What a folder or archive holds: a format of its own, or class folders."""
    classes.refuse_boxes(files)
    marked = [source for find in FORMATS if (source := find(files)) is not None]
    kinds: list[str] = [source.kind for source in marked]
    if files.found.photos and PIXELS.intersection(kinds):
        kinds.append("photos")
    if len(kinds) > 1:
        raise WrongUsage(
            f"'{files.path}' holds {' and '.join(kinds)}. Move them apart and import each alone."
        )
    if marked:
        return marked[0]
    classes.refuse_without_photos(files)
    table = _table_beside(files)
    if table is not None:
        return tables.table_source(table, reading)
    return classes.class_folders(files, reading)


def _table_beside(files: Files) -> Path | None:
    """The table with the labels, in a folder without class folders."""
    found = files.found
    names = [
        parts[0]
        for suffix in SUFFIXES
        for parts in found.others.get(suffix, [])
        if len(parts) == 1 and parts[0] != provenance.NAME
    ]
    if not files.path.is_dir() or len(class_names(found)) > 1 or not names:
        return None
    if len(names) > 1:
        which = " or ".join(f"imgcli import {files.path / name}" for name in sorted(names))
        raise WrongUsage(f"'{files.path}' holds several tables of photos. Name one: {which}")
    return files.path / names[0]


def _refuse_unused_options(source: Source, reading: Reading) -> None:
    """Refuse options that have no effect on this source."""
    if reading.keep_split and not source.parts:
        raise WrongUsage(
            f"--keep-split: '{source.path}' holds {source.kind} without train and test parts. "
            "Leave it out, and split afterwards: imgcli split"
        )
    if source.kind not in TABLES and (reading.path_column or reading.label_column):
        option = "--path-column" if reading.path_column else "--label-column"
        raise WrongUsage(f"{option} is for tables; '{source.path}' holds {source.kind}.")
