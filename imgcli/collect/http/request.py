"""A GET request, its limits, and its answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from imgcli.collect.http.urls import Target, redirected

MB = 1_000_000
MAX_BYTES = 25 * MB  # of one body


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
    """The answer of a host. `Client.get` returns only whole ones of status 200 or 203."""

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

    def redirected(self, location: str) -> "Request":
        """The request that a redirect leads to; the headers are for the first origin alone.

        Raises:
            NotFetched: as `target_of`.
        """
        target = redirected(self.target, location)
        same = target.origin == self.target.origin
        return replace(self, target=target, headers=self.headers if same else {})
