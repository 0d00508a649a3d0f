"""Everything that photos come in: each format recognises its own, and yields candidates."""

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
    yolo,
)
from imgcli.collect.imports.formats.source import Files, Reading, Source
from imgcli.collect.imports.labelled_photo import LIMITS
from imgcli.collect.imports.survey import class_names, survey
from imgcli.collect.imports.tables import SUFFIXES
from imgcli.errors import DataError, WrongUsage
from imgcli.progress import track
from imgcli.reading import open_regular
from imgcli.staging import recover

FORMATS = (idx.find, cifar.find, coco.find, webdataset.find)
PIXELS = (idx.find, cifar.find)  # without photo files: any beside them is something else


def open_source(path: Path, reading: Reading) -> Source:
    """Find out what `path` is and how its photos are labelled; nothing is unpacked.

    Raises:
        DataError: it does not exist, is damaged, of no format known here, or without photos.
        WrongUsage: it is of two formats, split already, or not of what the options are for.
    """
    recover(path)
    if not path.exists():
        raise DataError(f"There is no '{path}'. Name a folder, a zip or a tar of class folders.")
    source = _open_table(path, reading) or _open_annotations(path)
    if source is None:
        files = _look_through(path)
        if reading.label_from is not None:
            source = classes.labels_in_paths(files, reading.label_from)
        else:
            source = _recognised(files, reading)
    _refuse_idle(source, reading)
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
    """The photos that a file of COCO's annotations lies beside; None for any other file."""
    if path.is_dir() or path.suffix.lower() != ".json":
        return None
    folder = path.absolute().parent
    if folder.name == "annotations":
        folder = folder.parent
    source = coco.find(_look_through(folder), path.name)
    if source is None:
        raise DataError(f"'{path}' is no file of COCO annotations with its photos in '{folder}'.")
    return source


def _look_through(path: Path) -> Files:
    """Go through a folder or archive, once, by name."""
    if not path.is_dir() and (idx.NAME.fullmatch(path.name) or _is_batch(path)):
        raise DataError(
            f"'{path}' is one file of several that belong together. Import the folder or archive "
            f"they lie in: imgcli import {path.parent}"
        )
    entries = partial(folder_entries if path.is_dir() else archive_entries, path)
    found = survey(track(entries(), "look through", unit="files"), str(path), LIMITS.files)
    return Files(path, entries, found)


def _is_batch(path: Path) -> bool:
    return bool(cifar.TEN.fullmatch(path.name) or cifar.HUNDRED.fullmatch(path.name))


def _recognised(files: Files, reading: Reading) -> Source:
    """What a folder or archive is: of a format with a mark of its own, or class folders."""
    yolo.refuse_boxes(files)
    marked = {find: source for find in FORMATS if (source := find(files)) is not None}
    kinds = [source.what for source in marked.values()]
    if files.found.photos and any(find in PIXELS for find in marked):
        kinds.append("photos")
    if len(kinds) > 1:
        raise WrongUsage(
            f"'{files.path}' holds {' and '.join(kinds)}. Move them apart and import each alone."
        )
    if marked:
        return next(iter(marked.values()))
    classes.refuse_without_photos(files)
    table = _table_beside(files)
    if table is not None:
        return tables.table_source(table, reading)
    return classes.class_folders(files, reading.keep_split)


def _table_beside(files: Files) -> Path | None:
    """The table in a folder whose photos lie in no class folders: it has the labels."""
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


def _refuse_idle(source: Source, reading: Reading) -> None:
    """Refuse options that mean nothing to this source."""
    if reading.keep_split and not source.parts:
        raise WrongUsage(
            f"--keep-split: '{source.path}' holds {source.what} without train and test parts. "
            "Leave it out, and split afterwards: imgcli split"
        )
    if "table" not in source.what and (reading.path_column or reading.label_column):
        option = "--path-column" if reading.path_column else "--label-column"
        raise WrongUsage(f"{option} is for tables; '{source.path}' holds {source.what}.")
