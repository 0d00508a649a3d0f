"""Tables of URLs and labels: CSV, TSV or JSON lines, with further fields of a photo.

    url,label,license,creator
    https://example.org/1.jpg,owl,by-sa 4.0,Jane Doe

A url and a label are needed, in columns of these or common names, see `imgcli.tables`. license,
license_version, license_url, title, creator, creator_url, landing_url and attribution are used if
present; other columns are not.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from imgcli.collect.scrape.licences import licence
from imgcli.collect.scrape.providers.api import text
from imgcli.collect.scrape.search_result import Page, Search, SearchResult
from imgcli.errors import DataError
from imgcli.reading import digest_of
from imgcli.records import Rejected
from imgcli.tables import LABELS, PATHS, URLS, column, table_rows
from imgcli.text import listed

PAGE_SIZE = 500  # rows
URL = (*URLS, *PATHS)
LABEL = ("label", *LABELS)

Row = Mapping[str, object]


class Urls:
    """The rows of tables, by label; nothing is requested for them."""

    name = "urls"

    def __init__(self, tables: Sequence[Path]) -> None:
        self.rejected: list[Rejected] = []  # rows that name no photo, or no class
        self._rows: defaultdict[Search, list[SearchResult]] = defaultdict(list)
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
            digest = digest_of(table)
        except FileNotFoundError:
            raise DataError(f"There is no '{table}'. Name a table of url and label.") from None
        # A table that was changed is another search, so that its new rows are found.
        query = f"{table.name}@{digest[:8]}"
        columns: list[str] = []
        rows = 0
        for number, cells in table_rows(table):
            if isinstance(cells, Rejected):
                self.rejected.append(cells)
                continue
            columns = columns or list(cells)
            url, label = _cell(cells, URL), _cell(cells, LABEL)
            if url is None or label is None:
                missing = "url" if url is None else "label"
                self.rejected.append(Rejected(f"{table}:{number}", f"has no {missing}"))
                continue
            rows += 1
            self._rows[Search(label, query)].append(_result(url, cells))
        if not rows:
            raise _useless(table, columns)


def _useless(table: Path, columns: Sequence[str]) -> DataError:
    have = f"its columns are {listed(columns, 12)}" if columns else "it has no rows"
    return DataError(
        f"'{table}' holds no row with url and label, which is what each photo needs: {have}. "
        "Name them url and label in its first line."
    )


def _cell(cells: Row, names: Sequence[str]) -> str | None:
    """What a row holds in the first of these columns."""
    name = column(list(cells), names)
    return None if name is None else text(cells[name])


def _result(url: str, cells: Row) -> SearchResult:
    row = {name.lower(): text(value) for name, value in cells.items()}
    return SearchResult(
        source_id=url,
        file_url=url,
        landing_url=row.get("landing_url"),
        title=row.get("title"),
        creator=row.get("creator"),
        creator_url=row.get("creator_url"),
        licence=licence(row.get("license"), row.get("license_version"), row.get("license_url")),
        attribution=row.get("attribution"),
    )
