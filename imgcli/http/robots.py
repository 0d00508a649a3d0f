"""The rules of a host for programs: robots.txt, and the directives of X-Robots-Tag."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from time import time

from protego import Protego

from imgcli.http.host_state import HostState
from imgcli.http.request import MB, Answer, NotFetched, Unreachable

MAX_ROBOTS_BYTES = MB  # RFC 9309 wants at least 500 KiB to be read
ROBOTS_HOLD = 86_400.0  # seconds for which a robots.txt that was read holds
# "none" is short for "noindex, nofollow".
REFUSALS = frozenset({"noai", "noimageai", "noindex", "noimageindex", "none"})


def forbidden_use(directives: str) -> str | None:
    """The first directive of an X-Robots-Tag or a robots meta tag that forbids our use.

    One addressed to another program ("googlebot: noindex") counts as well.
    """
    for piece in re.split("[,;]", directives.lower()):
        name, _, directive = piece.rpartition(":")
        if directive.strip() in REFUSALS and name.strip() != "max-image-preview":
            return directive.strip()
    return None


@dataclass(frozen=True)
class Rules:
    """A host's robots.txt; `closed` is the reason if nothing may be fetched at all."""

    text: str = ""
    closed: NotFetched | None = None

    def delay(self, agent: str) -> float:
        """Seconds between requests that `agent` is asked for."""
        return self._robots.crawl_delay(agent) or 0.0

    def allow(self, url: str, agent: str) -> bool:
        return bool(self._robots.can_fetch(url, agent))

    @cached_property
    def _robots(self) -> Protego:
        return Protego.parse(self.text)


class RobotsFile:
    """The rules of one host, read when they are first needed and again after a day."""

    def __init__(self, origin: str, state: HostState) -> None:
        self._origin = origin
        self._state = state
        self._lock = Lock()
        self._rules = Rules()
        self._until = 0.0  # seconds since 1970

    def rules(self, read: Callable[[], Rules]) -> Rules:
        """The rules in force; `read` requests them from the host.

        A robots.txt that could not be read holds for this run alone; the next one asks again.
        """
        with self._lock:
            if time() > self._until:
                text, self._until = self._state.robots(self._origin) or ("", 0.0)
                self._rules = Rules(text)
            if time() > self._until:
                self._rules, self._until = read(), time() + ROBOTS_HOLD
                if self._rules.closed is None:
                    self._state.keep_robots(self._origin, self._rules.text, self._until)
            return self._rules


def rules_of(answer: Answer, at: str) -> Rules:
    """2xx is read, 4xx permits everything, anything else permits nothing.

    429 and 408 never come here, since `Client` raises after all tries. They are 4xx, but do not
    mean that there is no robots.txt, as 404 does; a host without time for that one file has none
    for its photos.
    """
    if 200 <= answer.status < 300:
        return Rules(answer.body.decode("utf-8-sig", errors="replace"))
    if 400 <= answer.status < 500:
        return Rules()
    return closed_by(at, NotFetched(f"it answered {answer.status}", later=True))


def closed_by(at: str, error: NotFetched) -> Rules:
    """The rules of a host whose robots.txt could not be read: nothing may be fetched."""
    if isinstance(error, Unreachable) and error.at == at:
        return Rules(closed=error)
    why = NotFetched(f"the robots.txt of {at} cannot be read: {error}", later=error.later)
    return Rules(closed=why)
