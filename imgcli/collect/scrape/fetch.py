"""What is done at a host: one page of a search, or one photo. Every way it can end is an event.

`Fetcher` runs in other threads than the engine. It changes nothing but the spool, where each answer
is kept before anything is made of it; what is there already is not requested again.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from imgcli.collect.imports.labelled_photo import NotTaken
from imgcli.collect.scrape.accept import Check, Fetched
from imgcli.collect.scrape.host_queue import ClassGoal
from imgcli.collect.scrape.journal import Item
from imgcli.collect.scrape.search_result import Page, Provider, Search
from imgcli.collect.scrape.spool import Received, Spool
from imgcli.errors import DataError
from imgcli.http.client import Client
from imgcli.http.request import Denied, NotFetched
from imgcli.image_types import HEAD, refusal

Retry = Literal["next run", "other options", "never"]  # what may end otherwise


@dataclass(frozen=True)
class PageFound:
    """A page of the first search of a class."""

    goal: ClassGoal
    page: Page


@dataclass(frozen=True)
class PhotoFetched:
    """A photo for a class, received whole and checked."""

    goal: ClassGoal
    item: Item
    photo: Fetched


@dataclass(frozen=True)
class Failed:
    """Neither: without an item, the first search of the class failed."""

    goal: ClassGoal
    item: Item | None
    reason: str
    retry: Retry


Event = PageFound | PhotoFetched | Failed


def failed(goal: ClassGoal, item: Item | None, error: Exception) -> Failed:
    """The event of an error."""
    retry: Retry = "never"
    if isinstance(error, NotFetched) and error.later:
        retry = "next run"
    elif isinstance(error, Denied):  # not requested; with --allow-host it would be
        retry = "other options"
    return Failed(goal, item, str(error), retry)


class Fetcher:
    """Pages from a provider and photos from their hosts."""

    def __init__(self, provider: Provider, client: Client, spool: Spool, check: Check) -> None:
        self._provider = provider
        self._client = client
        self._spool = spool
        self._check = check

    def photo(self, goal: ClassGoal, item: Item) -> PhotoFetched | Failed:
        """Fetch and check a photo, from its host only if it is not in the spool."""
        try:
            received = self._receive(item)
            reason = refusal(received.body[:HEAD])
            if reason is not None:
                raise NotTaken(reason)
            checked = self._check(received.body)
        except (NotFetched, NotTaken) as error:
            return failed(goal, item, error)
        digest = hashlib.sha256(received.body).hexdigest()
        return PhotoFetched(goal, item, Fetched(digest, checked, received.at))

    def _receive(self, item: Item) -> Received:
        answer = self._spool.answer(item)
        if answer is None:
            try:
                body = self._client.get(item.result.file_url).body
                answer = Received(body, datetime.now(UTC).isoformat(timespec="seconds"))
            except NotFetched as error:
                answer = error
            if not isinstance(answer, Denied):
                self._spool.keep(item, answer)
        if isinstance(answer, NotFetched):
            raise answer
        return answer

    def page(self, goal: ClassGoal, search: Search, cursor: str) -> PageFound | Failed:
        """The page of a search at `cursor`, from the provider if it is not in the spool."""
        source = self._provider.name
        page = self._spool.page(source, search, cursor)
        if page is not None:
            return PageFound(goal, page)
        event = self.read_page(goal, search, cursor)
        if isinstance(event, PageFound):
            self._spool.keep_page(source, search, cursor, event.page)
        return event

    def read_page(self, goal: ClassGoal, search: Search, cursor: str) -> PageFound | Failed:
        """The page of a search at `cursor`, from the provider."""
        try:
            return PageFound(goal, self._provider.page(search, cursor))
        except (NotFetched, DataError) as error:
            return failed(goal, None, error)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            what = f"{type(error).__name__}: {error}"
            reason = f"{self._provider.name} answers in a form unknown here ({what})."
            return Failed(goal, None, reason, "never")
