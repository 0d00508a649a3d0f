"""A class on its way to as many photos as are wanted of it."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from imgcli.collect.scrape.journal import Item
from imgcli.collect.scrape.search_result import Search


@dataclass
class Class:
    """How far one class is."""

    label: str
    goal: int  # photos
    searches: deque[Search]  # those that have not come to their end
    placed: int = 0
    flying: Counter[str] = field(default_factory=Counter)  # being fetched, by host
    queued: Counter[str] = field(default_factory=Counter)  # waiting, by host
    offers: deque[Item] = field(default_factory=deque)  # seen, not queued yet
    searching: bool = False
    barren: int = 0  # pages in succession without a new offer

    @property
    def lacking(self) -> int:
        """Photos that are still to come."""
        return self.goal - self.placed

    def takes_more(self, is_slow: Callable[[str], bool]) -> bool:
        """Whether another photo may be fetched, those being fetched from slow hosts left aside."""
        return self.lacking > _at_fast(self.flying, is_slow)

    def room(self, is_slow: Callable[[str], bool]) -> int:
        """How many more offers should wait for their hosts.

        Those of a slow host are not waited for, but no more than twice the goal is ever queued:
        all the photos of a class may lie at the one slow host.
        """
        fast = _at_fast(self.flying, is_slow) + _at_fast(self.queued, is_slow)
        return min(self.lacking - fast, 2 * self.goal - self.queued.total())


def _at_fast(counts: Counter[str], is_slow: Callable[[str], bool]) -> int:
    return sum(n for host, n in counts.items() if n and not is_slow(host))


@dataclass(frozen=True)
class Task:
    """A photo to fetch for a class, or, without an item, the next page of its search."""

    wanted: Class
    item: Item | None = None
