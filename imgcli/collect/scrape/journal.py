"""What was searched for and found, and what became of it: a scrape's memory.

A SQLite database in WAL mode beside the photos, `.scrape.sqlite`. A search remembers where its next
page begins; an item, which is one offer for one class, its state:

    seen ──► asked ──► decoded ──► placed      with the SHA-256 of what came and of what is placed
               │          ├──────► duplicate   its class has these bytes from another URL
               │          └──────► rejected    with the reason; never tried again
               └─────────────────► deferred    with the reason; tried again by the next run

A page's offers and the place of the next page are stored in one transaction, that an item is asked
for before it is, its digests before its photo is placed: so a run that was killed is taken up where
it was. What was received by then is in the `spool`, or in the folder already, and is not fetched
again; an item that is `asked` and in neither was cut off.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from imgcli.collect.scrape.database import in_sentences, open_database, transaction
from imgcli.collect.scrape.search_result import Page, Search, SearchResult

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
    """One offer for one class, and how far it has come."""

    id: int
    source: str
    search: Search
    result: SearchResult
    state: State = "seen"
    reason: str = ""
    received: str | None = None  # SHA-256 of the bytes that came
    sha256: str | None = None  # of those placed: others only where the photo was made smaller
    line: str | None = None  # of provenance.jsonl, as far as this room knows it; JSON
    path: str | None = None  # of the placed photo, below the output folder

    @property
    def provenance(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.line or "{}")
        return found


@contextmanager
def open_journal(folder: Path) -> Iterator["Journal"]:
    """Open the journal of `folder`, made if it is not there.

    Raises:
        StorageError: it is damaged, or cannot be written.
    """
    without = "the photos stay, and those of them that come again are skipped"
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
        """Where the next page begins, and when the search came to its end, if it did."""
        found = self._database.execute(
            "SELECT cursor, ended FROM searches WHERE source = ? AND label = ? AND query = ?",
            (source, search.label, search.query),
        ).fetchone()
        return found or ("", None)

    def add_page(self, source: str, search: Search, page: Page) -> list[Item]:
        """Remember a page and where the next one begins; the items of it that are new."""
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
                *(result.file_url, json.dumps(result.to_json())),
            ),
        )
        if not added.rowcount:
            return None
        return Item(int(added.lastrowid or 0), source, search, result)

    # --- items ----------------------------------------------------------------------------------

    def store(self, item: Item, state: State, reason: str = "", **found: str | None) -> Item:
        """Set an item's state, and what was found of `received`, `sha256`, `line` and `path`."""
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
        """An item as it is by now."""
        return self._find("id = ?", number)[0]

    def items(self, source: str, label: str, *states: State) -> list[Item]:
        """A class's items in one of `states`, in the order in which they were seen."""
        marks = ", ".join("?" * len(states))
        return self._find(
            f"source = ? AND label = ? AND state IN ({marks})", source, label, *states
        )

    def unfinished(self) -> list[Item]:
        """The items of all classes of which it is not known what becomes of them."""
        return self._find("state IN ('seen', 'asked', 'decoded', 'deferred')")

    def same_url(self, item: Item) -> list[Item]:
        """Other items that are the same photo by its URL, or by its source's word."""
        return self._find(
            "id != ? AND url != '' AND (url = ? OR (source = ? AND source_id = ?))",
            *(item.id, item.result.file_url, item.source, item.result.source_id),
        )

    def same_content(self, item: Item) -> list[Item]:
        """Other items whose very bytes were received."""
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
                SearchResult.from_json(json.loads(result)),
                *rest,
            )
            for number, source, label, query, result, *rest in rows
        ]
