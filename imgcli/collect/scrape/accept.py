"""Accept a fetched photo into its class, or reject it because its bytes came otherwise as well.

A file that a provider shows at three URLs is a placeholder; a file in two classes has two labels.
Neither is kept: copies that were placed before are withdrawn from their class, to `.rejected/`,
and all are listed.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os.path import basename, splitext
from typing import Any
from urllib.parse import unquote, urlsplit

from imgcli.collect.imports.labelled_photo import LabelledPhoto
from imgcli.collect.ingest import REJECTED, Store, class_name
from imgcli.collect.names import tagged
from imgcli.collect.scrape.journal import Item, Journal
from imgcli.collect.scrape.licences import attribution
from imgcli.documents import stays_inside
from imgcli.text import listed

MIN_PLACEHOLDER_URLS = 3  # of one file


@dataclass(frozen=True)
class Checked:
    """A photo that was decoded whole."""

    data: bytes  # what to place: the received bytes, or a smaller photo made of them
    width: int
    height: int
    made_from: tuple[int, int] | None = None  # width and height of the received photo, if larger


Check = Callable[[bytes], Checked]  # raises NotTaken with the reason if it is no whole photo


@dataclass(frozen=True)
class Fetched:
    """The photo of a search result, received and checked."""

    received: str  # SHA-256
    checked: Checked
    at: str  # the time, in ISO 8601


Decision = tuple[Item, list[Item]]  # an item with its new state; the items withdrawn for it


class Acceptance:
    """Places photos in their classes; withdraws those that contradict one another."""

    def __init__(self, store: Store, journal: Journal) -> None:
        self._store = store
        self._journal = journal

    def screen(self, item: Item) -> Decision:
        """A new search result: rejected if its provider or another class contradicts it."""
        if item.result.unusable is not None:
            return self._journal.store(item, "rejected", item.result.unusable), []
        others = self._journal.same_url(item)
        labels = {other.search.label for other in (*others, item)}
        if len(labels) > 1:
            return self._reject(item, others, f"found as {_either(labels)}")
        if others:
            return self._journal.store(item, "duplicate", "found before at the same URL"), []
        return item, []

    def accept(self, item: Item, fetched: Fetched) -> Decision:
        """Place a fetched photo, unless its bytes contradict it."""
        digest = hashlib.sha256(fetched.checked.data).hexdigest()
        item = self._journal.store(
            item,
            "decoded",
            received=fetched.received,
            sha256=digest,
            line=json.dumps(_provenance(item, fetched)),
        )
        others = self._journal.same_content(item)
        labels = {other.search.label for other in (*others, item)}
        if len(labels) > 1:
            return self._reject(item, others, f"the same file came as {_either(labels)}")
        if len(others) + 1 >= MIN_PLACEHOLDER_URLS:
            n = len(others) + 1
            return self._reject(item, others, f"a placeholder: the same file came from {n} URLs")
        elsewhere = self._store.classes_of(fetched.checked.data) - {class_name(item.search.label)}
        if elsewhere:  # imported, or put there by hand
            return self._reject(item, (), f"the same file is in {listed(sorted(elsewhere))}")
        if others or not self._place(item, fetched.checked.data):
            reason = "its class has the same file already"
            return self._journal.store(item, "duplicate", reason), []
        return self._placed(item), []

    def recover(self, item: Item) -> Item:
        """Place an item of a run killed while placing it; "seen" if it has to be fetched."""
        path = self._store.find(item.search.label, item.sha256 or "")
        if path is None:
            return self._journal.store(item, "seen")
        self._place(item, (self._store.folder / path).read_bytes())
        return self._placed(item)

    def _place(self, item: Item, data: bytes) -> bool:
        """Write the photo and its line; whether it was new in its class."""
        name, origin = _file_name(item), item.result.file_url
        new = self._store.place(
            LabelledPhoto(item.search.label, name, origin, lambda: data, provenance=item.provenance)
        )
        self._store.commit()
        return new

    def _placed(self, item: Item) -> Item:
        path = self._store.find(item.search.label, item.sha256 or "")
        return self._journal.store(item, "placed", path=path)

    def _reject(self, item: Item, others: Sequence[Item], reason: str) -> Decision:
        """Reject an item and all that contradict it, placed or not."""
        withdrawn = []
        for other in others:
            if other.state == "rejected":
                continue
            if self.is_there(other):
                self._store.withdraw(other.path or "")
                withdrawn.append(other)
                self._journal.store(
                    other, "rejected", f"{reason}; moved to {REJECTED}/{other.path}"
                )
            else:
                self._journal.store(other, "rejected", reason)
        return self._journal.store(item, "rejected", reason), withdrawn

    def is_there(self, item: Item) -> bool:
        """Whether it was placed and its photo is still there."""
        if item.state != "placed" or item.path is None or not stays_inside(item.path):
            return False
        return (self._store.folder / item.path).is_file()


def _either(labels: set[str]) -> str:
    return " and as ".join(f"'{label}'" for label in sorted(labels))


def _file_name(item: Item) -> str:
    """A name that no other result has, so that names do not depend on the order of arrival.

    Without the suffix, which follows from the content.
    """
    known = item.result.source_id
    if "://" not in known:
        return f"{item.source}-{known}"
    stem = splitext(basename(unquote(urlsplit(known).path)))[0]
    digest = hashlib.sha256(known.encode()).hexdigest()
    return tagged(stem[:100] or "photo", digest[:8])


def _provenance(item: Item, fetched: Fetched) -> dict[str, Any]:
    """The fields of a photo's line beyond its path and content."""
    result, checked = item.result, fetched.checked
    granted = result.licence
    line: dict[str, Any] = {
        "source": item.source,
        "source_id": result.source_id,
        "query": item.search.query,
        "landing_url": result.landing_url,
        "file_url": result.file_url,
        "title": result.title,
        "creator": result.creator,
        "creator_url": result.creator_url,
        "license": granted.code if granted else None,
        "license_version": granted.version if granted else None,
        "license_url": granted.url if granted else None,
        "attribution": result.attribution or attribution(result.title, result.creator, granted),
        "retrieved_at": fetched.at,
        "width": checked.width,
        "height": checked.height,
    }
    if result.group is not None:
        line["group"] = result.group
    if checked.made_from is not None:
        width, height = checked.made_from
        line["made_from"] = {"width": width, "height": height, "sha256": fetched.received}
    return line
