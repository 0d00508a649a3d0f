"""One host: one request at a time, on one connection, never sooner than it may be asked."""

import ssl
import threading
from collections.abc import Callable, Mapping
from time import time

from urllib3.connection import HTTPConnection

from imgcli import progress
from imgcli.collect.net import wire
from imgcli.collect.net.addresses import addresses_of
from imgcli.collect.net.answer import Answer, Broken, NotFetched, Unreachable
from imgcli.collect.net.limits import NetLimits
from imgcli.collect.net.memory import Memory
from imgcli.collect.net.pacing import LATENESS, OVERLOADED, asked_wait, backoff
from imgcli.collect.net.robots import Rules
from imgcli.collect.net.urls import Target
from imgcli.wording import duration

TOLD = 30.0  # seconds of waiting that people are told of


class Host:
    """A host in this run. `ask` may be called from many threads."""

    def __init__(
        self,
        target: Target,  # any URL of it
        anywhere: bool,  # whether its addresses may be on the inside
        limits: NetLimits,
        tls: ssl.SSLContext,
        memory: Memory,
        closed: threading.Event,
    ) -> None:
        self.delay = limits.delay
        self.rules: Rules | None = None
        self.rules_until = 0.0  # seconds since 1970
        self.rules_lock = threading.Lock()
        self._at = target.at
        self._origin = target.origin
        self._anywhere = anywhere
        self._limits = limits
        self._tls = tls
        self._memory = memory
        self._closed = closed
        self._turn = threading.Lock()  # held from the wait for a request to its last byte
        self._taken = 0.0  # the turn in use, as `Pace.asked`
        self._addresses: list[str] = []
        self._connection: HTTPConnection | None = None
        self._watchdog: wire.Watchdog | None = None
        self._strikes = 0
        self._overloads = 0
        self._last_problem = ""

    def ask(
        self,
        target: Target,
        headers: Mapping[str, str],
        most: int,
        wanted: Callable[[Answer], bool],
    ) -> Answer:
        """One GET, when it is its turn; `wanted` says of an answer's head whether to read on.

        Raises:
            NotFetched: denied, too large, too slow, or of a host that is put aside.
            Broken: another try may help.
        """
        with self._turn:
            self._check_aside()
            self._wait(take=False)
            connection = self._connected(target)
            self._wait(take=True)  # another imgcli may have been faster

            def heard(head: Answer) -> bool:
                self._seen()
                self._learn(head)
                return wanted(head)

            try:
                answer = self._timed(connection, target, headers, most, heard)
            except BaseException:
                self._seen()
                self._disconnect()
                raise
            if not answer.body:  # one not read would be taken for the next answer
                self._disconnect()
            return answer

    def strike(self, problem: str) -> None:
        """Count a failure; after a few in succession the host is put aside.

        Raises:
            Unreachable: it is.
        """
        self._strikes += 1
        self._last_problem = problem
        self._check_aside()

    def rest(self) -> None:
        """Close the connection if it is not in use."""
        if self._turn.acquire(blocking=False):
            try:
                self._disconnect()
            finally:
                self._turn.release()

    def close(self) -> None:
        """End the request that is under way, if any; the client is closed already."""
        if self._watchdog is not None:
            self._watchdog.fire()
        self.rest()

    def _wait(self, take: bool) -> None:
        """Until the host may be asked; then `take` that turn, which nobody else has."""
        while (left := self._left(take)) > 0 and not self._closed.is_set():
            if left > TOLD + self.delay:
                wait = duration(left)
                progress.note(f"{self._at} wants to be left alone for {wait}; waiting.")
            self._closed.wait(left)
        if self._closed.is_set():
            raise NotFetched("stopped", later=True)

    def _left(self, take: bool) -> float:
        """Seconds until the host may be asked. Without any, a turn taken is kept before its use."""
        with self._memory.pace(self._origin) as pace:
            left = max(pace.held_until, pace.asked + self.delay) - time()
            if left > max(self._limits.longest_wait, self.delay) + LATENESS:
                pace.asked = pace.held_until = left = 0.0  # the clock was put back since
            if take and left <= 0:
                pace.asked = self._taken = time() + LATENESS
            return left

    def _seen(self) -> None:
        """The host has seen the request by now."""
        with self._memory.pace(self._origin) as pace:
            if pace.asked == self._taken:  # else another imgcli has had a turn since
                pace.asked = min(pace.asked, time())

    def _check_aside(self) -> None:
        if self._strikes >= self._limits.strikes:
            raise Unreachable(
                self._at,
                f"{self._at} was put aside after {self._strikes} failures in succession, "
                f"the last: {self._last_problem}",
                later=True,
            )

    def _connected(self, target: Target) -> HTTPConnection:
        """The connection that is open, or a new one to the next of the checked addresses."""
        if self._connection is not None and self._connection.is_connected:
            return self._connection
        self._disconnect()
        try:
            if not self._addresses:
                self._addresses = addresses_of(target, self._anywhere)
            address = self._addresses.pop(0)
            self._addresses.append(address)
            self._connection = wire.connect(target, address, self._tls, self._limits.connect)
        except Broken as error:
            with self._memory.pace(self._origin) as pace:
                pace.asked = max(pace.asked, time())
            self.strike(str(error))
            raise
        return self._connection

    def _timed(
        self,
        connection: HTTPConnection,
        target: Target,
        headers: Mapping[str, str],
        most: int,
        heard: Callable[[Answer], bool],
    ) -> Answer:
        """The answer, within the time that one may take."""
        connection.timeout = self._limits.read
        assert connection.sock is not None
        with wire.Watchdog(connection.sock, self._limits.seconds) as self._watchdog:
            self._check_time()  # the client may have been closed while this connected
            try:
                answer = wire.ask(connection, target, headers, most, heard)
            except Broken:
                self._check_time()
                raise
            self._check_time()  # an answer without a length looks whole when it was cut short
            return answer

    def _check_time(self) -> None:
        """Whether an answer came in time."""
        if self._closed.is_set():
            raise NotFetched("stopped", later=True)
        if self._watchdog is not None and self._watchdog.fired:
            seconds = duration(self._limits.seconds)
            raise NotFetched(f"{self._at} took more than {seconds} to answer", later=True)

    def _learn(self, head: Answer) -> None:
        """Take from an answer whether the host is well, and how long it wants to be left alone."""
        wait = asked_wait(head, self._limits.longest_wait)
        if head.status not in OVERLOADED:
            self._strikes = self._overloads = 0
        else:
            self._overloads = min(self._overloads + 1, self._limits.tries)
            wait = backoff(self._overloads, self._limits.backoff) if wait is None else wait
        if wait is not None:
            with self._memory.pace(self._origin) as pace:
                pace.held_until = max(pace.held_until, time() + wait)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
