"""A URL, parsed once by one parser, for every check and for the request."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urldefrag, urljoin, urlsplit

import requests
from urllib3.util import parse_url

from imgcli.collect.http.errors import NotFetched
from imgcli.errors import WrongUsage

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Target:
    """Where a request goes. The host is in ASCII and lower case, an IPv6 address without []."""

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
