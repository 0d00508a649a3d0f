"""From a provider to class folders: one loop decides and writes, other threads wait for hosts.

    plan ──► start ──► wait ──► handle      a page or a photo at a host each, one event each
      ▲                            │
      └────────────────────────────┘

A class takes its search results in the order of its provider and leaves out only those that cannot
be had, so the photos of a run do not depend on which host was faster. The exception is a host that
fails or takes long: the loop does not wait for its photos, and the next results go ahead.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from imgcli.collect.ingest import open_store
from imgcli.collect.scrape.accept import Acceptance, Check, Fetched
from imgcli.collect.scrape.fetch import (
    Event,
    Failed,
    Fetcher,
    PageFound,
    PhotoFetched,
    Retry,
    failed,
)
from imgcli.collect.scrape.host_queue import ClassGoal, HostQueue
from imgcli.collect.scrape.journal import OPEN, Item, Journal, State, open_journal
from imgcli.collect.scrape.search_result import Job, Page, Search, Terms
from imgcli.collect.scrape.spool import Spool
from imgcli.http.client import Client
from imgcli.http.request import NotFetched, host_of
from imgcli.progress import counter, note
from imgcli.records import Rejected
from imgcli.text import count, printable

TICK = 1.0  # seconds after which slow hosts are looked for
MAX_PAGES_WITHOUT_NEW = 20  # in succession; then a search only repeats itself
SEARCH_AGAIN_AFTER = timedelta(days=1)  # of the end of an exhausted search


@dataclass(frozen=True)
class Scraped:
    """The result of a scrape, for its classes in this run and those before."""

    added: int
    skipped: int  # photos that were there already
    duplicates: tuple[Rejected, ...]  # of those, results with the bytes or the URL of others
    rejected: tuple[Rejected, ...]  # for good; path is the URL
    deferred: tuple[Rejected, ...]  # for the next run
    classes: dict[str, int]  # photos per class in the whole output folder
    short: dict[str, int]  # missing photos per class
    interrupted: int  # requests cut off in an earlier run and made again


def scrape(job: Job, out: Path, *, client: Client, check: Check, terms: Terms) -> Scraped:
    """Fetch photos into `out/<class>/`, resuming an earlier run.

    Args:
        check: decodes a received photo whole.

    Raises:
        StorageError: `out` is not imgcli's or in use, or its journal is damaged.
    """
    with open_store(out) as store:
        store.begin()
        with open_journal(store.folder) as journal:
            spool = Spool(store.folder)
            spool.sweep(journal.unfinished())
            try:
                fetcher = Fetcher(job.provider, client, spool, check)
                engine = _Engine(job, journal, spool, fetcher, Acceptance(store, journal), terms)
                engine.run()
                return engine.result(store.counts())
            finally:
                spool.close()


@dataclass(frozen=True)
class _Task:
    """A photo to fetch for a class; without an item, the next page of its first search."""

    goal: ClassGoal
    item: Item | None = None


@dataclass
class _Tally:
    """What the journal does not keep: other options, or another try, would change it."""

    added: set[int] = field(default_factory=set)  # items placed in this run
    interrupted: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    deferred: list[Rejected] = field(default_factory=list)


class _Engine:
    def __init__(
        self,
        job: Job,
        journal: Journal,
        spool: Spool,
        fetcher: Fetcher,
        acceptance: Acceptance,
        terms: Terms,
    ) -> None:
        self._provider = job.provider
        self._journal = journal
        self._spool = spool
        self._fetcher = fetcher
        self._acceptance = acceptance
        self._terms = terms
        self._queue: HostQueue[_Task, Event] = HostQueue()
        self._tally = _Tally(rejected=[*job.rejected])
        self._goals = {label: self._resume(job, label) for label in job.goals}

    def run(self) -> None:
        """Search and fetch until all classes are full or nothing is left to do."""
        goals, queue = self._goals.values(), self._queue
        with counter("scrape", sum(goal.goal for goal in goals), "photos") as bar:
            while True:
                for goal in goals:
                    self._plan(goal)
                for host, task in queue.ready():
                    self._start(host, task)
                if not queue or all(goal.missing <= 0 for goal in goals):
                    break  # the photos still in flight are at slow hosts
                if (arrived := queue.wait(TICK)) is not None:
                    host, event = arrived
                    self._finish(host, event)
                    self._handle(event)
                    queue.release(host, isinstance(event, Failed) and event.retry == "next run")
                bar.set_postfix_str(self._progress(), refresh=False)
                bar.update(sum(goal.placed for goal in goals) - bar.n)

    def _handle(self, event: Event) -> None:
        match event:
            case PageFound(goal, page):
                self._add_page(goal, page)
            case PhotoFetched(goal, item, photo):
                if (current := self._still_wanted(goal, item)) is not None:
                    self._accept(goal, current, photo)
                    self._spool.drop(item)
            case Failed(goal, None, reason, retry):
                search = goal.searches.popleft()
                listed = Rejected(f"{self._provider.name}: {search.query}", reason)
                later = retry == "next run"
                (self._tally.deferred if later else self._tally.rejected).append(listed)
            case Failed(goal, Item() as item, reason, retry):
                if (current := self._still_wanted(goal, item)) is not None:
                    self._reject(current, reason, retry)
                    self._spool.drop(item)

    # --- plan and start -------------------------------------------------------------------------

    def _resume(self, job: Job, label: str) -> ClassGoal:
        """A class as earlier runs left it."""
        source = self._provider.name
        for item in self._journal.items(source, label, "decoded"):
            if self._acceptance.recover(item).state == "placed":
                self._spool.drop(item)
        placed = self._journal.items(source, label, "placed")
        searches = (search for search in job.searches if search.label == label)
        return ClassGoal(
            label,
            job.goals[label],
            deque(search for search in searches if self._is_open(search)),
            placed=sum(self._acceptance.is_there(item) for item in placed),
            results=deque(self._journal.items(source, label, *OPEN)),
        )

    def _is_open(self, search: Search) -> bool:
        _, ended = self._journal.cursor(self._provider.name, search)
        again = datetime.now(UTC) - SEARCH_AGAIN_AFTER
        return ended is None or datetime.fromisoformat(ended) < again

    def _plan(self, goal: ClassGoal) -> None:
        """Queue as many results as the class has room for, and a search if it has no more."""
        while goal.room(self._queue.is_slow) > 0:
            if goal.results:
                self._queue_photo(goal, goal.results.popleft())
            elif not goal.searches or goal.searching:
                return
            elif (event := self._queue_page(goal, goal.searches[0])) is not None:
                self._handle(event)

    def _queue_photo(self, goal: ClassGoal, item: Item) -> None:
        """Queue a result at its host, unless its licence or its URL rules it out."""
        objection = self._terms.objection(item.result.licence)
        if objection is not None:
            self._tally.rejected.append(Rejected(item.result.file_url, objection))
            return
        try:
            host = host_of(item.result.file_url)
        except NotFetched as error:
            self._journal.store(item, "rejected", str(error))
            return
        goal.queued[host] += 1
        self._queue.add(host, _Task(goal, item))

    def _queue_page(self, goal: ClassGoal, search: Search) -> Event | None:
        """Queue the next page of a search before all photos; its event at once if it has no host.

        A provider that requests nothing, such as a table, has none.
        """
        cursor, _ = self._journal.cursor(self._provider.name, search)
        address = self._provider.address(search, cursor)
        if address is None:
            return self._fetcher.read_page(goal, search, cursor)
        try:
            host = host_of(address)
        except NotFetched as error:
            return failed(goal, None, error)
        goal.searching = True
        self._queue.add(host, _Task(goal), first=True)
        return None

    def _start(self, host: str, task: _Task) -> None:
        """Start a task at a free host; drop it if another class decided its photo."""
        goal, item = task.goal, task.item
        goal.queued[host] -= item is not None
        if not goal.takes_more(self._queue.is_slow):  # full, if no photo in flight fails
            if item is None:
                goal.searching = False
            else:
                goal.results.appendleft(item)
        elif item is None:
            search = goal.searches[0]
            cursor, _ = self._journal.cursor(self._provider.name, search)
            self._queue.start(host, lambda: self._fetcher.page(goal, search, cursor))
        elif self._journal.item(item.id).state in OPEN:
            goal.in_flight[host] += 1
            if not self._spool.has(item):
                self._tally.interrupted += item.state == "asked"
                self._journal.store(item, "asked")
            self._queue.start(host, lambda: self._fetcher.photo(goal, item))

    # --- events ---------------------------------------------------------------------------------

    def _finish(self, host: str, event: Event) -> None:
        """Count what is no longer on its way."""
        if isinstance(event, PageFound) or event.item is None:
            event.goal.searching = False
        else:
            event.goal.in_flight[host] -= 1

    def _add_page(self, goal: ClassGoal, page: Page) -> None:
        """Put the new results of a page into the journal and before the class."""
        source, search = self._provider.name, goal.searches[0]
        cursor, _ = self._journal.cursor(source, search)
        new = self._journal.add_page(source, search, page)
        self._spool.drop_page(source, search, cursor)
        for item in new:
            screened, withdrawn = self._acceptance.screen(item)
            self._withdraw(withdrawn)
            if screened.state == "seen":
                goal.results.append(screened)
        goal.pages_without_new = 0 if new else goal.pages_without_new + 1
        repeats = goal.pages_without_new == MAX_PAGES_WITHOUT_NEW
        if repeats:
            self._journal.add_page(source, search, Page((), cursor=None))
        if repeats or page.cursor is None:
            goal.searches.popleft()
            goal.pages_without_new = 0

    def _still_wanted(self, goal: ClassGoal, item: Item) -> Item | None:
        """An item as it is by now; None if it was decided or its class filled meanwhile."""
        item = self._journal.item(item.id)
        if item.state not in OPEN:  # another class found it as well
            self._spool.drop(item)
            return None
        if goal.missing <= 0:  # others were faster; its answer stays in the spool
            self._journal.store(item, "seen")
            return None
        return item

    def _accept(self, goal: ClassGoal, item: Item, photo: Fetched) -> None:
        accepted, withdrawn = self._acceptance.accept(item, photo)
        self._withdraw(withdrawn)
        if accepted.state == "placed":
            goal.placed += 1
            self._tally.added.add(item.id)
            if goal.missing == 0:
                note(printable(f"{goal.label}: {count(goal.placed, 'photo')}"))

    def _reject(self, item: Item, reason: str, retry: Retry) -> None:
        if retry == "next run":
            self._journal.store(item, "deferred", reason)
        elif retry == "other options":
            self._tally.rejected.append(Rejected(item.result.file_url, reason))
            self._journal.store(item, "seen")
        else:
            self._journal.store(item, "rejected", reason)

    def _withdraw(self, items: list[Item]) -> None:
        """Count photos that were taken out of their class again; it may be none of this run."""
        for item in items:
            self._tally.added.discard(item.id)
            if item.search.label in self._goals and item.source == self._provider.name:
                self._goals[item.search.label].placed -= 1

    # --- what is reported -----------------------------------------------------------------------

    def _progress(self) -> str:
        """How far the classes are that are not full yet."""
        open_goals = [goal for goal in self._goals.values() if goal.missing > 0]
        shown = ", ".join(f"{printable(g.label)} {g.placed:,}/{g.goal:,}" for g in open_goals[:3])
        return f"{shown}, …" if len(open_goals) > 3 else shown

    def result(self, classes: dict[str, int]) -> Scraped:
        goals, tally = self._goals.values(), self._tally
        already = sum(goal.placed for goal in goals) - len(tally.added)
        duplicates = self._listed("duplicate")
        return Scraped(
            added=len(tally.added),
            skipped=already + len(duplicates),
            duplicates=tuple(duplicates),
            rejected=(*self._listed("rejected"), *tally.rejected),
            deferred=(*self._listed("deferred"), *tally.deferred),
            classes=classes,
            short={goal.label: goal.missing for goal in goals if goal.missing > 0},
            interrupted=tally.interrupted,
        )

    def _listed(self, state: State) -> list[Rejected]:
        return [
            Rejected(item.result.file_url or item.result.landing_url or item.source, item.reason)
            for label in self._goals
            for item in self._journal.items(self._provider.name, label, state)
        ]
