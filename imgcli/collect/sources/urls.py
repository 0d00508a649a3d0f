"""Tables of URLs and labels: CSV, TSV or JSON lines, with whatever else they know of a photo.

    url,label,license,creator
    https://example.org/1.jpg,owl,by-sa 4.0,Jane Doe

`url` and `label` are needed. license, license_version, license_url, title, creator, creator_url,
landing_url and attribution are used where they are there; other columns are not.
"""

import csv
import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from imgcli.collect.licences import licence
from imgcli.collect.offer import Offer, Page, Search
from imgcli.collect.sources.answers import text
from imgcli.errors import DataError
from imgcli.records import Rejected
from imgcli.wording import listed

PAGE_SIZE = 500  # rows

Row = Mapping[str, object]


class Urls:
    """The rows of tables, by label; nothing is asked for them."""

    name = "urls"

    def __init__(self, tables: Sequence[Path]) -> None:
        self.rejected: list[Rejected] = []  # rows that name no photo, or no class
        self._rows: defaultdict[Search, list[Offer]] = defaultdict(list)
        for table in tables:
            self._read(table)

    @property
    def searches(self) -> list[Search]:
        """One per label and table."""
        return list(self._rows)

    def counts(self) -> dict[str, int]:
        """Photos per label."""
        found: dict[str, int] = {}
        for search, rows in self._rows.items():
            found[search.label] = found.get(search.label, 0) + len({row.file_url for row in rows})
        return found

    def address(self, search: Search, cursor: str) -> str | None:
        return None

    def page(self, search: Search, cursor: str) -> Page:
        start = int(cursor or 0)
        end = start + PAGE_SIZE
        rows = self._rows[search]
        return Page(tuple(rows[start:end]), str(end) if end < len(rows) else None)

    def _read(self, table: Path) -> None:
        try:
            data = table.read_bytes()
            rows = list(_rows(table, data.decode("utf-8-sig")))
        except FileNotFoundError:
            raise DataError(f"There is no '{table}'. Name a table of url and label.") from None
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"'{table}' cannot be read ({error}). Save it as UTF-8.") from None
        if not any(row.get("url") and row.get("label") for _, row in rows):
            raise DataError(
                f"'{table}' holds no row with url and label, which is what each photo needs."
            )
        # A table that was changed is another search, so that its new rows are found.
        query = f"{table.name}@{hashlib.sha256(data).hexdigest()[:8]}"
        for number, row in rows:
            url, label = text(row.get("url")), text(row.get("label"))
            if url is None or label is None:
                missing = "url" if url is None else "label"
                self.rejected.append(Rejected(f"{table}, row {number}", f"has no {missing}"))
                continue
            self._rows[Search(label, query)].append(_offer(url, row))


def _rows(table: Path, content: str) -> Iterator[tuple[int, Row]]:
    """The rows with their numbers, by lower-case column."""
    if table.suffix.lower() in (".jsonl", ".ndjson") or content.lstrip()[:1] == "{":
        yield from _json_rows(table, content)
        return
    first = content.partition("\n")[0]
    tabs = table.suffix.lower() in (".tsv", ".tab") or first.count("\t") > first.count(",")
    reader = csv.DictReader(io.StringIO(content, newline=""), delimiter="\t" if tabs else ",")
    columns = [name.strip().lower() for name in reader.fieldnames or ("",)]
    _need_columns(table, columns)
    reader.fieldnames = columns
    yield from enumerate(reader, start=2)  # the header is row 1


def _json_rows(table: Path, content: str) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"'{table}', line {number}, is no JSON ({error}). Mend it.") from None
        if not isinstance(row, dict):
            raise DataError(f"'{table}', line {number}, is no JSON object. Mend it.")
        yield number, {name.strip().lower(): value for name, value in row.items()}


def _need_columns(table: Path, columns: Iterable[str]) -> None:
    found = list(columns)
    missing = [name for name in ("url", "label") if name not in found]
    if missing:
        raise DataError(
            f"'{table}' has no column {listed(missing)}; its columns are {listed(found)}. "
            "Name them url and label in its first line."
        )


def _offer(url: str, row: Row) -> Offer:
    return Offer(
        source_id=url,
        file_url=url,
        landing_url=text(row.get("landing_url")),
        title=text(row.get("title")),
        creator=text(row.get("creator")),
        creator_url=text(row.get("creator_url")),
        licence=licence(
            text(row.get("license")), text(row.get("license_version")), text(row.get("license_url"))
        ),
        attribution=text(row.get("attribution")),
    )
