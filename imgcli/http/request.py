"""A GET request: its URL, its limits, its answer, and the errors in place of one.

NotFetched           `str(error)` says why, for people, without the URL's query
├── Broken           a request that failed on the way; another one may succeed
│   └── NotConnected    and the host has not seen the request
└── Unreachable      the whole host cannot be fetched from, not only this URL
    └── Denied       a host that is not on the open internet, without --allow-host
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urldefrag, urljoin, urlsplit

import requests
from urllib3.util import parse_url

from imgcli.errors import WrongUsage

MB = 1_000_000
MAX_BYTES = 25 * MB  # of one body
PORTS = {"http": 80, "https": 443}


class NotFetched(Exception):
    """A URL that was not fetched; `later` says whether another run may fetch it."""

    def __init__(self, reason: str, later: bool = False) -> None:
        super().__init__(reason)
        self.later = later


class Broken(NotFetched):
    def __init__(self, reason: str) -> None:
        super().__init__(reason, later=True)


class NotConnected(Broken):
    pass


class Unreachable(NotFetched):
    def __init__(self, at: str, reason: str, later: bool = False) -> None:
        super().__init__(reason, later)
        self.at = at


class Denied(Unreachable):
    pass


# --- URLs ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """A URL, parsed once, for every check and for the request.

    The host is in ASCII and lower case, an IPv6 address without [].
    """

    url: str
    scheme: str
    host: str
    port: int
    path: str  # with the query

    @property
    def at(self) -> str:
        """The host as people write it: "photos.example:443", "[::1]:8000"."""
        return f"{self._bracketed}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.at}"

    @property
    def host_header(self) -> str:
        return self._bracketed if self.port == PORTS[self.scheme] else self.at

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def target_of(url: str, params: Mapping[str, str] | None = None) -> Target:
    """Read a URL, its host in any spelling.

    Raises:
        NotFetched: not http(s), with a user name or password, or not a URL.
    """
    try:
        whole = urldefrag(requests.Request("GET", url, params=params).prepare().url or "").url
        parts = parse_url(whole)
        path = requests.Request("GET", whole).prepare().path_url
    except ValueError:  # requests' and urllib3's errors are ValueErrors, too
        raise NotFetched("no URL that could be fetched") from None
    host = (parts.host or "").strip("[]").rstrip(".")
    if parts.scheme not in PORTS or not host:
        raise NotFetched("no http or https URL")
    if parts.auth is not None:
        raise NotFetched("the URL holds a user name or password")
    return Target(whole, parts.scheme, host, parts.port or PORTS[parts.scheme], path)


def redirected(target: Target, location: str) -> Target:
    """Where a redirect from `target` leads; `location` may be relative and in raw UTF-8.

    Raises:
        NotFetched: as `target_of`.
    """
    try:
        there = urljoin(target.url, location.encode("latin-1").decode("utf-8"))
    except ValueError:  # neither in UTF-8 nor in the Latin-1 of headers
        raise NotFetched(f"{target.at} redirects to no URL") from None
    return target_of(there)


def host_of(url: str) -> str:
    """The host of a URL, by which to queue: "photos.example:443".

    Raises:
        NotFetched: as `target_of`.
    """
    return target_of(url).at


def allowed_host(entry: str) -> str:
    """A HOST:PORT of `--allow-host` as `Target.at` has it.

    Raises:
        WrongUsage: no host, or no port.
    """
    try:
        parts = urlsplit(f"//{entry}")
        if parts.port and parts.netloc == entry and "@" not in entry:
            return target_of(f"http://{entry}/").at
    except (ValueError, NotFetched):
        pass
    raise WrongUsage(f"--allow-host wants HOST:PORT, such as 127.0.0.1:8000, not '{entry}'.")


# --- requests and answers -----------------------------------------------------------------------


@dataclass(frozen=True)
class NetLimits:
    """Limits of `Client`; tests use smaller ones."""

    delay: float = 1.0  # seconds from one request to the next, per host, at least
    longest_delay: float = 60.0  # seconds; a host whose robots.txt asks for more is skipped
    connect: float = 5.0  # seconds
    read: float = 15.0  # seconds without a byte
    seconds: float = 60.0  # for one answer, from the request to its last byte
    tries: int = 5  # requests for one URL
    backoff: float = 1.0  # seconds before the second try; twice that before the third, and so on
    longest_wait: float = 3600.0  # seconds that a Retry-After is followed
    redirects: int = 5
    failures: int = 3  # in succession, after which a host is left for the next run


@dataclass(frozen=True)
class Answer:
    """The answer of a host; `Client.get` returns only whole ones, of status 200 or 203."""

    url: str  # after redirects, with its query, which may hold a key: never show or store an API's
    status: int
    headers: Mapping[str, str]  # case-insensitive; repeated ones joined by ", "
    body: bytes = b""


@dataclass(frozen=True)
class Request:
    """A request to one host."""

    target: Target
    accept: Callable[[Answer], bool]  # by status and headers: whether to read the body; may raise
    headers: Mapping[str, str] = field(default_factory=dict)
    max_bytes: int = MAX_BYTES
    api_origin: str | None = None  # of an API made for programs, to which robots.txt does not apply
    part: tuple[int, int] | None = None  # first and last byte to ask for, along redirects too

    def redirected(self, location: str) -> "Request":
        """The request that a redirect leads to; the headers are for the first origin alone.

        Raises:
            NotFetched: as `target_of`.
        """
        target = redirected(self.target, location)
        same = target.origin == self.target.origin
        return replace(self, target=target, headers=self.headers if same else {})
