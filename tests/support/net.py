"""A client, and hosts on loopback that it may ask."""

from contextlib import ExitStack
from typing import Any

import pytest

from imgcli.http.client import Client
from imgcli.http.request import NetLimits, NotFetched
from tests.support.fake_host import Answers, FakeHost

PHOTO = b"\xff\xd8\xff" + bytes(1000)
DELAY = 0.02
QUICK = NetLimits(delay=DELAY, connect=20, read=20, seconds=20, backoff=0.004)
IMPATIENT = NetLimits(delay=DELAY, connect=20, read=0.3, seconds=0.5, backoff=0.004)


class Net:
    """A client, and hosts on loopback that it may ask."""

    def __init__(self, limits: NetLimits = QUICK) -> None:
        self.limits = limits
        self._stack = ExitStack()
        self._clients: list[Client] = []

    def host(self, answers: dict[str, Answers], **kwargs: Any) -> FakeHost:
        return self._stack.enter_context(FakeHost(answers, **kwargs))

    def client(self, *hosts: FakeHost | str, **kwargs: Any) -> Client:
        allowed = [host if isinstance(host, str) else host.at for host in hosts]
        client = Client(allow_hosts=allowed, limits=kwargs.pop("limits", self.limits), **kwargs)
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self._stack.close()


def refused(client: Client, url: str, **kwargs: Any) -> NotFetched:
    with pytest.raises(NotFetched) as caught:
        client.get(url, **kwargs)
    return caught.value


def only(
    reply: Answers, net: Net, limits: NetLimits = QUICK, **kwargs: Any
) -> tuple[FakeHost, NotFetched]:
    """What comes of a photo that is answered so."""
    host = net.host({"/a.jpg": reply})
    error = refused(net.client(host, limits=limits), host.url("/a.jpg"), **kwargs)
    assert min(host.gaps(), default=1.0) >= DELAY
    return host, error
