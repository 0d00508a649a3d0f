"""Tables as sources: a photo's path and its label in each row of a CSV, TSV or JSON lines file.

    path,label              {"file_name": "1.jpg", "class": "crab"}
    photos/1.jpg,crab       {"file_name": "2.jpg", "class": "lobster"}

Paths are relative to the table or absolute. Columns are found by their common names, see
`imports.tables`.
"""

import os
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from imgcli.collect.imports.folders import open_file
from imgcli.collect.imports.formats.source import Kind, LabelledPhotos, Reading, Source
from imgcli.collect.imports.labelled_photo import LIMITS, LabelledPhoto, read_photo
from imgcli.collect.imports.tables import (
    LABELS,
    PATHS,
    SUFFIXES,
    URLS,
    column,
    label_text,
    table_rows,
)
from imgcli.errors import DataError, WrongUsage
from imgcli.records import Rejected
from imgcli.text import listed


def table_source(path: Path, reading: Reading) -> Source:
    """The photos that a table names.

    Raises:
        DataError: an empty or damaged table, one without the columns, or one of web addresses.
    """
    rows = partial(table_rows, path)
    first = next((cells for _, cells in rows() if not isinstance(cells, Rejected)), None)
    if first is None:
        raise DataError(f"'{path}' has no rows. Expected are columns such as path and label.")
    paths, labels = find_columns(path, list(first), reading)

    def photos() -> LabelledPhotos:
        for number, cells in rows():
            where = f"{path}:{number}"
            if isinstance(cells, Rejected):
                yield cells
            else:
                yield photo_of(
                    path, where, cells.get(paths), partial(label_text, cells.get(labels))
                )

    files, size = _count(path, photos())
    return Source(path, Kind.TABLE, photos, files, size)


def find_columns(
    table: Path, names: list[str], reading: Reading, paths: str | None = None
) -> tuple[str, str]:
    """The columns of a table that hold photos' paths and their labels.

    Args:
        paths: the column of photos, if the table itself states it.

    Raises:
        WrongUsage: a named column is missing.
        DataError: there is none of a common name; the message lists the columns.
    """
    have = f"it has {listed(names, 12)}" if names else "it has none"
    options = {"--path-column": reading.path_column, "--label-column": reading.label_column}
    for option, name in options.items():
        if name is not None and name not in names:
            raise WrongUsage(f"{option} '{name}' is no column of '{table}': {have}.")
    paths = reading.path_column or paths or column(names, PATHS)
    labels = reading.label_column or column(names, LABELS)
    if paths is None and column(names, URLS) is not None:
        raise _web_address(table)
    if paths is None or labels is None:
        what = "photos' paths (--path-column)" if paths is None else "labels (--label-column)"
        raise DataError(
            f"'{table}' has no column that looks like {what}: {have}. Name the column, or give the "
            "table a first line such as: path,label"
        )
    return paths, labels


def photo_of(
    table: Path, where: str, named: Any, label: Callable[[], str]
) -> LabelledPhoto | Rejected:
    """The photo in a row, by its path.

    Raises:
        DataError: it is a web address.
    """
    if not isinstance(named, str) or not named.strip() or "\0" in named:
        return Rejected(where, "names no photo")
    named = named.strip()
    if re.match(r"[a-z][a-z0-9+.-]+://", named, re.IGNORECASE):
        raise _web_address(table)
    file = os.path.join(table.parent, named)
    if "\\" in named and not os.path.exists(file):
        file = os.path.join(table.parent, named.replace("\\", "/"))  # a table made on Windows
    try:
        return LabelledPhoto(label(), os.path.basename(file), file, partial(_read, file))
    except ValueError as reason:
        return Rejected(f"{where} ({named})", str(reason))


def refuse_long(table: Path, rows: int) -> None:
    """Refuse a table of more rows than one source may have photos."""
    if rows > LIMITS.files:
        raise DataError(f"'{table}' has more than {LIMITS.files:,} rows. Cut it in several.")


def _read(file: str) -> bytes:
    with open_file(file) as opened:
        return read_photo(opened)


def _web_address(table: Path) -> DataError:
    text = table if table.suffix.lower() in SUFFIXES else table.with_suffix(".csv")
    return DataError(
        f"'{table}' names web addresses, and import touches no network. "
        f"{'Fetch them' if text == table else 'Save it as CSV, and fetch them'} with: "
        f"imgcli scrape urls {text}"
    )


def _count(path: Path, photos: Iterable[LabelledPhoto | Rejected]) -> tuple[int, int]:
    """How many rows there are, and how many bytes their photos have."""
    files = size = 0
    for item in photos:
        files += 1
        refuse_long(path, files)
        if isinstance(item, LabelledPhoto):
            try:
                size += os.stat(item.origin).st_size
            except OSError:  # it is listed when its turn comes
                continue
    return files, size
