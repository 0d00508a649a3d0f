"""Tables row by row, and the common names of their columns.

CSV and TSV with a first line of names or without; JSON lines; a JSON list of objects, which may be
an export of Label Studio, or an object of photos and their labels; a text file of a path and a
label in each line, of an id and what it has (a path, a label, a name), or of a label alone; with
comments after #.
"""

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any

from imgcli import label_studio
from imgcli.errors import DataError
from imgcli.image_types import is_photo_name
from imgcli.parquet_tables import first_line, is_parquet, open_parquet
from imgcli.reading import open_regular
from imgcli.records import Rejected

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")
LISTS = (".txt", ".lst")  # tables too, where they are named and not just found
SPREADSHEETS = (".xlsx", ".xls", ".ods", ".numbers")
CHUNK = 1 << 20  # characters

# Names of columns and keys; the first that is present is used, so names come before numbers.
LABELS = (
    *("label_name", "class_name", "category_name", "label", "class", "category", "cls", "target"),
    *("species", "genre", "tag", "fine_label", "breed", "diagnosis", "dx", "variety", "disease"),
    *("tags", "labels", "classes", "categories", "label_id", "class_id", "classid"),
)
PATHS = (
    *("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path"),
    *("image_name", "image_file", "img", "img_path", "photo", "picture"),
)
IDS = ("id", "image_id", "img_id", "photo_id", "isic_id", "uuid", "key")  # without folder, suffix
SPLITS = ("split", "subset", "set", "partition", "part", "phase", "fold_type")
FLAGS = {"1": True, "1.0": True, "true": True, "yes": True, "y": True, "t": True,
         "0": False, "0.0": False, "false": False, "no": False, "n": False, "f": False}  # fmt: skip
NUMBER = "number"  # of a list of ids, numbers and names
SEVERAL = ("tags", "labels", "classes", "categories")  # columns with a list of labels in a cell
URLS = ("url", "image_url", "file_url", "photo_url", "link")
MAX_MISSING = 0.9  # share of missing photos above which a table is refused
MAX_LABEL = 200  # characters; more is a description

Row = tuple[int, Mapping[str, Any] | Rejected]  # line number, cells by column


def table_rows(path: Path) -> Iterator[Row]:
    """The rows of a table with their line numbers, one in memory at a time.

    A Parquet table has its rows without the photos in it.

    Raises:
        DataError: not a table.
        Refused: it is of Parquet, and pyarrow is not installed.
    """
    if is_parquet(path):
        yield from _parquet_rows(path)
        return
    encoding = _encoding(path)
    with TextIOWrapper(open_regular(path), encoding, errors="replace", newline="") as file:
        head = file.readline()
        marked = re.fullmatch(r"sep=(.)\s*", head.lstrip("\ufeff"))  # Excel's own first line
        if marked:
            start = file.tell()
            head = file.readline()
            file.seek(start)
        else:
            file.seek(0)
        suffix = path.suffix.lower()
        if suffix == ".json":
            yield from _json_table(path, file)
            return
        if suffix in (".jsonl", ".ndjson") or head.lstrip().startswith("{"):
            yield from _json_rows(path, file)
            return
        if suffix in LISTS and (columns := _columns_of_list(_first_line(file))):
            file.seek(0)
            yield from _listed_rows(path, file, columns)
            return
        file.seek(0 if not marked else start)
        delimiter = marked[1] if marked else max("\t,;|", key=head.count)
        table = csv.DictReader(file, _numbers(head, delimiter), delimiter=delimiter)
        try:
            for cells in table:
                if any(cells.values()):  # Excel ends tables with rows of separators
                    number = table.line_num + bool(marked)
                    yield number, {str(name).strip(): cell for name, cell in cells.items()}
        except csv.Error as error:
            raise DataError(f"'{path}' is no table that can be read ({error}).") from None


def _parquet_rows(path: Path) -> Iterator[Row]:
    table = open_parquet(path)
    columns = [name for name in table.schema.names if name != table.image]
    if table.names_photos:
        columns.append(f"{table.image}.path")
    try:
        for number, cells in enumerate(table.rows(columns), 1):
            if isinstance(photo := cells.get(table.image or ""), dict):
                cells[str(table.image)] = photo["path"]
            yield number, cells
    except (OSError, ValueError) as error:
        raise DataError(f"'{path}' is damaged ({first_line(error)}).") from None


def _numbers(head: str, delimiter: str) -> list[str] | None:
    """Names for the columns of a table whose first line is a photo's already; None for others."""
    cells = next(csv.reader([head], delimiter=delimiter), [])
    if any(map(_is_photo, cells)):
        return [str(n) for n in range(1, len(cells) + 1)]
    return None


def _is_photo(cell: str) -> bool:
    """Whether a cell is a photo's path by its suffix, and no web address."""
    return is_photo_name(cell.strip()) and "://" not in cell


def _first_line(file: IO[str]) -> str:
    """The first line of a list that is no comment."""
    return next((line for line in file if line.strip() and not line.startswith("#")), "")


def _columns_of_list(head: str) -> tuple[str, ...] | None:
    """What the columns of a list are, by its first line; None if it is no list.

    A path and a label; or an id and a path, an id and a label, an id, a number and a name, as of
    lists to be joined; or a label alone.
    """
    words = head.split()
    if len(words) < 2:
        alone = len(words) == 1 and not re.search(r"[,;|]", head) and not _is_photo(words[0])
        return ("label",) if alone else None
    if _is_photo(head.strip().rsplit(None, 1)[0]):
        return "path", "label"
    first, rest = head.strip().split(None, 1)
    if re.fullmatch(r"n?\d+", first):  # n01440764 of WordNet
        if len(words) == 3 and words[1].isdigit() and not words[2].isdigit():
            return "id", NUMBER, "label"
        return "id", "path" if _is_photo(rest) else "label"
    if not re.search(r"[\t,;|]", head):  # numbered, as of a table without names
        return tuple(str(n) for n in range(1, len(words) + 1))
    return None


def _listed_rows(path: Path, file: IO[str], columns: tuple[str, ...]) -> Iterator[Row]:
    """The lines of a list; the path in it may have blanks."""
    last = len(columns) - 1
    for number, line in enumerate(file, 1):
        if line.startswith("#"):
            continue
        steps = line.rsplit(None, last) if columns[0] == "path" else line.split(None, last)
        if len(steps) == len(columns):
            yield number, dict(zip(columns, (step.strip() for step in steps), strict=True))
        elif steps:
            yield number, Rejected(f"{path}:{number}", f"not {' and '.join(columns)}")


def _json_table(path: Path, file: IO[str]) -> Iterator[Row]:
    """The objects of a JSON list; or an object of photos and their labels, pair by pair.

    Raises:
        DataError: it is neither.
    """
    try:
        document = json.load(file)
    except (ValueError, RecursionError) as error:
        raise DataError(f"'{path}' is no table that can be read ({error}).") from None
    if isinstance(document, dict) and not any(
        isinstance(value, dict | list) for value in document.values()
    ):
        document = [{"path": name, "label": label} for name, label in document.items()]
    if not isinstance(document, list):
        raise DataError(
            f"'{path}' is no file of COCO annotations, and no table: a list of objects, or an "
            "object of photos and their labels."
        )
    for number, cells in enumerate(document, 1):
        if isinstance(cells, dict) and label_studio.is_export(cells):
            cells = label_studio.row(cells)
        reason = cells if isinstance(cells, str) else "not an object"
        yield number, cells if isinstance(cells, dict) else Rejected(f"{path}[{number}]", reason)


def _encoding(path: Path) -> str:
    """The encoding of a table: Unicode, or else Windows' Western European."""
    with open_regular(path) as raw:
        if raw.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            return "utf-16"  # as Excel's "Unicode text"
    try:
        with TextIOWrapper(open_regular(path), "utf-8") as file:
            while file.read(CHUNK):
                pass
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _json_rows(path: Path, file: IO[str]) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            cells = json.loads(line)
        except (ValueError, RecursionError):
            cells = None
        fault = Rejected(f"{path}:{number}", "not one JSON object in a line")
        yield number, cells if isinstance(cells, dict) else fault


# --- columns and labels -------------------------------------------------------------------------


def column(names: Sequence[str], known: Sequence[str]) -> str | None:
    """The first of the `known` names that is among `names`, ignoring case."""
    lower = {name.strip().lower(): name for name in reversed(names)}
    return next((lower[name] for name in known if name in lower), None)


def label_text(value: Any) -> str:
    """A label as text.

    Raises:
        ValueError: there is none, or it is no single label; the message is the reason.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column with gaps makes 3 into 3.0
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise ValueError("it has no label")
    if not isinstance(value, str | int | float):
        raise ValueError(f"its label is a {type(value).__name__}, not a word or a number")
    text = str(value).strip()
    if not text:
        raise ValueError("its label is empty")
    if len(text) > MAX_LABEL:
        raise ValueError(f"its label has {len(text):,} characters; {MAX_LABEL} are possible")
    return text
