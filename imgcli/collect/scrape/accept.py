"""What arrived: placed in its class, or kept out because its very bytes came otherwise, too.

A file that a provider shows at three URLs stands for photos it does not have; one that turns up in
two classes has two labels. Neither is kept: those that were placed before are taken out of their
class again, to `.rejected/`, and all are listed.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os.path import basename, splitext
from typing import Any
from urllib.parse import unquote, urlsplit

from imgcli.collect.imports.labelled_photo import Candidate
from imgcli.collect.ingest import REJECTED, Store, class_name
from imgcli.collect.names import tagged
from imgcli.collect.scrape.journal import Item, Journal
from imgcli.collect.scrape.licences import attribution
from imgcli.documents import stays_inside
from imgcli.text import listed

PLACEHOLDER = 3  # URLs of one file


@dataclass(frozen=True)
class Checked:
    """A photo that was decoded whole."""

    data: bytes  # what to place: the received bytes, or a smaller photo made of them
    width: int
    height: int
    made_from: tuple[int, int] | None = None  # width and height of the received photo, if larger


Check = Callable[[bytes], Checked]  # raises NotTaken with the reason for what is no whole photo


@dataclass(frozen=True)
class Fetched:
    """The photo of an offer, received and checked."""

    received: str  # SHA-256
    checked: Checked
    at: str  # the time, in ISO 8601


class Arrivals:
    """Places photos, one class's word against the other's.

    `withdrawn` is called with each item whose photo was taken out of its class.
    """

    def __init__(self, store: Store, journal: Journal, withdrawn: Callable[[Item], None]) -> None:
        self._store = store
        self._journal = journal
        self._withdrawn = withdrawn

    def meet(self, item: Item) -> Item:
        """A new offer: rejected where its source or another class speaks against it."""
        if item.offer.unusable is not None:
            return self._journal.store(item, "rejected", item.offer.unusable)
        others = self._journal.same_url(item)
        labels = {other.search.label for other in (*others, item)}
        if len(labels) > 1:
            return self._reject(item, others, f"offered as {_either(labels)}")
        if others:
            return self._journal.store(item, "duplicate", "offered before at the same URL")
        return item

    def take(self, item: Item, fetched: Fetched) -> Item:
        """Place a photo that was fetched, unless its bytes speak against it."""
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
        if len(others) + 1 >= PLACEHOLDER:
            n = len(others) + 1
            return self._reject(item, others, f"a placeholder: the same file came from {n} URLs")
        elsewhere = self._store.classes_of(fetched.checked.data) - {class_name(item.search.label)}
        if elsewhere:  # imported, or put there by hand
            return self._reject(item, (), f"the same file lies in {listed(sorted(elsewhere))}")
        if others or not self._place(item, fetched.checked.data):
            return self._journal.store(item, "duplicate", "its class has the same file already")
        return self._placed(item)

    def recover(self, item: Item) -> Item:
        """An item of a run that was killed while placing it: placed, or still to be fetched."""
        path = self._store.find(item.search.label, item.sha256 or "")
        if path is None:
            return self._journal.store(item, "seen")
        self._place(item, (self._store.folder / path).read_bytes())
        return self._placed(item)

    def _place(self, item: Item, data: bytes) -> bool:
        """Put it into its class with its line; whether it was new there."""
        name, origin = _file_name(item), item.offer.file_url
        new = self._store.place(
            Candidate(item.search.label, name, origin, lambda: data, provenance=item.provenance)
        )
        self._store.commit()
        return new

    def _placed(self, item: Item) -> Item:
        path = self._store.find(item.search.label, item.sha256 or "")
        return self._journal.store(item, "placed", path=path)

    def _reject(self, item: Item, others: Sequence[Item], reason: str) -> Item:
        """Reject an item and all that speak against it, placed or not."""
        for other in others:
            if other.state == "rejected":
                continue
            if self.is_there(other):
                self._store.set_aside(other.path or "")
                self._withdrawn(other)
                self._journal.store(
                    other, "rejected", f"{reason}; moved to {REJECTED}/{other.path}"
                )
            else:
                self._journal.store(other, "rejected", reason)
        return self._journal.store(item, "rejected", reason)

    def is_there(self, item: Item) -> bool:
        """Whether it was placed, and nobody has taken its photo away since."""
        if item.state != "placed" or item.path is None or not stays_inside(item.path):
            return False
        return (self._store.folder / item.path).is_file()


def _either(labels: set[str]) -> str:
    return " and as ".join(f"'{label}'" for label in sorted(labels))


def _file_name(item: Item) -> str:
    """A name that no other offer has, so that names do not depend on what arrives first.

    Without the suffix, which goes by the content.
    """
    known = item.offer.source_id
    if "://" not in known:
        return f"{item.source}-{known}"
    stem = splitext(basename(unquote(urlsplit(known).path)))[0]
    digest = hashlib.sha256(known.encode()).hexdigest()
    return tagged(stem[:100] or "photo", digest[:8])


def _provenance(item: Item, fetched: Fetched) -> dict[str, Any]:
    """What a photo's line says beyond its path and content."""
    offer, checked = item.offer, fetched.checked
    granted = offer.licence
    line: dict[str, Any] = {
        "source": item.source,
        "source_id": offer.source_id,
        "query": item.search.query,
        "landing_url": offer.landing_url,
        "file_url": offer.file_url,
        "title": offer.title,
        "creator": offer.creator,
        "creator_url": offer.creator_url,
        "license": granted.code if granted else None,
        "license_version": granted.version if granted else None,
        "license_url": granted.url if granted else None,
        "attribution": offer.attribution or attribution(offer.title, offer.creator, granted),
        "retrieved_at": fetched.at,
        "width": checked.width,
        "height": checked.height,
    }
    if offer.group is not None:
        line["group"] = offer.group
    if checked.made_from is not None:
        width, height = checked.made_from
        line["made_from"] = {"width": width, "height": height, "sha256": fetched.received}
    return line
