"""Answers of hosts that the journal does not have yet: `<out>/.received/`, a file each.

An answer is written here, durably, before it is used, and stays until the journal has its result.
So after a kill no answer is requested twice; only a request cut off before its answer was whole is
made again.

A file has a line with the SHA-256 of all that follows it and a JSON head, then the body as it was
received.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from imgcli.collect.scrape.journal import Item
from imgcli.collect.scrape.search_result import Page, Search, SearchResult
from imgcli.documents import as_type
from imgcli.files import sweep_temporaries, write_atomic
from imgcli.http.request import NotFetched

NAME = ".received"  # hidden, so that no command takes it for a class


@dataclass(frozen=True)
class Received:
    """The body of a whole answer."""

    body: bytes
    at: str  # the time, in ISO 8601


class Spool:
    """Answers by their request; `keep_…` may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / NAME

    def sweep(self, open_items: Collection[Item]) -> None:
        """Remove what a killed writer left, and answers for items that are decided."""
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
        """Keep the answer to an item's request, or its failure unless another run may succeed.

        Raises:
            OSError: the disk cannot take it.
        """
        if isinstance(answer, Received):
            self._write(_item_key(item), {"at": answer.at}, answer.body)
        elif not answer.later:
            self._write(_item_key(item), {"failed": str(answer)})

    def has(self, item: Item) -> bool:
        """Whether the answer to an item's request was kept."""
        return (self._folder / _item_key(item)).is_file()

    def answer(self, item: Item) -> Received | NotFetched | None:
        """The kept answer to an item's request; None if it has to be made."""
        head, body = self._read(_item_key(item))
        if isinstance(reason := head.get("failed"), str):
            return NotFetched(reason)
        return Received(body, head["at"]) if isinstance(head.get("at"), str) else None

    def drop(self, item: Item) -> None:
        """Remove an answer once the journal has its result."""
        (self._folder / _item_key(item)).unlink(missing_ok=True)

    # --- pages ----------------------------------------------------------------------------------

    def keep_page(self, source: str, search: Search, cursor: str, page: Page) -> None:
        """Keep a page of a search."""
        results = [asdict(result) for result in page.results]
        self._write(_page_key(source, search, cursor), {"offers": results, "cursor": page.cursor})

    def page(self, source: str, search: Search, cursor: str) -> Page | None:
        """The page of a search that begins at `cursor`, if it was kept."""
        head, _ = self._read(_page_key(source, search, cursor))
        if "offers" not in head:
            return None
        return Page(as_type(head["offers"], tuple[SearchResult, ...]), head["cursor"])

    def drop_page(self, source: str, search: Search, cursor: str) -> None:
        """Remove a page once the journal has it."""
        (self._folder / _page_key(source, search, cursor)).unlink(missing_ok=True)

    # --- files ----------------------------------------------------------------------------------

    def _write(self, key: str, head: Mapping[str, Any], body: bytes = b"") -> None:
        line = json.dumps(head).encode()
        whole = hashlib.sha256(line + body).hexdigest().encode()
        self._folder.mkdir(exist_ok=True)
        write_atomic(self._folder / key, b"%s %s\n%s" % (whole, line, body))

    def _read(self, key: str) -> tuple[dict[str, Any], bytes]:
        """The head and the body of an answer; an empty head if it is absent or damaged."""
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
    """The file of an item: not by its id, which differs in another journal."""
    return _key(
        "photo", item.source, item.result.source_id, item.search.label, item.result.file_url
    )


def _page_key(source: str, search: Search, cursor: str) -> str:
    return _key("page", source, search.label, search.query, cursor)


def _key(kind: str, *words: str) -> str:
    return f"{kind}-{hashlib.sha256(json.dumps(words).encode()).hexdigest()[:32]}"
