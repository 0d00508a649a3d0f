"""One host by `requests`: a Session whose adapter connects to a checked address, by a deadline.

What requests does not do, and is done here: it connects to whatever a name resolves to at that
moment; its timeouts hold for each read, so that an answer that drips never ends; it reads the body
of a redirect that it is told not to follow; and it takes gzip that was cut short for whole.
"""

import logging
import socket
import ssl
import threading
import zlib
from collections import deque
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from imgcli.http.addresses import addresses_of
from imgcli.http.request import (
    MB,
    Answer,
    Broken,
    NetLimits,
    NotConnected,
    NotFetched,
    Request,
    Target,
)
from imgcli.text import duration

CHUNK = 1 << 16
# requests' own errors are OSErrors. ValueError: a header that is no number, a socket that was shut
# down while TLS read from it.
FAILURES = (OSError, HTTPException, HTTPError, ValueError)
DECODED = {"gzip", "x-gzip", "deflate"}

logging.getLogger("urllib3").setLevel(logging.CRITICAL)  # it logs URLs whole, keys included


class Deadline(threading.Timer):
    """Shuts a socket down when its time is up."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        super().__init__(seconds, self.expire)
        self.daemon = True
        self.passed = False
        self._sock = sock
        self.start()

    def expire(self) -> None:
        """End whatever waits for the socket, now."""
        self.passed = True
        with suppress(OSError):
            # Not SSLSocket's own, which takes TLS away under the thread that reads.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)


class _Plain(HTTPConnection):
    """Connects, and calls `connected` with the socket, before it sends a request."""

    def __init__(self, *args: Any, connected: Callable[[socket.socket], None], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._connected = connected

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.is_closed:
            self.connect()
        assert self.sock is not None
        self._connected(self.sock)
        super().request(*args, **kwargs)


class _TLS(_Plain, HTTPSConnection):
    """The same over TLS."""


class PinnedAdapter(HTTPAdapter):
    """Connects to the first of the session's addresses; all else speaks of its host."""

    def __init__(self, session: "HostSession", tls: ssl.SSLContext) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1)
        self._session = session
        self._tls = tls

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """The pool of the one connection, whose only proxy is none."""
        target, address = self._session.target, self._session.addresses[0]
        tls = {"ssl_context": self._tls, "server_hostname": target.host}
        pool = self.poolmanager.connection_from_host(address, target.port, target.scheme, tls)
        pool.ConnectionCls = _TLS if target.scheme == "https" else _Plain
        pool.conn_kw["connected"] = self._session.connected
        return pool

    def cert_verify(self, *args: Any) -> None:
        """The TLS context verifies; to load the authorities for each connection takes 40 ms."""


class HostSession(requests.Session):
    """Requests of one host, on one connection that stays open between them."""

    def __init__(
        self,
        target: Target,  # any URL of the host
        anywhere: bool,  # whether its addresses may be on the inside
        agent: str,
        limits: NetLimits,
        tls: ssl.SSLContext,
        take_turn: Callable[[], None],  # called when connected, before each request
        answered: Callable[[Answer], None],  # called with the status and headers of each answer
    ) -> None:
        super().__init__()
        self.target = target
        self.addresses: deque[str] = deque()
        self.trust_env = False  # no proxies, no .netrc, no other authorities
        self.headers.clear()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self.mount(scheme, PinnedAdapter(self, tls))
        self._fixed = {
            "Host": target.host_header,
            "User-Agent": agent,
            "Accept-Encoding": "identity",
        }
        self._anywhere = anywhere
        self._limits = limits
        self._take_turn = take_turn
        self._answered = answered
        self._deadline: Deadline | None = None
        self._aborted = False

    def fetch(self, request: Request) -> Answer:
        """Send one GET, and read the answer if the request accepts it.

        Raises:
            NotFetched: denied, too large, too slow, in a coding that is not read, not accepted,
                or aborted.
            NotConnected: no connection, or not to that host.
            Broken: the connection broke, or not all bytes came.
        """
        kept = False
        try:
            if not self.addresses:
                self.addresses.extend(addresses_of(self.target, self._anywhere))
            answer = self._answer(request)
            self._check_time()  # an answer without a length looks whole when it was cut short
            kept = bool(answer.body)  # what was not read would be taken for the next answer
            return answer
        except FAILURES as error:
            self._check_time()
            self.addresses.rotate(-1)
            at, why = self.target.at, _reason(error)
            if self._deadline is None:
                raise NotConnected(f"no connection to {at} ({why})") from None
            raise Broken(f"the answer of {at} broke off ({why})") from None
        finally:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None
            if not kept:
                self.close()  # the connection; the next request opens another

    def abort(self) -> None:
        """End the request that is under way, and every later one; from another thread."""
        self._aborted = True
        if (deadline := self._deadline) is not None:
            deadline.expire()

    def connected(self, sock: socket.socket) -> None:
        """The connection stands, and the request is sent when this returns."""
        self._take_turn()
        self._deadline = Deadline(sock, self._limits.seconds)
        self._check_time()  # it may have been aborted while this connected

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: requests would read the body of a redirect whole, whether it follows it or not."""

    def _check_time(self) -> None:
        if self._aborted:
            raise NotFetched("stopped", later=True)
        if self._deadline is not None and self._deadline.passed:
            seconds = duration(self._limits.seconds)
            raise NotFetched(f"{self.target.at} took more than {seconds} to answer", later=True)

    def _answer(self, request: Request) -> Answer:
        timeout = (self._limits.connect, self._limits.read)
        url, headers = request.target.url, {**request.headers, **self._fixed}
        if request.part is not None:
            headers["Range"] = "bytes={}-{}".format(*request.part)
        got = self.get(url, headers=headers, timeout=timeout, stream=True, allow_redirects=False)
        with closing(got):
            head = Answer(url, got.status_code, got.headers)
            self._answered(head)
            if not request.accept(head):
                return head
            body = _read(got, request.max_bytes)
        coding = head.headers.get("Content-Encoding", "identity").strip().lower()
        return replace(head, body=_decoded(body, coding, request.max_bytes))


def _read(response: requests.Response, max_bytes: int) -> bytes:
    """The body as it comes, counted; urllib3 compares its length with Content-Length."""
    too_large = NotFetched(f"larger than {max_bytes / MB:g} MB")
    if (response.raw.length_remaining or 0) > max_bytes:
        raise too_large
    body = bytearray()
    for chunk in response.raw.stream(CHUNK, decode_content=False):
        body += chunk
        if len(body) > max_bytes:
            raise too_large
    return bytes(body)


def _decoded(body: bytes, coding: str, max_bytes: int) -> bytes:
    """Undo a compression that was not asked for, up to `max_bytes`; requests ignores a cut end."""
    if coding in ("identity", ""):
        return body
    if coding not in DECODED:
        raise NotFetched(f"sent compressed as '{coding}', which was not asked for")
    inflate = zlib.decompressobj(zlib.MAX_WBITS + 32)  # of gzip or zlib, by its first bytes
    try:
        plain = inflate.decompress(body, max_bytes + 1)
    except zlib.error:
        raise NotFetched(f"what was sent as '{coding}' is not") from None
    if len(plain) > max_bytes:
        raise NotFetched(f"larger than {max_bytes / MB:g} MB when unpacked")
    if not inflate.eof:
        raise NotFetched(f"what was sent as '{coding}' lacks its end")
    return plain


def _reason(error: BaseException) -> str:
    """A failure in few words: of the innermost, since those around it may name URLs with keys."""
    while (inner := error.__cause__ or error.__context__) and type(inner) is not ValueError:
        error = inner
    if isinstance(error, TimeoutError):
        return "timed out"
    words = getattr(error, "verify_message", None) or getattr(error, "strerror", None)
    return str(words or type(error).__name__)
