"""Tables of text row by row: CSV and TSV, whatever separates and encodes them, and JSON lines."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from imgcli.errors import DataError
from imgcli.reading import only_regular, open_regular
from imgcli.records import Rejected

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")
CHUNK = 1 << 20  # characters

Row = tuple[int, Mapping[str, Any] | Rejected]  # line number, cells by column


def table_rows(path: Path) -> Iterator[Row]:
    """The rows of a table with their line numbers, one in memory at a time.

    Raises:
        DataError: no table.
    """
    encoding = _encoding(path)
    with open(path, encoding=encoding, errors="replace", newline="", opener=only_regular) as file:
        head = file.readline()
        file.seek(0)
        if path.suffix.lower() in (".jsonl", ".ndjson") or head.lstrip().startswith("{"):
            yield from _json_rows(path, file)
            return
        table = csv.DictReader(file, delimiter=max("\t,;|", key=head.count))
        try:
            for cells in table:
                yield table.line_num, {str(name).strip(): cell for name, cell in cells.items()}
        except csv.Error as error:
            raise DataError(f"'{path}' is no table that can be read ({error}).") from None


def _encoding(path: Path) -> str:
    """What a table is written in; what is no Unicode is taken for Windows' Western European."""
    with open_regular(path) as raw:
        if raw.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            return "utf-16"  # as Excel's "Unicode text"
    try:
        with open(path, encoding="utf-8", opener=only_regular) as file:
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
