"""A host on loopback that says exactly the bytes it is given, as no HTTP library would."""

import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

PHOTO = b"photo"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + PHOTO
END = b""  # in place of bytes: the connection is closed

# One answer: bytes, seconds to wait, or bytes to repeat for ever (in a list).
Answer = Sequence[bytes | float | list[bytes]]


class RawHost:
    """Says one of `answers` after the other, then only `GOOD`.

    Args:
        address: of loopback; one with a colon is IPv6.
    """

    def __init__(self, *answers: Answer, address: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._server = socket.create_server((address, 0), family=family)
        self.port = self._server.getsockname()[1]
        self.at = f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"
        self.heads: list[str] = []  # what was asked, without the empty line
        self.connections = 0
        self._answers = list(answers)
        self._stopped = threading.Event()

    def url(self, path: str) -> str:
        return f"http://{self.at}{path}"

    def paths(self) -> list[str]:
        return [head.split(" ")[1] for head in self.heads]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        received = b""
        with connection, suppress(OSError):
            while True:
                while b"\r\n\r\n" not in received:
                    if not (more := connection.recv(65536)):
                        return
                    received += more
                head, _, received = received.partition(b"\r\n\r\n")
                self.heads.append(head.decode())
                for piece in self._answers.pop(0) if self._answers else [GOOD]:
                    if piece == END:
                        return
                    self._say(connection, piece)

    def _say(self, connection: socket.socket, piece: bytes | float | list[bytes]) -> None:
        if isinstance(piece, bytes):
            connection.sendall(piece)
        elif isinstance(piece, float):
            self._stopped.wait(piece)
        else:
            while not self._stopped.is_set():
                connection.sendall(piece[0])
                time.sleep(0.001)
