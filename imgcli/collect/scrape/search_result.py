"""What a source is asked and answers: searches, pages, and the photos they offer."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

from imgcli.collect.scrape.licences import Licence
from imgcli.records import Rejected


@dataclass(frozen=True)
class Search:
    """What to look for, for the photos of one class."""

    label: str
    query: str


@dataclass(frozen=True)
class Offer:
    """A photo that a source knows of, not yet fetched; texts are plain, without HTML."""

    source_id: str  # tells it from all others of its source
    file_url: str
    landing_url: str | None = None  # the page that shows it
    title: str | None = None
    creator: str | None = None
    creator_url: str | None = None
    licence: Licence | None = None  # None: all rights reserved, or nothing is said
    attribution: str | None = None  # as the source words it
    group: str | None = None  # photos of one occasion, nearly the same, share it
    unusable: str | None = None  # why the source's own answer rules it out

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        granted = data["licence"]
        return cls(**{**data, "licence": None if granted is None else Licence(**granted)})


@dataclass(frozen=True)
class Page:
    """One answer of a source: its offers, best first, and where the next answer begins."""

    offers: tuple[Offer, ...]
    cursor: str | None  # to be given back to the source; None: that was all


class Provider(Protocol):
    """A place that photos come from, by one file each in `providers/`.

    A page is asked for by the cursor of the page before, so that a search goes on in another run
    where it stopped in this one.
    """

    name: str

    def address(self, search: Search, cursor: str) -> str | None:
        """The URL that `page` will ask first; None where it asks nobody."""

    def page(self, search: Search, cursor: str) -> Page:
        """What the source has, from `cursor` on; "" is the beginning.

        Raises:
            NotFetched: it does not answer, or not now.
            DataError: it answers that the search cannot be.
        """


NO_LICENCE = "no licence is known"


@dataclass(frozen=True)
class Terms:
    """Which photos may be taken."""

    licences: frozenset[str] | None = None  # codes; None: any
    unlicensed: bool = False  # photos whose licence is not known as well

    def objection(self, granted: Licence | None) -> str | None:
        """Why a photo under this licence is not taken; None where it is."""
        if granted is None:
            return None if self.unlicensed else NO_LICENCE
        if self.licences is not None and granted.code not in self.licences:
            return f"its licence, {granted.name}, is not asked for"
        return None


@dataclass(frozen=True)
class Order:
    """A provider, what to ask it for, and how many photos are wanted of each class."""

    provider: Provider
    searches: tuple[Search, ...]
    goals: Mapping[str, int]
    rejected: tuple[Rejected, ...] = ()  # what was asked for in vain
