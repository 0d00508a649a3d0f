"""Addresses of Ray clusters, and whether one answers there."""

import os
import socket
from contextlib import suppress
from pathlib import Path

_SECONDS = 4.0  # for an answer
# What a client of HTTP/2 begins with: its preface, and settings, of which it has none.
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS = 4  # the type of frame that a server begins with


def host_and_port(address: str) -> tuple[str, int] | None:
    """The host and port of `HOST:PORT` or `ray://HOST:PORT`; None where it is neither."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    host = host.removeprefix("[").removesuffix("]")  # of IPv6
    if not host or not colon or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        return None
    return None if set(host) & set("/ @") else (host, int(port))


def answers(host: str, port: int) -> str | None:
    """Why no cluster answers there within seconds; None where one does."""
    try:
        with socket.create_connection((host, port), _SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS", "0") != "0":  # which begins in another way
                return None
            connection.sendall(_HELLO)
            head = b""
            while len(head) < 4 and (more := connection.recv(4 - len(head))):
                head += more
    except OSError as error:
        return "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
    return None if head[3:] == bytes([_SETTINGS]) else "something else listens there"


def recorded() -> bool:
    """Whether `ray start` has started a cluster on this machine that answers."""
    with suppress(OSError, UnicodeDecodeError):
        folder = Path(os.environ.get("RAY_TMPDIR") or "/tmp")
        address = (folder / "ray/ray_current_cluster").read_text().strip()
        found = host_and_port(address)
        return found is not None and answers(*found) is None
    return False
