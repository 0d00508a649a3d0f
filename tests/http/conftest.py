"""Fake hosts, names that resolve as the test says, and a certificate for one of them."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.net import Net


@pytest.fixture
def net() -> Iterator[Net]:
    """Hosts and clients that are closed after the test."""
    net = Net()
    yield net
    net.close()


@pytest.fixture
def lookups() -> list[str]:
    """The names of `names` that were looked up."""
    return []


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch, lookups: list[str]) -> dict[str, list[str]]:
    """Addresses by name; other names, and addresses, are resolved as ever."""
    known: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if host not in known:
            return real(host, port, *args, **kwargs)
        lookups.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


@pytest.fixture
def certificate() -> str:
    """A self-signed certificate for photos.test with its key, made for these tests alone."""
    return str(Path(__file__).with_name("photos.test.pem"))
