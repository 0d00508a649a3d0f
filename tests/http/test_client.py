"""What is sent and what comes back, judged by the log of the host that it came from."""

import os
import threading
import time
import traceback

import pytest

from imgcli import __version__
from imgcli.errors import WrongUsage
from imgcli.http.client import Client
from imgcli.http.request import NetLimits
from tests.support.fake_host import FakeHost, Reply
from tests.support.net import PHOTO, Net, refused


def test_a_photo_comes_back_whole(net: Net) -> None:
    host = net.host({"/a.jpg": Reply(body=PHOTO, headers={"Content-Type": "image/jpeg"})})
    answer = net.client(host).get(host.url("/a.jpg#top"), params={"size": "large"})
    assert answer.body == PHOTO and answer.status == 200
    assert answer.url == host.url("/a.jpg?size=large")
    assert answer.headers["content-TYPE"] == "image/jpeg"


def test_hosts_are_told_who_asks_and_nothing_else(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")  # the environment has no say
    host = net.host({"/a.jpg": Reply(body=PHOTO, headers={"Set-Cookie": "id=1"})})
    client = net.client(host, contact="me@example.org")
    for _ in range(2):
        client.get(host.url("/a.jpg"), headers={"Accept": "image/*"})
    sent = {key.lower(): value for key, value in host.log[-1].headers.items()}
    assert sent == {
        "host": host.at,
        "user-agent": f"imgcli/{__version__} (+me@example.org)",
        "accept-encoding": "identity",
        "accept": "image/*",
    }


def test_the_contact_may_be_in_the_environment(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGCLI_CONTACT", "https://example.org/us")
    host = net.host({"/a.jpg": PHOTO})
    net.client(host).get(host.url("/a.jpg"))
    assert host.log[-1].headers["User-Agent"] == f"imgcli/{__version__} (+https://example.org/us)"


@pytest.mark.parametrize("contact", ["me\r\nX-Evil: 1", "jürgen@example.org"])
def test_a_contact_that_no_header_can_hold_is_refused(contact: str) -> None:
    with pytest.raises(WrongUsage, match="must be an address in ASCII"):
        Client(contact)


def test_one_connection_serves_many_requests(net: Net) -> None:
    host = net.host({"/a.jpg": PHOTO, "/b.jpg": Reply(body=PHOTO, chunked=True)})
    client = net.client(host)
    for path in ("/a.jpg", "/b.jpg", "/a.jpg"):
        assert client.get(host.url(path)).body == PHOTO
    assert len({seen.connection for seen in host.log[1:]}) == 1  # after the 404 for robots.txt


def test_a_connection_that_the_host_closed_is_opened_anew(net: Net) -> None:
    host = net.host({"/a.jpg": Reply(body=PHOTO, lengthless=True)})
    client = net.client(host)
    assert [client.get(host.url("/a.jpg")).body for _ in range(2)] == [PHOTO, PHOTO]
    assert host.asked("/a.jpg") == 2


def test_connections_that_are_not_used_do_not_pile_up(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgcli.http.client.MAX_IDLE", 4)
    hosts = [net.host({"/a.jpg": PHOTO, "/robots.txt": b""}) for _ in range(12)]
    client = net.client(*hosts)
    before = len(os.listdir("/dev/fd"))
    for host in hosts:
        client.get(host.url("/a.jpg"))
    assert len(os.listdir("/dev/fd")) - before <= 2 * 4  # both ends are in this process
    assert client.get(hosts[0].url("/a.jpg")).body == PHOTO


def test_keys_in_queries_are_never_told(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    with FakeHost() as gone:
        pass
    odd = Reply(headers={"no colon\r\n bad": "1"}, body=PHOTO, cut_at=1)
    host = net.host(
        {"/odd": odd, "/cut": Reply(body=PHOTO, cut_at=1), "/404": Reply(404), "/500": Reply(500)}
    )
    client = net.client(host, gone)
    client.get(host.url("/odd"), params={"api_key": "SECRET"}, api=True)
    for url in (host.url("/cut"), host.url("/404"), host.url("/500"), gone.url("/")):
        error = refused(client, url, params={"api_key": "SECRET"}, api=True)
        assert "SECRET" not in "".join(traceback.format_exception(error))
    assert "SECRET" not in caplog.text
    assert host.log[0].path == "/odd?api_key=SECRET"


def test_closing_ends_those_who_wait_and_those_who_read(net: Net) -> None:
    host = net.host({"/held": Reply(429, {"Retry-After": "900"}), "/robots.txt": b""})
    drip = net.host({"/drip": Reply(drips="body"), "/robots.txt": b""})
    client = net.client(host, drip, limits=NetLimits(delay=0.01))
    errors = []
    threads = [
        threading.Thread(target=lambda url=url: errors.append(refused(client, url)))
        for url in [host.url("/held")] * 3 + [drip.url("/drip")] * 2
    ]
    for thread in threads:
        thread.start()
    while not (host.asked("/held") and drip.asked("/drip")):
        time.sleep(0.01)
    start = time.monotonic()
    client.close()
    for thread in threads:
        thread.join(5)
    assert time.monotonic() - start < 1
    assert [str(error) for error in errors] == ["stopped"] * 5
    assert all(error.later for error in errors)
    assert (host.asked("/held"), drip.asked("/drip")) == (1, 1)
