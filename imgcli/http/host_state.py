"""Pace and robots.txt of hosts, beyond one request."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol


@dataclass
class Pace:
    """When a host may be requested again follows from these; in seconds since 1970.

    Only that clock continues when a process, or the machine, is started again.
    """

    last_request: float = 0.0  # the latest time at which the host saw it
    not_before: float = 0.0  # by its Retry-After, or because it was overloaded


class HostState(Protocol):
    """Pace and robots.txt by origin, such as "https://photos.example:443"; safe from any thread.

    If it outlives the process, the next run and one at the same time are as polite as this one.
    """

    def pace(self, origin: str) -> AbstractContextManager[Pace]:
        """A host's pace, to read and change, locked meanwhile.

        Changes are stored when the context ends, and survive a kill.
        """

    def robots(self, origin: str) -> tuple[str, float] | None:
        """A host's robots.txt and until when it holds, if one is stored."""

    def keep_robots(self, origin: str, text: str, until: float) -> None:
        """Store a robots.txt; an empty one means that there is none."""


class InMemoryHostState:
    """Ends with the process. `Host` has a lock, so a pace has one user at a time."""

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
