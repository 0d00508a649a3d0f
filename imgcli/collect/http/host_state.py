"""What is known of hosts beyond one request, and where it is kept."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol


@dataclass
class Pace:
    """When a host may be asked again depends on these; in seconds since 1970.

    That clock and no other goes on when a process, or the machine, is started again.
    """

    last_request: float = 0.0  # when the host saw it, at the latest
    not_before: float = 0.0  # by its Retry-After, or because it was overloaded


class HostState(Protocol):
    """Pace and robots.txt by origin, such as "https://photos.example:443"; safe from any thread.

    One that outlives the process makes the next run, and one at the same time, as polite as this.
    """

    def pace(self, origin: str) -> AbstractContextManager[Pace]:
        """A host's pace, to look at and to change; nobody else does so meanwhile.

        What was changed is safe from a kill when the context ends.
        """

    def robots(self, origin: str) -> tuple[str, float] | None:
        """A host's robots.txt and until when it holds, if one was kept."""

    def keep_robots(self, origin: str, text: str, until: float) -> None:
        """Keep a robots.txt that was read; an empty one stands for there being none."""


class InMemoryHostState:
    """Ends with the process. `Host` sees to it that a pace has one user at a time."""

    def __init__(self) -> None:
        self._paces: defaultdict[str, Pace] = defaultdict(Pace)
        self._robots: dict[str, tuple[str, float]] = {}

    @contextmanager
    def pace(self, origin: str) -> Iterator[Pace]:
        yield self._paces[origin]

    def robots(self, origin: str) -> tuple[str, float] | None:
        return self._robots.get(origin)

    def keep_robots(self, origin: str, text: str, until: float) -> None:
        self._robots[origin] = (text, until)
