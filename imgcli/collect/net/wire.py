"""One request on one connection, to an address that was checked."""

import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from http.client import HTTPException
from types import TracebackType
from typing import Self

from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from imgcli.collect.net.answer import Answer, Broken, NotFetched
from imgcli.collect.net.limits import MB
from imgcli.collect.net.urls import Target

CHUNK = 1 << 16
# ValueError: a header that is no number, a socket that was shut down while TLS read from it.
FAILURES = (OSError, HTTPException, HTTPError, ValueError)
DECODED = {"gzip", "x-gzip", "deflate"}


class Watchdog:
    """Shuts a socket down when its time is up.

    A timeout of a socket holds for each read, so that an answer that drips would never end.
    """

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self.fired = False
        self._sock = sock
        self._timer = threading.Timer(seconds, self.fire)
        self._timer.daemon = True

    def fire(self) -> None:
        """End whatever waits for the socket, now."""
        self.fired = True
        with suppress(OSError):
            # Not SSLSocket's own, which takes TLS away under the thread that reads.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()


def connect(target: Target, address: str, tls: ssl.SSLContext, seconds: float) -> HTTPConnection:
    """Connect to `address`, and to nothing else; TLS speaks of, and verifies, the host's name.

    Raises:
        Broken: no connection, or not to that host.
    """
    connection: HTTPConnection
    if target.scheme == "https":
        connection = HTTPSConnection(
            address, target.port, timeout=seconds, ssl_context=tls, server_hostname=target.host
        )
    else:
        connection = HTTPConnection(address, target.port, timeout=seconds)
    try:
        connection.connect()
    except FAILURES as error:
        connection.close()
        raise Broken(f"no connection to {target.at} ({_why(error)})") from None
    return connection


def ask(
    connection: HTTPConnection,
    target: Target,
    headers: Mapping[str, str],
    most: int,
    heard: Callable[[Answer], bool],
) -> Answer:
    """Send one GET.

    Args:
        most: bytes of the body.
        heard: called with the answer's head; whether the body is wanted. It may raise.

    Raises:
        NotFetched: too large, or in a coding that is not read.
        Broken: the connection broke, or not all bytes came.
    """
    sent = {**headers, "Host": target.host_header, "Accept-Encoding": "identity"}
    try:
        connection.request("GET", target.path, headers=sent, preload_content=False)
        with closing(connection.getresponse()) as response:
            received = CaseInsensitiveDict(response.headers)
            head = Answer(target.url, response.status, received, b"")
            if not heard(head):
                return head
            body = _read(response, most)
    except FAILURES as error:
        raise Broken(f"the answer of {target.at} broke off ({_why(error)})") from None
    coding = received.get("Content-Encoding", "identity").strip().lower()
    return Answer(target.url, response.status, received, _decoded(body, coding, most))


def _read(response: HTTPResponse, most: int) -> bytes:
    """The body as it comes, counted; urllib3 compares its length with Content-Length."""
    too_large = NotFetched(f"larger than {most / MB:g} MB")
    if (response.length_remaining or 0) > most:
        raise too_large
    body = bytearray()
    for chunk in response.stream(CHUNK, decode_content=False):
        body += chunk
        if len(body) > most:
            raise too_large
    return bytes(body)


def _decoded(body: bytes, coding: str, most: int) -> bytes:
    """Undo a compression that we have not asked for, up to `most` bytes."""
    if coding in ("identity", ""):
        return body
    if coding not in DECODED:
        raise NotFetched(f"sent compressed as '{coding}', which was not asked for")
    inflate = zlib.decompressobj(zlib.MAX_WBITS + 32)  # of gzip or zlib, by its first bytes
    try:
        plain = inflate.decompress(body, most + 1)
    except zlib.error:
        raise NotFetched(f"what was sent as '{coding}' is not") from None
    if len(plain) > most:
        raise NotFetched(f"larger than {most / MB:g} MB when unpacked")
    if not inflate.eof:
        raise NotFetched(f"what was sent as '{coding}' lacks its end")
    return plain


def _why(error: BaseException) -> str:
    """A failure in few words; the libraries' own name objects, and may name URLs with keys."""
    cause = error.__cause__ or error
    if isinstance(cause, TimeoutError):
        return "timed out"
    words = getattr(cause, "verify_message", None) or getattr(cause, "strerror", None)
    return str(words or type(cause).__name__)
