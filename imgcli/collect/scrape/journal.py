"""The journal of a scrape: its searches, what they found, and the state of each item.

A SQLite database in WAL mode beside the photos, `.scrape.sqlite`. A search has the cursor of its
next page; an item, which is one search result for one class, has a state:

    seen ──► asked ──► decoded ──► placed      with the SHA-256 received and the one placed
               │          ├──────► duplicate   its class has these bytes from another URL
               │          └──────► rejected    with the reason; never tried again
               └─────────────────► deferred    with the reason; tried again by the next run

The results of a page and the cursor of the next one are stored in one transaction, the state
`asked` before the request, the digests before the photo is placed: so a killed run is resumed where
it was. Answers received by then are in the `spool`, or placed already, and are not requested again;
an item that is `asked` and in neither was cut off.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from imgcli.collect.scrape.database import in_sentences, open_database, transaction
from imgcli.collect.scrape.search_result import Page, Search, SearchResult
from imgcli.documents import as_type

NAME = ".scrape.sqlite"
State = Literal["seen", "asked", "decoded", "placed", "duplicate", "rejected", "deferred"]
OPEN: tuple[State, ...] = ("seen", "asked", "deferred")  # still to be fetched

_TABLES = """
CREATE TABLE IF NOT EXISTS searches (
    source TEXT, label TEXT, query TEXT,
    cursor TEXT NOT NULL,       -- of the next page
    ended TEXT,                 -- when there was no next page
    PRIMARY KEY (source, label, query)
);
CREATE TABLE IF NOT EXISTS items (
    id INTEGER PRIMARY KEY,     -- in the order of being seen
    source TEXT, source_id TEXT, label TEXT, query TEXT,
    url TEXT, offer TEXT,
    state TEXT NOT NULL DEFAULT 'seen', reason TEXT NOT NULL DEFAULT '',
    received TEXT, sha256 TEXT, line TEXT, path TEXT,
    UNIQUE (source, source_id, label)
);
CREATE INDEX IF NOT EXISTS items_url ON items (url);
CREATE INDEX IF NOT EXISTS items_received ON items (received);
"""
_ITEM = "id, source, label, query, offer, state, reason, received, sha256, line, path"


@dataclass(frozen=True)
class Item:
    """One search result for one class, and its state."""

    id: int
    source: str
    search: Search
    result: SearchResult
    state: State = "seen"
    reason: str = ""
    received: str | None = None  # SHA-256 of the bytes received
    sha256: str | None = None  # of those placed, which differ if the photo was made smaller
    line: str | None = None  # of provenance.jsonl, as far as the scrape knows it; JSON
    path: str | None = None  # of the placed photo, below the output folder

    @property
    def provenance(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.line or "{}")
        return found


@contextmanager
def open_journal(folder: Path) -> Iterator["Journal"]:
    """Open the journal of `folder`; it is made if there is none.

    Raises:
        StorageError: it is damaged, or cannot be written.
    """
    without = "the photos stay, and those that come again are skipped"
    with (
        in_sentences(folder / NAME, "what was fetched", without),
        open_database(folder / NAME, _TABLES) as database,
    ):
        yield Journal(database)


class Journal:
    """Searches and items; every change is stored when its method returns."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    # --- searches -------------------------------------------------------------------------------

    def cursor(self, source: str, search: Search) -> tuple[str, str | None]:
        """The cursor of the next page, and when the search was exhausted, if it was."""
        found = self._database.execute(
            "SELECT cursor, ended FROM searches WHERE source = ? AND label = ? AND query = ?",
            (source, search.label, search.query),
        ).fetchone()
        return found or ("", None)

    def add_page(self, source: str, search: Search, page: Page) -> list[Item]:
        """Store a page and the cursor of the next one; returns its new items."""
        ended = None if page.cursor is not None else datetime.now(UTC).isoformat()
        with transaction(self._database):
            new = [item for result in page.results if (item := self._add(source, search, result))]
            self._database.execute(
                "INSERT OR REPLACE INTO searches VALUES (?, ?, ?, ?, ?)",
                (source, search.label, search.query, page.cursor or "", ended),
            )
        return new

    def _add(self, source: str, search: Search, result: SearchResult) -> Item | None:
        added = self._database.execute(
            "INSERT OR IGNORE INTO items (source, source_id, label, query, url, offer) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                *(source, result.source_id, search.label, search.query),
                *(result.file_url, json.dumps(asdict(result))),
            ),
        )
        if not added.rowcount:
            return None
        return Item(int(added.lastrowid or 0), source, search, result)

    # --- items ----------------------------------------------------------------------------------

    def store(self, item: Item, state: State, reason: str = "", **found: str | None) -> Item:
        """Set an item's state, and any of `received`, `sha256`, `line` and `path`."""
        changed = replace(item, state=state, reason=reason, **found)  # type: ignore[arg-type]
        self._database.execute(
            "UPDATE items SET state = ?, reason = ?, received = ?, sha256 = ?, line = ?, path = ? "
            "WHERE id = ?",
            (
                *(state, reason, changed.received, changed.sha256, changed.line, changed.path),
                item.id,
            ),
        )
        return changed

    def item(self, number: int) -> Item:
        """An item in its present state."""
        return self._find("id = ?", number)[0]

    def items(self, source: str, label: str, *states: State) -> list[Item]:
        """A class's items in one of `states`, in the order of the searches."""
        marks = ", ".join("?" * len(states))
        return self._find(
            f"source = ? AND label = ? AND state IN ({marks})", source, label, *states
        )

    def unfinished(self) -> list[Item]:
        """The undecided items of all classes."""
        return self._find("state IN ('seen', 'asked', 'decoded', 'deferred')")

    def same_url(self, item: Item) -> list[Item]:
        """Other items with the same URL, or the same id of the same provider."""
        return self._find(
            "id != ? AND url != '' AND (url = ? OR (source = ? AND source_id = ?))",
            *(item.id, item.result.file_url, item.source, item.result.source_id),
        )

    def same_content(self, item: Item) -> list[Item]:
        """Other items with the same received bytes."""
        return self._find("id != ? AND received = ?", item.id, item.received)

    def _find(self, where: str, *values: object) -> list[Item]:
        rows = self._database.execute(
            f"SELECT {_ITEM} FROM items WHERE {where} ORDER BY id", values
        )
        return [
            Item(
                number,
                source,
                Search(label, query),
                as_type(json.loads(result), SearchResult),
                *rest,
            )
            for number, source, label, query, result, *rest in rows
        ]
