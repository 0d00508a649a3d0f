"""A host on loopback that misbehaves in every way that was met, and keeps a log.

    with FakeHost({"/a.jpg": JPEG, "/b.jpg": [Reply(429), JPEG], "/robots.txt": b"…"}) as host:
        … client.get(host.url("/a.jpg")) …
        assert host.asked("/a.jpg") == 1

What it does is written in `Reply`; what it saw is in `host.log`. Any other path is 404.
"""

import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any, Self

DRIP = 0.02  # seconds between the bytes of an answer that drips


@dataclass(frozen=True)
class Reply:
    """One answer, told or mistold."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    repeated: Sequence[tuple[str, str]] = ()  # headers of which there are several
    length: int | None = None  # the Content-Length that is claimed; None: the true one
    lengthless: bool = False  # no Content-Length: the end of the connection ends the body
    chunked: bool = False
    cut_at: int | None = None  # bytes of the body after which the connection is closed
    wait: float = 0.0  # seconds before anything is said
    pause: float = 0.0  # seconds between the headers and the body
    drips: str = ""  # "body" or "headers": byte by byte, for ever
    hangs_up: bool = False  # closed without a word


@dataclass
class Seen:
    """One request, by the host's own clock."""

    time: float  # monotonic seconds, when its headers had been read
    host: str  # the Host header
    path: str  # with the query
    headers: Mapping[str, str]
    connection: int  # the client's port
    ended: float = 0.0  # when the answer was out


Answers = Reply | bytes | Sequence[Reply | bytes] | Callable[[str], Reply]


class FakeHost:
    """A host at 127.0.0.1 (or another loopback `address`) with a port of its own.

    Args:
        answers: by path without query: a reply, a body, a sequence of them of which the last
            stays, or a function of the path with query.
        certificate: PEM file with key; the host then speaks TLS.
    """

    def __init__(
        self,
        answers: Mapping[str, Answers] | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
        certificate: str | None = None,
    ) -> None:
        self.answers = dict(answers or {})
        self.log: list[Seen] = []
        self.names: list[str | None] = []  # that TLS connections asked for
        self.stopped = threading.Event()
        self.scheme = "https" if certificate else "http"
        self._turns: dict[str, int] = {}
        self._lock = threading.Lock()
        self._server = _Server((address, port), _Handler)
        self._server.fake = self
        if certificate:
            self._server.socket = self._with_tls(certificate)
        self.port = self._server.server_address[1]
        self.at = f"{address}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def url(self, path: str, name: str | None = None) -> str:
        return f"{self.scheme}://{f'{name}:{self.port}' if name else self.at}{path}"

    def asked(self, path: str) -> int:
        """How often a path was asked for, with any query."""
        return sum(seen.path.partition("?")[0] == path for seen in self.log)

    def gaps(self) -> list[float]:
        """Seconds from each request to the next."""
        times = [seen.time for seen in self.log]
        return [later - sooner for sooner, later in pairwise(times)]

    def overlaps(self) -> int:
        """How many requests came before the one before them was answered."""
        return sum(later.time < sooner.ended for sooner, later in pairwise(self.log))

    def reply(self, path: str) -> Reply:
        """The reply whose turn it is."""
        bare = path.partition("?")[0]
        answers = self.answers.get(bare, Reply(404, body=b"not here"))
        if callable(answers):
            return answers(path)
        if not isinstance(answers, Reply | bytes):
            with self._lock:
                turn = self._turns.get(bare, 0)
                self._turns[bare] = turn + 1
            answers = answers[min(turn, len(answers) - 1)]
        return Reply(body=answers) if isinstance(answers, bytes) else answers

    def _with_tls(self, certificate: str) -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.sni_callback = lambda _, name, __: self.names.append(name)  # type: ignore[assignment]
        return context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    fake: FakeHost

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or trusts us not, is nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        fake = self.server.fake
        host, headers = self.headers.get("Host", ""), dict(self.headers.items())
        seen = Seen(time.monotonic(), host, self.path, headers, self.client_address[1])
        fake.log.append(seen)
        reply = fake.reply(self.path)
        try:
            fake.stopped.wait(reply.wait)
            self._answer(reply)
        except OSError:
            self.close_connection = True
        finally:
            seen.ended = time.monotonic()

    def _answer(self, reply: Reply) -> None:
        if reply.hangs_up:
            self.close_connection = True
            return
        if reply.drips == "headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            self._drip()
            return
        self._head(reply)
        self.server.fake.stopped.wait(reply.pause)
        if reply.drips == "body":
            self._drip()
        elif reply.chunked:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(reply.body), reply.body))
            if reply.cut_at is None:
                self.wfile.write(b"0\r\n\r\n")
        else:
            self.wfile.write(reply.body[: reply.cut_at])
        if reply.cut_at is not None or reply.lengthless:
            self.close_connection = True

    def _head(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in (*reply.headers.items(), *reply.repeated):
            self.send_header(name, value)
        if reply.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif not reply.lengthless and not reply.drips:
            length = len(reply.body) if reply.length is None else reply.length
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _drip(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            while not self.server.fake.stopped.wait(DRIP):
                self.wfile.write(b".")

    def log_message(self, format: str, *args: Any) -> None:
        """Not on the tests' terminal."""
