"""Tables as sources: a photo and its label in each row of a CSV, TSV or JSON lines file.

    path,label              {"file_name": "1.jpg", "class": "crab"}
    photos/1.jpg,crab       {"file_name": "2.jpg", "class": "lobster"}

    id,breed                image,MEL,NV,BCC            file,label,split
    3f0b,boxer              ISIC_01.jpg,0.0,1.0,0.0     1.jpg,crab,test

Columns are found by their common names, and by what is in their cells: ids are photos' names
without folder and suffix, columns of 0 and 1 are a class each. `imgcli.photo_files` finds the
photos that the cells mean.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import Any

from imgcli.collect.imports.folders import open_file, remote_entry
from imgcli.collect.imports.formats.joined_tables import (
    in_order_sentence,
    joined,
    rows_in_order,
)
from imgcli.collect.imports.formats.source import Kind, LabelledPhotos, Reading, Source
from imgcli.collect.imports.labelled_photo import LIMITS, LabelledPhoto, read_photo
from imgcli.collect.imports.survey import split_into
from imgcli.errors import DataError, WrongUsage
from imgcli.folder_names import AS_FOUND, PARTS, is_system_file, part_named
from imgcli.photo_files import PhotoFiles, photo_column
from imgcli.progress import track
from imgcli.records import Rejected
from imgcli.remote.objects import list_uris
from imgcli.remote.path import RemotePath
from imgcli.remote.storage import BUCKETS, RemoteObject
from imgcli.remote.uris import is_uri, shown, split_uri
from imgcli.tables import (
    FLAGS,
    IDS,
    LABELS,
    MAX_MISSING,
    SEVERAL,
    SPLITS,
    SUFFIXES,
    URLS,
    Row,
    column,
    label_text,
    table_rows,
)
from imgcli.text import count, listed, percent

SAMPLE = 200  # rows that tell what a column holds
_OTHER_PART = {"train": "test", "val": "train", "test": "train"}
_FLAGS = {"0": False, "0.0": False, "": False, "1": True, "1.0": True}


@dataclass(frozen=True)
class Columns:
    """The columns of a table that tell a photo, its label and its part."""

    photo: str
    label: str | None  # None where there is a column per class
    one_hot: tuple[str, ...] = ()  # those
    part: str | None = None
    part_of_all: str = ""  # by the name of the table or of its folder
    flag: str | None = None  # what 1 means in the column of parts, if that is a flag: "train"

    def label_of(self, cells: Mapping[str, Any], multi: str) -> str:
        """The class of a row.

        Raises:
            ValueError: it has none, or several; the message is the reason.
        """
        if self.label is not None:
            found = labels_in(cells.get(self.label), self.label)
        else:
            found = [name for name in self.one_hot if _flag(cells.get(name))]
            if not found:
                raise ValueError("none of its classes is 1")
        if len(found) > 1 and multi != "first":
            raise ValueError(f"it has several labels, {listed(found, 3)}; see --multi")
        return label_text(found[0])

    def part_of(self, cells: Mapping[str, Any]) -> str:
        """The part of a row; "" for none."""
        if self.part is None:
            return self.part_of_all
        if self.flag is not None:
            flag = FLAGS.get(str(cells.get(self.part)).strip().lower())
            return "" if flag is None else self.flag if flag else _OTHER_PART[self.flag]
        return AS_FOUND.likely_part(str(cells.get(self.part) or "")) or ""


def table_source(path: Path, reading: Reading) -> Source:
    """The photos that a table names.

    Raises:
        DataError: an empty or damaged table, one without the columns, one of web addresses, or
            one nearly all of whose photos are missing.
        WrongUsage: an option names a column or a table that is not there.
    """
    files = files_of(path, reading)
    rows, said = _rows(path, reading, files)
    sample = [cells for _, cells in islice(rows(), SAMPLE) if not isinstance(cells, Rejected)]
    if not sample:
        raise DataError(f"'{path}' has no rows. Expected are columns such as path and label.")
    columns = find_columns(path, sample, reading, files)

    def photos() -> LabelledPhotos:
        for number, cells in rows():
            if isinstance(cells, Rejected):
                yield cells
            else:
                yield photo_of(path, f"{path}:{number}", cells, columns, reading, files)

    n, size, parts = _count(path, photos())
    if not columns.label:
        said.append(f"'{path}': a class per column, {_named(columns.one_hot)}.")
    return Source(path, Kind.TABLE, photos, n, size, parts, tuple(said))


def files_of(path: Path, reading: Reading) -> PhotoFiles:
    """The photos that a table may mean; of a bucket by one listing."""
    root = reading.root or path.parent
    if not isinstance(root, RemotePath):
        return PhotoFiles(root, reading.path_template)
    top = len(root.uri.rstrip("/")) + 1
    listed = track(list_uris(root.uri), "list files", unit="files")
    names = {one.uri[top:]: one for one in listed if not is_system_file(one.name)}
    return PhotoFiles(root, reading.path_template, names)


def _rows(
    path: Path, reading: Reading, files: PhotoFiles
) -> tuple[Callable[[], Iterable[Row]], list[str]]:
    """The rows of a table, with those of others if they are asked for, and what is to be said."""
    first = list(islice(table_rows(path), 1))
    alone = all(not isinstance(cells, Rejected) and len(cells) == 1 for _, cells in first)
    in_order = rows_in_order(path, files) if first and alone else None
    if in_order is None and not reading.join:
        return partial(table_rows, path), []
    said = [] if in_order is None else [in_order_sentence(path, in_order)]
    if not reading.join:
        return lambda: in_order or [], said
    whole = joined(
        path,
        list(table_rows(path)) if in_order is None else in_order,
        reading.join,
        reading.label_column,
    )
    return lambda: whole.rows, [*said, *whole.notes]


def find_columns(
    table: Path,
    sample: Sequence[Mapping[str, Any]],
    reading: Reading,
    files: PhotoFiles,
    photo: str | None = None,
) -> Columns:
    """The columns that hold the photos, their labels and their parts.

    Args:
        sample: the first rows.
        photo: the column of photos, if the table itself states it.

    Raises:
        WrongUsage: a named column is missing.
        DataError: there is none of a common name or content; the message lists the columns.
    """
    names = [name for name in sample[0] if name not in ("", "None")]
    have = f"it has {listed(names, 12)}" if names else "it has none"
    options = {"--path-column": reading.path_column, "--label-column": reading.label_column}
    for option, name in options.items():
        if name is not None and name not in names:
            raise WrongUsage(f"{option} '{name}' is no column of '{table}': {have}.")
    photo = reading.path_column or photo or photo_column(names, sample, files)
    if photo is None and column(names, URLS) is not None:
        raise _web_address(table)
    part = column(names, SPLITS)
    if part is not None and not _are_parts(part, sample):
        part = None
    label = reading.label_column or column([name for name in names if name != part], LABELS)
    flag = None  # beside a column of labels: one-hot, a train is a class
    if part is None and label is not None and (part := _flag_of_parts(names, sample)):
        flag = _part_of_flag(part)
    one_hot: tuple[str, ...] = ()
    others = [name for name in names if name not in (photo, part)]
    if label is None and photo is not None:
        one_hot = tuple(name for name in others if _are_flags(name, sample))
        if len(one_hot) < 2:
            one_hot = ()
            sure = column(names, IDS) == photo or names[0] == "1"
            label = others[0] if len(others) == 1 and sure else None
    if photo is None or (label is None and not one_hot):
        what = "photos' paths (--path-column)" if photo is None else "labels (--label-column)"
        raise DataError(
            f"'{table}' has no column that looks like {what}: {have}. Name the column, or give the "
            "table a first line such as: path,label"
        )
    return Columns(photo, label, one_hot, part, "" if part else _part_of(table), flag)


def photo_of(
    table: Path,
    where: str,
    cells: Mapping[str, Any],
    columns: Columns,
    reading: Reading,
    files: PhotoFiles,
) -> LabelledPhoto | Rejected:
    """The photo in a row, by its path.

    Raises:
        DataError: it is a web address.
    """
    named = cells.get(columns.photo)
    if isinstance(named, int) and not isinstance(named, bool):
        named = str(named)  # an id
    if not isinstance(named, str) or not named.strip() or "\0" in named:
        return Rejected(where, "names no photo")
    named = named.strip()
    exact = is_uri(named)  # and no other machine's path, which may be found by its end
    if exact:
        named = _below(files.root, named, table)
    try:
        label = columns.label_of(cells, reading.multi)
        file = os.path.join(files.root, named) if exact else files.find(named, cells)
    except ValueError as reason:
        return Rejected(f"{where} ({named})", str(reason))
    name, part = os.path.basename(file), columns.part_of(cells)
    one = _object_at(file, files)
    if one is not None:
        return remote_entry((name,), file, one).labelled(label, part)
    return LabelledPhoto(label, name, file, partial(_read, file), part)


def _below(root: Path, uri: str, table: Path) -> str:
    """The path below the root that a row's URI means.

    Raises:
        DataError: it is of the web, or not below the root.
    """
    around = f"{root}/"
    if isinstance(root, RemotePath) and uri.startswith(around):
        return uri[len(around) :]
    if split_uri(uri)[0] not in BUCKETS:
        raise _web_address(table)
    raise DataError(
        f"'{table}' names photos in a bucket, such as '{shown(uri)}'. Say what is above all of "
        f"them: --root {quote(shown(uri).rpartition('/')[0])}"
    )


def _object_at(file: str, files: PhotoFiles) -> RemoteObject | None:
    """The object that a photo of a bucket is; None on disk, or if it is not there."""
    if not isinstance(files.names, Mapping):
        return None
    found = files.names.get(file[len(str(files.root)) + 1 :])
    return found if isinstance(found, RemoteObject) else None


def labels_in(value: Any, name: str) -> list[Any]:
    """The labels in a cell: several where they are a list, or are separated as one."""
    if isinstance(value, list) and len(value) == 1:
        return value
    if isinstance(value, str):
        marks = r"[|;]" if name.lower() not in SEVERAL else r"[|;,\s]"
        several = [text.strip() for text in re.split(marks, value) if text.strip()]
        if len(several) > 1:
            return several
    return [value]


def refuse_long(table: Path, rows: int) -> None:
    """Refuse a table of more rows than one source may have photos."""
    if rows > LIMITS.files:
        raise DataError(f"'{table}' has more than {LIMITS.files:,} rows. Cut it in several.")


# --- what a column holds ------------------------------------------------------------------------


def _are_parts(name: str, sample: Sequence[Mapping[str, Any]]) -> bool:
    return all(AS_FOUND.likely_part(str(cells.get(name) or "train")) for cells in sample)


def _flag_of_parts(names: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> str | None:
    """A column such as is_train, whose cells are yes or no."""
    for name in names:
        texts = {str(cells.get(name)).strip().lower() for cells in sample}
        if _part_of_flag(name) and texts <= FLAGS.keys():
            return name
    return None


def _part_of_flag(column_name: str) -> str:
    """The part that a column's name says, as is_train, isTraining and test do; else ""."""
    name = column_name.strip().lower()
    rest = name.removeprefix("is").strip("_- ")
    return part_named((rest,)) if name.startswith("is") or AS_FOUND.part_of(rest) else ""


def _are_flags(name: str, sample: Sequence[Mapping[str, Any]]) -> bool:
    try:
        return {_flag(cells.get(name)) for cells in sample} <= {True, False}
    except ValueError:
        return False


def _flag(value: Any) -> bool:
    """Whether a cell of a class's column is 1.

    Raises:
        ValueError: it is neither 0 nor 1.
    """
    text = str("" if value is None else value).strip()
    if text not in _FLAGS:
        raise ValueError(f"'{text}' is neither 0 nor 1")
    return _FLAGS[text]


def _part_of(table: Path) -> str:
    """The part that a table's name says, as of Hugging Face's shards, or else its folder's."""
    return part_named((table.stem,)) or (AS_FOUND.part_of(table.absolute().parent.name) or "")


def _named(classes: Sequence[str]) -> str:
    return listed(classes, 4)


def _read(file: str) -> bytes:
    with open_file(file) as opened:
        return read_photo(opened)


def _web_address(table: Path) -> DataError:
    text = table if table.suffix.lower() in SUFFIXES else table.with_suffix(".csv")
    return DataError(
        f"'{table}' names web addresses, and import touches no network. "
        f"{'Fetch them' if text == table else 'Save it as CSV, and fetch them'} with: "
        f"imgcli scrape urls {quote(str(text))}"
    )


def _count(path: Path, photos: LabelledPhotos) -> tuple[int, int, tuple[str, ...]]:
    """How many rows there are, how many bytes their photos have, and their parts.

    Raises:
        DataError: nearly all photos are missing.
    """
    rows = size = 0
    missing: list[str] = []
    parts: set[str] = set()
    for item in photos:
        rows += 1
        refuse_long(path, rows)
        if not isinstance(item, LabelledPhoto):
            continue
        try:
            size += item.ahead or os.stat(item.origin).st_size
        except OSError:  # it is listed when its turn comes
            missing.append(item.origin)
        else:
            parts.add(item.part)
    if missing and len(missing) > MAX_MISSING * rows:
        raise DataError(
            f"Of the {count(rows, 'row')} of '{path}', {percent(len(missing) / rows)} name photos "
            f"that are not there, such as '{missing[0]}'. Say where they are: --root FOLDER, or "
            "--path-template '{id}.jpg'"
        )
    if parts == {""}:
        return rows, size, ()
    return rows, size, split_into(parts) or tuple(part for part in PARTS if part in parts)
