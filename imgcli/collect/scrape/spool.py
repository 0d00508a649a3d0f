"""What hosts have answered and the journal does not know yet: `<out>/.received/`, a file each.

An answer is here, durably, before anything is made of it, and until the journal says what became of
it. So no run that is killed asks for it a second time; it finds the answer here. Only a request
that was cut off before its answer was whole has to be made again.

A file has a line of JSON, which says what the answer is and what SHA-256 the rest has, and the body
as it was received.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgcli.collect.http.errors import NotFetched
from imgcli.collect.scrape.journal import Item
from imgcli.collect.scrape.search_result import Page, Search, SearchResult
from imgcli.files import sweep_temporaries, write_atomic

NAME = ".received"  # hidden, so that no command takes it for a class


@dataclass(frozen=True)
class Received:
    """The body of a whole answer."""

    body: bytes
    at: str  # the time, in ISO 8601


class Spool:
    """Answers by what was asked for; `keep_…` may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / NAME

    def sweep(self, open_items: Collection[Item]) -> None:
        """Remove what a killed writer left, and answers for items that need none any more."""
        if self._folder.is_dir():
            sweep_temporaries(self._folder)
            needed = {_item_key(item) for item in open_items}
            for file in self._folder.glob("photo-*"):
                if file.name not in needed:
                    file.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the folder if nothing is in it."""
        with suppress(OSError):
            self._folder.rmdir()

    # --- photos ---------------------------------------------------------------------------------

    def keep(self, item: Item, answer: Received | NotFetched) -> None:
        """Keep what came of an item's request; not what another run may fetch.

        Raises:
            OSError: the disk cannot take it.
        """
        if isinstance(answer, Received):
            self._write(_item_key(item), {"at": answer.at}, answer.body)
        elif not answer.later:
            self._write(_item_key(item), {"failed": str(answer)})

    def has(self, item: Item) -> bool:
        """Whether what came of an item's request was kept."""
        return (self._folder / _item_key(item)).is_file()

    def answer(self, item: Item) -> Received | NotFetched | None:
        """What came of an item's request; None if it has to be made."""
        head, body = self._read(_item_key(item))
        if isinstance(reason := head.get("failed"), str):
            return NotFetched(reason)
        return Received(body, head["at"]) if isinstance(head.get("at"), str) else None

    def drop(self, item: Item) -> None:
        """The journal knows what became of it."""
        (self._folder / _item_key(item)).unlink(missing_ok=True)

    # --- pages ----------------------------------------------------------------------------------

    def keep_page(self, source: str, search: Search, cursor: str, page: Page) -> None:
        """Keep a page of a search."""
        results = [result.to_json() for result in page.results]
        self._write(_page_key(source, search, cursor), {"offers": results, "cursor": page.cursor})

    def page(self, source: str, search: Search, cursor: str) -> Page | None:
        """The page of a search that begins at `cursor`, if it was kept."""
        head, _ = self._read(_page_key(source, search, cursor))
        if "offers" not in head:
            return None
        return Page(tuple(map(SearchResult.from_json, head["offers"])), head["cursor"])

    def drop_page(self, source: str, search: Search, cursor: str) -> None:
        """The journal has it."""
        (self._folder / _page_key(source, search, cursor)).unlink(missing_ok=True)

    # --- files ----------------------------------------------------------------------------------

    def _write(self, key: str, head: Mapping[str, Any], body: bytes = b"") -> None:
        line = json.dumps(head).encode()
        whole = hashlib.sha256(line + body).hexdigest().encode()
        self._folder.mkdir(exist_ok=True)
        write_atomic(self._folder / key, b"%s %s\n%s" % (whole, line, body))

    def _read(self, key: str) -> tuple[dict[str, Any], bytes]:
        """The head and the body of an answer; an empty head where there is none that is whole."""
        try:
            data = (self._folder / key).read_bytes()
        except FileNotFoundError:
            return {}, b""
        line, _, body = data.partition(b"\n")
        whole, _, head = line.partition(b" ")
        if hashlib.sha256(head + body).hexdigest().encode() != whole:
            return {}, b""
        found: dict[str, Any] = json.loads(head)
        return found, body


def _item_key(item: Item) -> str:
    """The file of an item: not by its number, which another journal would give to another."""
    return _key(
        "photo", item.source, item.result.source_id, item.search.label, item.result.file_url
    )


def _page_key(source: str, search: Search, cursor: str) -> str:
    return _key("page", source, search.label, search.query, cursor)


def _key(kind: str, *words: str) -> str:
    return f"{kind}-{hashlib.sha256(json.dumps(words).encode()).hexdigest()[:32]}"
