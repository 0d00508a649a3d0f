"""Detect what a source is: each format recognises its own."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from shlex import quote

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
from imgcli.collect.imports.formats.source import (
    PIXELS,
    TABLES,
    Files,
    LabelledPhotos,
    Reading,
    Source,
)
from imgcli.collect.imports.labelled_photo import LIMITS, Entry, LabelledPhoto
from imgcli.collect.imports.survey import class_names, survey
from imgcli.collect.imports.zip_names import checked
from imgcli.errors import DataError, Refused, WrongUsage
from imgcli.folder_names import Folder, are_numbered
from imgcli.parquet_tables import is_parquet
from imgcli.progress import track
from imgcli.records import Rejected
from imgcli.remote.objects import nothing_at
from imgcli.remote.path import RemotePath, etag_of
from imgcli.staging import recover
from imgcli.tables import LISTS, SPREADSHEETS, SUFFIXES
from imgcli.text import listed

FORMATS = (idx.find, cifar.find, coco.find, webdataset.find)


def open_source(path: Path, reading: Reading) -> Source:
    """Detect what `path` is and how its photos are labelled; nothing is unpacked.

    Raises:
        DataError: it does not exist, is damaged, of no known format, or without photos.
        WrongUsage: it is of two formats, split already, or the options are for another kind.
    """
    if isinstance(path, RemotePath):
        if not path.exists():
            raise nothing_at(str(path))
    else:
        recover(path)
    if not path.exists():
        raise DataError(f"There is no '{path}'. Name a folder, a zip or a tar of class folders.")
    source = _open_table(path, reading) or _open_annotations(path, reading)
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
    of_parquet, suffix = is_parquet(path), path.suffix.lower()
    if suffix in SPREADSHEETS:
        raise DataError(f"'{path}' is a spreadsheet. Save it as CSV, and import that.")
    if suffix == ".mat":
        raise DataError(
            f"'{path}' is a file of MATLAB. Save its labels as text, one in each line, in the "
            "order of the photos, and import that with --root FOLDER, where the photos are."
        )
    if not of_parquet and suffix not in SUFFIXES and (suffix not in LISTS):
        return None
    if reading.label_from is not None:
        raise WrongUsage(f"--label-from is for photos; the table '{path}' has labels of its own.")
    return (parquet.parquet_source if of_parquet else tables.table_source)(path, reading)


def _open_annotations(path: Path, reading: Reading) -> Source | None:
    """The photos beside a file of COCO's annotations, or in a table in JSON; None for others."""
    if path.is_dir() or path.suffix.lower() != ".json":
        return None
    folder = path.absolute().parent
    if folder.name == "annotations":
        folder = folder.parent
    return coco.find(_survey(folder, None), path.name) or tables.table_source(path, reading)


def _survey(path: Path, encoding: str | None) -> Files:
    """Read the names in a folder or archive, once."""
    one_of_several = (idx.NAME, cifar.TEN, cifar.HUNDRED)
    if not path.is_dir() and any(name.fullmatch(path.name) for name in one_of_several):
        raise DataError(
            f"'{path}' is one file of several that belong together. Import the folder or archive "
            f"they are in: imgcli import {quote(str(path.parent))}"
        )
    if path.is_dir():
        entries = partial(folder_entries, path)
    else:
        entries = partial(_members, path, encoding and checked(encoding))
    found = survey(track(entries(), "list files", unit="files"), str(path), LIMITS.files)
    return Files(path, entries, found)


def _members(path: Path, encoding: str | None) -> Iterator[Entry | Rejected]:
    """The members of an archive; of one behind a URI with its ETag."""
    members = archive_entries(path, encoding=encoding)
    etag = etag_of(path)
    if not etag:
        return members
    return (replace(one, etag=etag) if isinstance(one, Entry) else one for one in members)


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
    if inner := classes.shards(files):
        opened = [open_source(files.path.joinpath(*parts), reading) for parts in inner]
        return _together(files.path, opened, "its files")
    classes.refuse_without_photos(files)
    source = _by_tables(files, reading)
    if source is not None:
        return source
    return classes.class_folders(files, reading)


def _by_tables(files: Files, reading: Reading) -> Source | None:
    """The photos of a folder by the tables in it, where its folders are no clear classes.

    Raises:
        WrongUsage: several tables say something about the photos of one folder.
    """
    names = class_names(files.found)
    numbered = are_numbered(names)  # shards, or parts of a download
    if not files.path.is_dir() or (len(names) > 1 and not numbered) or reading.levels.classes_at:
        return None
    sources: dict[Folder, list[Source]] = {}
    fault: Refused | WrongUsage | None = None
    for parts in _tables(files):
        try:
            source = tables.table_source(files.path.joinpath(*parts), reading)
        except (Refused, WrongUsage) as error:  # a table of something else
            fault = error
        else:
            sources.setdefault(parts[:-1], []).append(source)
    if () in sources:  # the tables below are of the same photos
        sources = {(): sources[()]}
    for found in sources.values():
        if len(found) > 1 and len({source.parts for source in found}) < len(found):
            which = " or ".join(f"imgcli import {quote(str(source.path))}" for source in found)
            raise WrongUsage(f"'{files.path}' holds several tables of photos. Name one: {which}")
    if not sources:
        if fault is not None and not names:
            raise fault
        return None
    if all(_says_its_folder(source, parts) for parts, found in sources.items() for source in found):
        return None
    return _together(files.path, [source for found in sources.values() for source in found])


def _says_its_folder(source: Source, folder: Folder) -> bool:
    """Whether a table labels all photos as their folder does, if as a number: 0 in `00000/`."""
    labels = {photo.label for photo in source.photos() if isinstance(photo, LabelledPhoto)}
    return bool(folder) and {_number_in(label) for label in labels} == {_number_in(folder[-1])}


def _number_in(label: str) -> str:
    return str(int(label)) if label.isascii() and label.isdigit() else label


def _tables(files: Files) -> list[Folder]:
    """The tables of a folder, by their steps from it: in itself, or in the folders of photos."""
    return sorted(
        parts
        for suffix in SUFFIXES
        for parts in files.found.others.get(suffix, [])
        if parts[-1] != provenance.NAME and (len(parts) == 1 or files.found.photos[parts[:-1]])
    )


def _together(path: Path, sources: Sequence[Source], what: str = "labels by") -> Source:
    """Several tables or archives as one source."""

    def photos() -> LabelledPhotos:
        return chain.from_iterable(source.photos() for source in sources)

    named = listed([str(source.path.relative_to(path)) for source in sources], 4)
    return Source(
        path,
        sources[0].kind,
        photos,
        sum(source.count for source in sources),
        sum(source.size for source in sources),
        tuple(sorted({part for source in sources for part in source.parts})),
        (f"'{path}': {what} {named}.", *(note for one in sources for note in one.notes)),
    )


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
    others = {"--root": reading.root, "--path-template": reading.path_template}
    others["--join"] = ", ".join(map(str, reading.join)) or None
    for option, value in others.items():
        if source.kind not in TABLES and value is not None:
            raise WrongUsage(
                f"{option} {value} is for tables; '{source.path}' holds {source.kind}. Name the "
                "table to import, or leave the option out."
            )
