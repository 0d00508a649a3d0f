"""`Client.get`: all of imgcli's requests to the internet.

For each URL, and each that a redirect leads to: check robots.txt and the addresses of the host,
wait for its turn, send one GET, and repeat it only where that may help.
"""

import os
import ssl
import threading
from collections.abc import Mapping, Sequence
from http.client import responses
from typing import Self

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from imgcli import __version__
from imgcli.errors import WrongUsage
from imgcli.http.host import OVERLOADED, Host, backoff, retriable
from imgcli.http.host_state import HostState, InMemoryHostState
from imgcli.http.request import (
    MAX_BYTES,
    Answer,
    Broken,
    NetLimits,
    NotFetched,
    Request,
    Target,
    allowed_host,
    redirected,
    target_of,
)
from imgcli.http.robots import MAX_ROBOTS_BYTES, Rules, closed_by, forbidden_use, rules_of

WHOLE = (200, 203)
PART = 206
REDIRECTS = (301, 302, 303, 307, 308)
MAX_IDLE = 100  # connections that may be open without being used
AGENT = f"imgcli/{__version__}"
CONTACT = "IMGCLI_CONTACT"  # environment variable


class Client:
    """Fetches URLs; usable from many threads, each of which waits only for its own host."""

    def __init__(
        self,
        contact: str | None = None,
        allow_hosts: Sequence[str] = (),
        limits: NetLimits | None = None,
        state: HostState | None = None,
    ) -> None:
        """Make a client; nothing is fetched yet.

        Args:
            contact: an address for the operators of hosts; default: the environment's
                IMGCLI_CONTACT.
            allow_hosts: HOST:PORT that are permitted although they are not on the open internet.
            state: pace and robots.txt of hosts, to be kept for the next run; it has to outlive
                the client.

        Raises:
            WrongUsage: a contact that no header can hold, an entry without host or port.
        """
        self._agent = user_agent(contact or os.environ.get(CONTACT))
        self._allowed = frozenset(map(allowed_host, allow_hosts))
        self._limits = limits or NetLimits()
        self._state = state or InMemoryHostState()
        self._tls = ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)
        self._closed = threading.Event()
        self._hosts: dict[str, Host] = {}
        self._hosts_lock = threading.Lock()

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        api: bool = False,
        max_bytes: int = MAX_BYTES,
    ) -> Answer:
        """Fetch a URL when its host may be requested.

        Args:
            headers: sent to the URL's own host only, not along a redirect to another one.
            api: the URL is of an API made for programs, to which robots.txt does not apply.
            max_bytes: of the body.

        Raises:
            NotFetched: with the reason; `later` says whether another run may fetch it.
        """
        target = target_of(url, params)
        api_origin = target.origin if api else None
        request = Request(target, _accept, headers or {}, max_bytes, api_origin)
        answer = self._follow(request)
        at = target_of(answer.url).at
        if answer.status not in WHOLE:
            raise NotFetched(f"{at} answered {_status(answer)}")
        if not answer.body:
            raise NotFetched(f"{at} sent no bytes")
        return answer

    def get_part(self, url: str, start: int, end: int, max_bytes: int = MAX_BYTES) -> Answer:
        """Fetch the bytes from `start` to before `end` of a file that a person named.

        No robots.txt is asked, which is for programs that find URLs by themselves.

        Args:
            max_bytes: of a body that comes whole (status 200) although a part was asked for.

        Returns:
            An answer of status 206, or one with the whole body.

        Raises:
            NotFetched: with the reason.
        """
        request = Request(target_of(url), _accept_part, max_bytes=max_bytes, part=(start, end - 1))
        answer = self._follow(request, obey_robots=False)
        if answer.status not in (PART, *WHOLE):
            raise NotFetched(f"{target_of(answer.url).at} answered {_status(answer)}")
        return answer

    def close(self) -> None:
        """End every `get` that is waiting or reading; they raise `NotFetched`."""
        self._closed.set()
        with self._hosts_lock:
            hosts = list(self._hosts.values())
        for host in hosts:
            host.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _follow(self, request: Request, obey_robots: bool = True) -> Answer:
        """The answer at the end of the redirects, each of which is checked like the first URL."""
        for _ in range(self._limits.redirects + 1):
            if obey_robots and request.target.origin != request.api_origin:
                self._check_robots(request.target)
            answer = self._try(request)
            if answer.status not in REDIRECTS:
                return answer
            request = request.redirected(answer.headers.get("Location", ""))
        raise NotFetched(f"redirected more than {self._limits.redirects} times")

    def _try(self, request: Request) -> Answer:
        """Request, and repeat where that may help."""
        host = self._host(request.target)
        for tries in range(1, self._limits.tries + 1):
            try:
                answer = host.fetch(request)
            except Broken as error:
                problem, overloaded = str(error), False
            else:
                if not retriable(answer.status):
                    return answer
                problem = f"{request.target.at} answered {_status(answer)}"
                overloaded = answer.status in OVERLOADED
            if tries < self._limits.tries and not overloaded:  # then the host waits by itself
                self._closed.wait(backoff(tries, self._limits.backoff))
        host.record_failure(problem)
        raise NotFetched(f"{problem}, {self._limits.tries} times", later=True)

    def _check_robots(self, target: Target) -> None:
        """Raise `NotFetched` if the host's robots.txt does not let us fetch `target`."""
        host = self._host(target)
        rules = host.robots.rules(lambda: self._read_robots(target))
        host.delay = max(self._limits.delay, rules.delay(AGENT))
        if rules.closed is not None:
            raise rules.closed
        if host.delay > self._limits.longest_delay:
            raise NotFetched(
                f"{target.at} asks for {host.delay:g} s between requests, "
                f"more than {self._limits.longest_delay:g} s"
            )
        if not rules.allow(target.url, AGENT):
            raise NotFetched(f"the robots.txt of {target.at} forbids it")

    def _read_robots(self, target: Target) -> Rules:
        robots = Request(redirected(target, "/robots.txt"), _is_2xx, max_bytes=MAX_ROBOTS_BYTES)
        try:
            answer = self._follow(robots, obey_robots=False)
        except NotFetched as error:
            return closed_by(target.at, error)
        return rules_of(answer, target.at)

    def _host(self, target: Target) -> Host:
        with self._hosts_lock:
            if target.origin not in self._hosts:
                if len(self._hosts) % MAX_IDLE == 0:
                    for other in self._hosts.values():
                        other.rest()
                anywhere = target.at in self._allowed
                shared = (self._agent, self._limits, self._tls, self._state, self._closed)
                self._hosts[target.origin] = Host(target, anywhere, *shared)
            return self._hosts[target.origin]


def user_agent(contact: str | None) -> str:
    """The User-Agent: "imgcli/0.1.0 (+me@example.org)".

    Raises:
        WrongUsage: the contact has characters that no header can hold.
    """
    if not contact:
        return AGENT
    if not (contact.isascii() and contact.isprintable()):
        raise WrongUsage(f"The contact '{contact}' must be an address in ASCII characters.")
    return f"{AGENT} (+{contact})"


def _accept(head: Answer) -> bool:
    """Whether an answer's body is worth reading; raises where the host forbids our use of it."""
    if head.status not in WHOLE:
        return False
    directive = forbidden_use(head.headers.get("X-Robots-Tag", ""))
    if directive is not None:
        raise NotFetched(f"the host marks it '{directive}'")
    return True


def _accept_part(head: Answer) -> bool:
    return head.status == PART or _accept(head)


def _is_2xx(head: Answer) -> bool:
    return 200 <= head.status < 300


def _status(answer: Answer) -> str:
    """ "404 Not Found"; the phrase is the standard's, since the host's own could be anything."""
    return f"{answer.status} {responses.get(answer.status, '')}".rstrip()
