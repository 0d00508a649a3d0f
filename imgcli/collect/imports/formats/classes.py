"""Class folders, train/test trees of them, and photos whose own path holds the label.

YOLO's class folders in train/ and val/ are such a tree; its boxes are refused:

    images/train/1.jpg
    labels/train/1.txt      "0 0.48 0.63 0.69 0.71": a class and its box, one line for each
"""

import os
import re
from functools import partial
from shlex import quote

from imgcli.class_folders import ClassFolders
from imgcli.collect.imports import survey
from imgcli.collect.imports.formats.source import Files, Kind, LabelledPhotos, Reading, Source
from imgcli.collect.imports.labelled_photo import Entry
from imgcli.collect.imports.survey import labelled, split_into
from imgcli.errors import DataError, WrongUsage
from imgcli.folder_names import Folder, part_named
from imgcli.records import Rejected
from imgcli.remote.path import RemotePath
from imgcli.text import listed

SHARDS = (".parquet", ".tar", ".tgz", ".gz", ".zip")


def class_folders(files: Files, reading: Reading) -> Source:
    """One folder per class, or such folders in train, test and val.

    Raises:
        DataError: no photos, or photos but no class folders.
        WrongUsage: they can be read in more than one way, or are split without `keep_split`.
    """
    found = survey.class_folders(files.found, str(files.path), reading.levels)
    parts = split_into(found.parts.values())
    if parts and not reading.keep_split:
        raise _split_already(files, found)
    if reading.keep_split:  # a train part beside unlabelled photos is kept too
        parts = tuple(sorted(set(found.parts.values())))

    def photos() -> LabelledPhotos:
        return (labelled(item, found) for item in files.entries())

    kind = Kind.SPLIT_FOLDERS if parts else Kind.CLASS_FOLDERS
    notes = (f"'{files.path}': {found.sign}",) if found.sign else ()
    return Source(files.path, kind, photos, files.found.files, files.found.size, parts, notes)


def _split_already(files: Files, found: ClassFolders) -> WrongUsage:
    folders = ["/".join(folder) for folder in found.parts]
    around = os.path.commonpath(folders)
    where = str(files.path / around)
    command = f"`imgcli train --freeze --data {quote(where)}`"
    use = f"; or give it to the later commands as it is: {command}"
    if isinstance(files.path, RemotePath):
        use = ""  # they read no bucket
    parts = sorted(folder.removeprefix(around).strip("/") for folder in folders)
    if not files.path.is_dir():
        afresh = "To mix the parts, unpack it and import each."
        use = f"; or give it to the later commands as it is: unpacked, {command}"
    elif all(parts) and len(parts) < 6:
        each = " ".join(quote(f"{where}/{part}") for part in parts)
        afresh = f"To mix the parts and split afresh: `imgcli import {each}`."
    else:
        afresh = f"To mix the parts: `imgcli import {quote(str(files.path))} --parts none`."
    return WrongUsage(
        f"'{where}' looks like a dataset that is already split into {', '.join(parts[:6])}. "
        f"To keep that: `imgcli import {quote(str(files.path))} --keep-split`{use}. {afresh}"
    )


def labels_in_paths(files: Files, pattern: str) -> Source:
    """Photos in any folder, with the label found in the path by a regular expression.

    Raises:
        WrongUsage: no regular expression, one without a group, or one that finds no label.
    """
    try:
        regex = re.compile(pattern)
    except re.error as error:
        raise WrongUsage(f"--label-from '{pattern}' is no regular expression: {error}.") from None
    if not regex.groups:
        raise WrongUsage(
            f"--label-from '{pattern}' has no group to take the label from. Put round brackets "
            "about the label, as in '([a-z]+)_'."
        )
    seen: list[str] = []
    parts: set[str] = set()
    matched = 0
    for entry in files.readable():
        if regex.search(entry.path):
            matched += 1
            parts.add(part_named(entry.parts[:-1]))
        elif len(seen) < 3:
            seen.append(entry.path)
    if not matched:
        tried = f" such as {listed(seen)}" if seen else ""
        raise WrongUsage(f"--label-from '{pattern}' matches no path in '{files.path}'{tried}.")

    found, photos = files.found, partial(files.labelled, partial(_found_in_path, regex))
    return Source(files.path, Kind.NAMES, photos, found.files, found.size, split_into(parts))


def _found_in_path(regex: re.Pattern[str], entry: Entry) -> LabelledPhotos:
    if (match := regex.search(entry.path)) is None:
        yield Rejected(entry.origin, "--label-from does not match its path")
        return
    label = match["label" if "label" in regex.groupindex else 1] or ""
    if not label.strip():
        yield Rejected(entry.origin, "--label-from finds an empty label")
        return
    part = part_named(entry.parts[:-1])
    yield entry.labelled(label.strip(), part)


def refuse_without_photos(files: Files) -> None:
    """Refuse a folder of archives or tables without photos, naming those.

    Raises:
        DataError: it does.
    """
    found = files.found
    inner = [
        parts
        for suffix in (*SHARDS, ".csv", ".tsv", ".jsonl")
        for parts in found.others.get(suffix, [])
    ]
    if files.path.is_dir() and inner and not found.photos:
        names = [str(files.path.joinpath(*parts)) for parts in inner]
        raise DataError(
            f"'{files.path}' holds no photos, but {listed(names, 3)}: import these themselves, as "
            f"many as you like in one go: imgcli import {names[0]}"
        )


def shards(files: Files) -> list[Folder]:
    """The archives or Parquet tables of a bucket or hub folder with nothing else in it, sorted.

    That is how data sets are published there; on disk the shell names several with a pattern.

    Raises:
        WrongUsage: they are several datasets: each in a folder of its own, all of one name.
    """
    found = files.found
    kinds = [suffix for suffix in SHARDS if found.others.get(suffix)]
    tables = any(found.others.get(suffix) for suffix in (".csv", ".tsv", ".jsonl"))
    if not isinstance(files.path, RemotePath) or not files.path.is_dir():
        return []
    if found.photos or tables or len(kinds) != 1:
        return []
    parts = sorted(one.parts for one in files.readable() if one.path.lower().endswith(kinds[0]))
    around = sorted({folder[:-1] for folder in parts})
    if len(around) > 1 and not all(part_named(folder) for folder in around):
        named = [str(files.path.joinpath(*folder)) for folder in around]
        each = " or ".join(f"imgcli import {quote(name)}" for name in named[:4])
        raise WrongUsage(
            f"'{files.path}' holds {kinds[0]} files in {len(around)} folders, which may be as many "
            f"datasets: {listed(named, 4)}. Import one of them, or each with an --out of its own: "
            f"{each}"
        )
    return parts


def refuse_boxes(files: Files) -> None:
    """Refuse YOLO's detection datasets: their labels are of boxes, not of photos.

    Raises:
        DataError: it is one.
    """
    texts = {parts[:-1] for parts in files.found.others.get(".txt", [])}
    beside = {
        tuple("images" if name == "labels" else name for name in folder)
        for folder in texts
        if "labels" in folder
    }
    if beside & set(files.found.photos):
        raise DataError(
            f"'{files.path}' is a YOLO detection dataset: its labels are of boxes, and a photo has "
            "no class. Sort the photos into class folders, or cut the boxes out."
        )
