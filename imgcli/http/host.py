"""One host: one request at a time, on one connection, at its pace."""

import random
import ssl
import threading
from functools import partial
from time import time

from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from imgcli import progress
from imgcli.http.connection import HostSession
from imgcli.http.host_state import HostState
from imgcli.http.request import (
    Answer,
    NetLimits,
    NotConnected,
    NotFetched,
    Request,
    Target,
    Unreachable,
)
from imgcli.http.robots import RobotsFile
from imgcli.text import duration

OVERLOADED = (429, 503)
NOTE_WAIT_FROM = 30.0  # seconds
# Seconds that a request may be on its way. The delay to the next one begins when the host sees it,
# between sending and the answer. Counting from the answer would be certain, but would ask a slow
# host more rarely than it allows.
MAX_TRANSIT = 0.1


class Host:
    """A host in this run. `fetch` may be called from many threads."""

    def __init__(
        self,
        target: Target,  # any URL of it
        anywhere: bool,  # whether its addresses may be on the inside
        agent: str,
        limits: NetLimits,
        tls: ssl.SSLContext,
        state: HostState,
        closed: threading.Event,
    ) -> None:
        self.delay = limits.delay
        self.robots = RobotsFile(target.origin, state)
        self._at = target.at
        self._origin = target.origin
        self._limits = limits
        self._state = state
        self._closed = closed
        self._turn = threading.Lock()  # held from the wait for a request to its last byte
        self._turn_time = 0.0  # the `Pace.last_request` of the turn in use
        take_turn = partial(self._wait, take=True)
        self._session = HostSession(target, anywhere, agent, limits, tls, take_turn, self._answered)
        self._failures = 0
        self._overloads = 0
        self._last_problem = ""

    def fetch(self, request: Request) -> Answer:
        """One GET, when it is its turn: as `HostSession.fetch`, or `Unreachable`."""
        with self._turn:
            self._check_circuit()
            self._wait(take=False)
            try:
                return self._session.fetch(request)
            except NotConnected as error:
                with self._state.pace(self._origin) as pace:
                    pace.last_request = max(pace.last_request, time())
                self.record_failure(str(error))
                raise
            except BaseException:
                self._seen()
                raise

    def record_failure(self, problem: str) -> None:
        """Count a failure; after a few in succession the circuit opens and the host is skipped.

        Raises:
            Unreachable: the circuit is open.
        """
        self._failures += 1
        self._last_problem = problem
        self._check_circuit()

    def rest(self) -> None:
        """Close the connection if it is not in use."""
        if self._turn.acquire(blocking=False):
            try:
                self._session.close()
            finally:
                self._turn.release()

    def close(self) -> None:
        """End the request that is under way, if any; the client is closed already."""
        self._session.abort()
        self.rest()

    def _wait(self, take: bool) -> None:
        """Wait until the host may be requested; with `take`, take that turn."""
        while (left := self._left(take)) > 0 and not self._closed.is_set():
            if left > NOTE_WAIT_FROM + self.delay:
                wait = duration(left)
                progress.note(f"{self._at} wants to be left alone for {wait}; waiting.")
            self._closed.wait(left)
        if self._closed.is_set():
            raise NotFetched("stopped", later=True)

    def _left(self, take: bool) -> float:
        """Seconds until the host may be requested; at 0, a turn taken is stored before its use."""
        with self._state.pace(self._origin) as pace:
            left = max(pace.not_before, pace.last_request + self.delay) - time()
            if left > max(self._limits.longest_wait, self.delay) + MAX_TRANSIT:
                pace.last_request = pace.not_before = left = 0.0  # the clock was put back since
            if take and left <= 0:
                pace.last_request = self._turn_time = time() + MAX_TRANSIT
            return left

    def _seen(self) -> None:
        """Record that the host has seen the request by now."""
        with self._state.pace(self._origin) as pace:
            if pace.last_request == self._turn_time:  # else another imgcli has had a turn since
                pace.last_request = min(pace.last_request, time())

    def _answered(self, head: Answer) -> None:
        """Record from an answer whether the host is overloaded, and its Retry-After."""
        self._seen()
        wait = retry_after(head, self._limits.longest_wait)
        if head.status not in OVERLOADED:
            self._failures = self._overloads = 0
        else:
            self._overloads = min(self._overloads + 1, self._limits.tries)
            wait = backoff(self._overloads, self._limits.backoff) if wait is None else wait
        if wait is not None:
            with self._state.pace(self._origin) as pace:
                pace.not_before = max(pace.not_before, time() + wait)

    def _check_circuit(self) -> None:
        if self._failures >= self._limits.failures:
            raise Unreachable(
                self._at,
                f"{self._at} is skipped after {self._failures} failures in succession, "
                f"the last: {self._last_problem}",
                later=True,
            )


def retry_after(answer: Answer, longest: float) -> float | None:
    """Seconds of the answer's Retry-After, a number or a date; None without a valid one."""
    try:
        return min(Retry().parse_retry_after(answer.headers["Retry-After"]), longest)
    except (KeyError, HTTPError, ValueError, OverflowError):
        return None


def backoff(tries: int, first: float) -> float:
    """Seconds to wait after `tries` failed ones, with jitter, so that programs do not collide."""
    return first * 2.0 ** (tries - 1) * random.uniform(1.0, 1.5)


def retriable(status: int) -> bool:
    """Whether the same request may succeed another time."""
    return status in (408, 429) or status >= 500
