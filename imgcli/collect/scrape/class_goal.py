"""What a class still needs."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from imgcli.collect.scrape.journal import Item
from imgcli.collect.scrape.search_result import Search


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
