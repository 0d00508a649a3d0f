"""What a provider is asked and answers: searches, pages and their results."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from imgcli.collect.scrape.licences import Licence
from imgcli.records import Rejected


@dataclass(frozen=True)
class Search:
    """What to look for, for the photos of one class."""

    label: str
    query: str


@dataclass(frozen=True)
class SearchResult:
    """A photo that a provider lists, not fetched yet; texts are plain, without HTML."""

    source_id: str  # unique within its provider
    file_url: str
    landing_url: str | None = None  # the page that shows it
    title: str | None = None
    creator: str | None = None
    creator_url: str | None = None
    licence: Licence | None = None  # None: all rights reserved, or not stated
    attribution: str | None = None  # as the provider words it
    group: str | None = None  # photos of one occasion, nearly the same, share it
    unusable: str | None = None  # why the provider's own answer rules it out


@dataclass(frozen=True)
class Page:
    """One answer of a provider: its results, best first, and the cursor of the next answer."""

    results: tuple[SearchResult, ...]
    cursor: str | None  # for the provider; None: the search is exhausted


class Provider(Protocol):
    """A source of photos; one file each in `providers/`.

    A page is requested by the cursor of the page before, so that another run resumes the search.
    """

    name: str

    def address(self, search: Search, cursor: str) -> str | None:
        """The URL that `page` requests first; None if it requests nothing."""

    def page(self, search: Search, cursor: str) -> Page:
        """The page at `cursor`; "" is the beginning.

        Raises:
            NotFetched: it does not answer, or not now.
            DataError: it refuses the search.
        """


NO_LICENCE = "no licence is known"


@dataclass(frozen=True)
class Terms:
    """Which licences are accepted."""

    licences: frozenset[str] | None = None  # codes; None: any
    unlicensed: bool = False  # photos of unknown licence as well

    def objection(self, granted: Licence | None) -> str | None:
        """Why a photo under this licence is not accepted; None if it is."""
        if granted is None:
            return None if self.unlicensed else NO_LICENCE
        if self.licences is not None and granted.code not in self.licences:
            return f"its licence, {granted.name}, is not asked for"
        return None


@dataclass(frozen=True)
class Job:
    """A provider, what to search it for, and how many photos each class should get."""

    provider: Provider
    searches: tuple[Search, ...]
    goals: Mapping[str, int]
    rejected: tuple[Rejected, ...] = ()  # rows of a table that name no photo
