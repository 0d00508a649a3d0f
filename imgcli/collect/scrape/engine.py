"""From a source to class folders: what to search, what to fetch next, and where.

One thread decides and writes; others wait for the network, one per host. A class takes its offers
in the order in which its source gave them and leaves out only those that cannot be had, so that the
photos of a run do not depend on which host was faster. The exception is a host that fails or takes
long: what it owes is no longer waited for, and the next offers go ahead.
"""

import hashlib
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from imgcli.collect.http.client import Client
from imgcli.collect.http.errors import Denied, NotFetched
from imgcli.collect.http.urls import host_of
from imgcli.collect.imports.labelled_photo import NotTaken
from imgcli.collect.ingest import Store, open_store
from imgcli.collect.scrape.accept import Arrivals, Check, Fetched
from imgcli.collect.scrape.class_goal import Class, Task
from imgcli.collect.scrape.host_queue import Hosts
from imgcli.collect.scrape.journal import OPEN, Item, Journal, State, open_journal
from imgcli.collect.scrape.search_result import Order, Page, Provider, Search, Terms
from imgcli.collect.scrape.spool import Received, Spool
from imgcli.errors import DataError
from imgcli.image_types import HEAD, refusal
from imgcli.progress import counter, note
from imgcli.records import Rejected
from imgcli.text import count, printable

Outcome = Page | Fetched | NotFetched | NotTaken | DataError

TICK = 1.0  # seconds after which slow hosts are looked for
BARREN = 20  # pages without a new offer, after which a search only repeats itself
FRESH = timedelta(days=1)  # for which a search that came to its end is not begun again


@dataclass(frozen=True)
class Scraped:
    """What became of the classes asked for, in this run and those before it."""

    added: int
    skipped: int  # photos that were there already
    rejected: tuple[Rejected, ...]  # for good; path is the URL
    deferred: tuple[Rejected, ...]  # for the next run
    classes: dict[str, int]  # photos per class in the whole output folder
    short: dict[str, int]  # photos that a class lacks of those asked for
    interrupted: int  # requests that were cut off in an earlier run, and made again


def scrape(order: Order, out: Path, *, client: Client, check: Check, terms: Terms) -> Scraped:
    """Fetch photos into `out/<class>/`, going on where an earlier run stopped.

    Args:
        check: decodes a received photo whole.

    Raises:
        StorageError: `out` is someone else's or in use, or its journal is damaged.
    """
    with open_store(out) as store:
        store.begin()
        with open_journal(store.folder) as journal:
            spool = Spool(store.folder)
            spool.sweep(journal.unfinished())
            try:
                return _Scrape(order.provider, store, journal, spool, client, check, terms).run(
                    order
                )
            finally:
                spool.close()


class _Scrape:
    def __init__(
        self,
        provider: Provider,
        store: Store,
        journal: Journal,
        spool: Spool,
        client: Client,
        check: Check,
        terms: Terms,
    ) -> None:
        self._provider = provider
        self._store = store
        self._journal = journal
        self._spool = spool
        self._client = client
        self._check = check
        self._terms = terms
        self._arrivals = Arrivals(store, journal, self._withdrawn)
        self._hosts: Hosts[tuple[Task, Outcome]] = Hosts()
        self._waiting: defaultdict[str, deque[Task]] = defaultdict(deque)
        self._classes: dict[str, Class] = {}
        self._added: set[int] = set()  # items placed in this run
        self._interrupted = 0  # items asked for again
        # What other options, or another try, would change is not for the journal.
        self._refused: list[Rejected] = []
        self._postponed: list[Rejected] = []

    def run(self, order: Order) -> Scraped:
        """Everything until nothing more can be done."""
        self._refused += order.rejected
        for label, goal in order.goals.items():
            own = [search for search in order.searches if search.label == label]
            self._classes[label] = self._resume(label, goal, own)
        with counter("scrape", sum(order.goals.values()), "photos") as bar:
            while True:
                for wanted in self._classes.values():
                    self._top_up(wanted)
                self._start()
                if not self._hosts or all(c.lacking <= 0 for c in self._classes.values()):
                    break  # what is still flying then comes from slow hosts
                self._await()
                bar.set_postfix_str(self._standing(), refresh=False)
                bar.update(sum(c.placed for c in self._classes.values()) - bar.n)
        return self._result()

    # --- a class --------------------------------------------------------------------------------

    def _resume(self, label: str, goal: int, searches: Sequence[Search]) -> Class:
        """A class as earlier runs left it."""
        source = self._provider.name
        for item in self._journal.items(source, label, "decoded"):
            if self._arrivals.recover(item).state == "placed":
                self._spool.drop(item)
        placed = self._journal.items(source, label, "placed")
        return Class(
            label,
            goal,
            deque(search for search in searches if self._is_open(search)),
            placed=sum(self._arrivals.is_there(item) for item in placed),
            offers=deque(self._journal.items(source, label, *OPEN)),
        )

    def _is_open(self, search: Search) -> bool:
        _, ended = self._journal.cursor(self._provider.name, search)
        return ended is None or datetime.fromisoformat(ended) < datetime.now(UTC) - FRESH

    def _top_up(self, wanted: Class) -> None:
        """Queue as many offers as the class has room for, and a search if it has no more."""
        while wanted.room(self._hosts.is_slow) > 0:
            if wanted.offers:
                self._queue(wanted, wanted.offers.popleft())
            elif not wanted.searches or wanted.searching:
                return
            else:
                self._search(wanted, wanted.searches[0])

    def _queue(self, wanted: Class, item: Item) -> None:
        """Let an offer wait for its host, if nothing speaks against it."""
        objection = self._terms.objection(item.offer.licence)
        if objection is not None:
            self._refused.append(Rejected(item.offer.file_url, objection))
            return
        try:
            host = host_of(item.offer.file_url)
        except NotFetched as error:
            self._journal.store(item, "rejected", str(error))
            return
        wanted.queued[host] += 1
        self._waiting[host].append(Task(wanted, item))

    def _search(self, wanted: Class, search: Search) -> None:
        """Let the search's next page wait for its host, before all photos."""
        cursor, _ = self._journal.cursor(self._provider.name, search)
        address = self._provider.address(search, cursor)
        if address is None:
            self._found(wanted, self._read(search, cursor))
            return
        try:
            host = host_of(address)
        except NotFetched as error:
            self._found(wanted, error)
            return
        wanted.searching = True
        self._waiting[host].appendleft(Task(wanted))

    # --- hosts ----------------------------------------------------------------------------------

    def _start(self) -> None:
        """Give every free host something to do."""
        for host, tasks in self._waiting.items():
            while tasks and self._hosts.is_free(host):
                task = tasks.popleft()
                if task.item is not None:
                    task.wanted.queued[host] -= 1
                if not task.wanted.takes_more(self._hosts.is_slow):
                    self._put_back(task)
                elif task.item is None or self._is_open_item(task.item):
                    task.wanted.flying[host] += task.item is not None
                    self._hosts.start(host, self._work(task))

    def _put_back(self, task: Task) -> None:
        """Its class is full, as long as none of its photos turns out to be none."""
        if task.item is None:
            task.wanted.searching = False
        else:
            task.wanted.offers.appendleft(task.item)

    def _is_open_item(self, item: Item) -> bool:
        """Whether it is still to be fetched; another class may have been offered it meanwhile."""
        return self._journal.item(item.id).state in OPEN

    def _work(self, task: Task) -> Callable[[], tuple[Task, Outcome]]:
        """What to do for a task, in another thread, where nothing of this object is changed."""
        if (item := task.item) is not None:
            if not self._spool.has(item):
                self._interrupted += item.state == "asked"
                self._journal.store(item, "asked")
            return lambda: (task, self._fetch(item))
        search = task.wanted.searches[0]
        cursor, _ = self._journal.cursor(self._provider.name, search)
        return lambda: (task, self._page(search, cursor))

    def _fetch(self, item: Item) -> Outcome:
        try:
            received = self._receive(item)
            reason = refusal(received.body[:HEAD])
            if reason is not None:
                return NotTaken(reason)
            checked = self._check(received.body)
        except (NotFetched, NotTaken) as error:
            return error
        return Fetched(hashlib.sha256(received.body).hexdigest(), checked, received.at)

    def _receive(self, item: Item) -> Received:
        """The answer for an item, from the host only if it is not here already."""
        answer = self._spool.answer(item)
        if answer is None:
            try:
                body = self._client.get(item.offer.file_url).body
                answer = Received(body, datetime.now(UTC).isoformat(timespec="seconds"))
            except NotFetched as error:
                answer = error
            if not isinstance(answer, Denied):  # never asked; with --allow-host it would be
                self._spool.keep(item, answer)
        if isinstance(answer, NotFetched):
            raise answer
        return answer

    def _page(self, search: Search, cursor: str) -> Outcome:
        """A page of a search, from the source only if it is not here already."""
        source = self._provider.name
        page: Outcome | None = self._spool.page(source, search, cursor)
        if page is None:
            page = self._read(search, cursor)
            if isinstance(page, Page):
                self._spool.keep_page(source, search, cursor, page)
        return page

    def _read(self, search: Search, cursor: str) -> Outcome:
        try:
            return self._provider.page(search, cursor)
        except (NotFetched, DataError) as error:
            return error
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            what = f"{type(error).__name__}: {error}"
            return DataError(f"{self._provider.name} answers in a form unknown here ({what}).")

    # --- outcomes -------------------------------------------------------------------------------

    def _await(self) -> None:
        """Deal with the next outcome, if one comes before slow hosts should be looked for."""
        arrived = self._hosts.wait(TICK)
        if arrived is None:
            return
        host, (task, outcome) = arrived
        if task.item is None:
            task.wanted.searching = False
            self._found(task.wanted, outcome)
        else:
            task.wanted.flying[host] -= 1
            self._arrived(task.wanted, self._journal.item(task.item.id), outcome)
        self._hosts.done(host, failed=isinstance(outcome, NotFetched) and outcome.later)

    def _found(self, wanted: Class, outcome: Outcome) -> None:
        """A page of the class's first search, or why there is none."""
        search = wanted.searches[0]
        if not isinstance(outcome, Page):
            wanted.searches.popleft()
            later = isinstance(outcome, NotFetched) and outcome.later
            broken = Rejected(f"{self._provider.name}: {search.query}", str(outcome))
            (self._postponed if later else self._refused).append(broken)
            return
        cursor, _ = self._journal.cursor(self._provider.name, search)
        new = self._journal.add_page(self._provider.name, search, outcome)
        self._spool.drop_page(self._provider.name, search, cursor)
        met = [self._arrivals.meet(item) for item in new]
        wanted.offers += (item for item in met if item.state == "seen")
        wanted.barren = 0 if new else wanted.barren + 1
        if wanted.barren == BARREN:
            self._journal.add_page(self._provider.name, search, Page((), cursor=None))
        if outcome.cursor is None or wanted.barren == BARREN:
            wanted.searches.popleft()
            wanted.barren = 0

    def _arrived(self, wanted: Class, item: Item, outcome: Outcome) -> None:
        """A photo, or why there is none."""
        if wanted.lacking <= 0 and item.state in OPEN:  # others were faster
            self._journal.store(item, "seen")  # and its answer stays in the spool
            return
        if item.state in OPEN:  # another class may have been offered it meanwhile
            self._settle(wanted, item, outcome)
        self._spool.drop(item)

    def _settle(self, wanted: Class, item: Item, outcome: Outcome) -> None:
        if isinstance(outcome, Fetched):
            if self._arrivals.take(item, outcome).state == "placed":
                wanted.placed += 1
                self._added.add(item.id)
                if wanted.lacking == 0:
                    note(printable(f"{wanted.label}: {count(wanted.placed, 'photo')}"))
        elif isinstance(outcome, NotFetched) and outcome.later:
            self._journal.store(item, "deferred", str(outcome))
        elif isinstance(outcome, Denied):  # never asked; with --allow-host it would be
            self._refused.append(Rejected(item.offer.file_url, str(outcome)))
            self._journal.store(item, "seen")
        else:
            self._journal.store(item, "rejected", str(outcome))

    def _withdrawn(self, item: Item) -> None:
        """A photo was taken out of its class again, which may be none of those asked for."""
        self._added.discard(item.id)
        wanted = self._classes.get(item.search.label)
        if wanted is not None and item.source == self._provider.name:
            wanted.placed -= 1

    # --- what is said ---------------------------------------------------------------------------

    def _standing(self) -> str:
        """How far the classes are that are not full yet."""
        open_ones = [wanted for wanted in self._classes.values() if wanted.lacking > 0]
        shown = ", ".join(f"{printable(c.label)} {c.placed:,}/{c.goal:,}" for c in open_ones[:3])
        return f"{shown}, …" if len(open_ones) > 3 else shown

    def _result(self) -> Scraped:
        placed = sum(wanted.placed for wanted in self._classes.values())
        return Scraped(
            added=len(self._added),
            skipped=placed - len(self._added) + len(self._listed("duplicate")),
            rejected=(*self._listed("rejected"), *self._refused),
            deferred=(*self._listed("deferred"), *self._postponed),
            classes=self._store.counts(),
            short={c.label: c.lacking for c in self._classes.values() if c.lacking > 0},
            interrupted=self._interrupted,
        )

    def _listed(self, state: State) -> list[Rejected]:
        return [
            Rejected(item.offer.file_url or item.offer.landing_url or item.source, item.reason)
            for label in self._classes
            for item in self._journal.items(self._provider.name, label, state)
        ]
