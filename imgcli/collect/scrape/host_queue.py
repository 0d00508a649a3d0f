"""Many hosts at once, one task at a time at each; and how many tasks a class still needs."""

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Generic, TypeVar

from imgcli.collect.scrape.journal import Item
from imgcli.collect.scrape.search_result import Search

Task = TypeVar("Task")
Event = TypeVar("Event")

MAX_BUSY = 128  # hosts at once; each costs a thread that mostly waits
SLOW_AFTER = 10.0  # seconds


class HostQueue(Generic[Task, Event]):
    """Tasks that wait for their host, and events of those that were started.

    All methods are called from one thread. A host is busy until its event is handled and the host
    released, so that what was fetched is safe before the next request.
    """

    def __init__(self) -> None:
        self._waiting: defaultdict[str, deque[Task]] = defaultdict(deque)
        self._since: dict[str, float] = {}  # busy hosts
        self._failed: set[str] = set()
        self._events: SimpleQueue[tuple[str, Event | Exception]] = SimpleQueue()

    def __len__(self) -> int:
        """Busy hosts."""
        return len(self._since)

    def add(self, host: str, task: Task, first: bool = False) -> None:
        """Let a task wait for its host, before all others if it is to be `first`."""
        waiting = self._waiting[host]
        (waiting.appendleft if first else waiting.append)(task)

    def ready(self) -> Iterator[tuple[str, Task]]:
        """Take tasks of free hosts; of each host, until one was started there."""
        for host, tasks in self._waiting.items():
            while tasks and self.is_free(host):
                yield host, tasks.popleft()

    def is_free(self, host: str) -> bool:
        """Whether work may be started at `host` now."""
        return host not in self._since and len(self._since) < MAX_BUSY

    def is_slow(self, host: str) -> bool:
        """Whether nothing should wait for `host`: it failed last time, or takes long."""
        since = self._since.get(host)
        return host in self._failed or (since is not None and monotonic() - since > SLOW_AFTER)

    def start(self, host: str, work: Callable[[], Event]) -> None:
        """Do `work` in a thread of its own, which Ctrl-C does not wait for."""
        assert self.is_free(host)
        self._since[host] = monotonic()
        threading.Thread(target=self._run, args=(host, work), name=host, daemon=True).start()

    def _run(self, host: str, work: Callable[[], Event]) -> None:
        try:
            self._events.put((host, work()))
        except Exception as error:  # raised by `wait`
            self._events.put((host, error))

    def wait(self, seconds: float) -> tuple[str, Event] | None:
        """The next event and its host; None if there was none for so long."""
        try:
            host, event = self._events.get(timeout=seconds)
        except Empty:
            return None
        if isinstance(event, Exception):
            raise event
        return host, event

    def release(self, host: str, failed: bool) -> None:
        """Its event is handled."""
        del self._since[host]
        (self._failed.add if failed else self._failed.discard)(host)


@dataclass
class ClassGoal:
    """How many photos a class should get, and how far it is."""

    label: str
    goal: int  # photos
    searches: deque[Search]  # those not exhausted; the first one is read
    placed: int = 0
    results: deque[Item] = field(default_factory=deque)  # found, not queued yet
    queued: Counter[str] = field(default_factory=Counter)  # waiting for their host, by host
    in_flight: Counter[str] = field(default_factory=Counter)  # being fetched, by host
    searching: bool = False
    pages_without_new: int = 0  # in succession, of the first search

    @property
    def missing(self) -> int:
        """Photos still to come."""
        return self.goal - self.placed

    def takes_more(self, is_slow: Callable[[str], bool]) -> bool:
        """Whether another photo may be fetched; photos in flight at slow hosts do not count."""
        return self.missing > _at_fast(self.in_flight, is_slow)

    def room(self, is_slow: Callable[[str], bool]) -> int:
        """How many more results should wait for their hosts.

        Photos of slow hosts do not count, but at most twice the goal is ever queued: all photos of
        a class may be at one slow host.
        """
        fast = _at_fast(self.in_flight, is_slow) + _at_fast(self.queued, is_slow)
        return min(self.missing - fast, 2 * self.goal - self.queued.total())


def _at_fast(counts: Counter[str], is_slow: Callable[[str], bool]) -> int:
    return sum(n for host, n in counts.items() if n and not is_slow(host))
