"""A client's state of hosts that another client has after it, judged by the hosts' logs."""

import time
from threading import Timer

import pytest

from imgcli.http.host_state import InMemoryHostState
from imgcli.http.request import NetLimits
from tests.support.fake_host import Answers, FakeHost, Reply
from tests.support.net import DELAY, PHOTO, QUICK, Net, refused


def test_the_next_client_waits_for_what_the_last_one_asked(net: Net) -> None:
    host, state = net.host({"/a.jpg": PHOTO}), InMemoryHostState()
    for _ in range(4):
        net.client(host, state=state, limits=NetLimits(delay=0.1)).get(host.url("/a.jpg"))
    assert min(host.gaps()) >= 0.1


def test_the_next_client_waits_after_a_try_to_connect_too(net: Net) -> None:
    state = InMemoryHostState()
    with FakeHost() as gone:
        pass
    limits = NetLimits(delay=0.3, tries=1)
    refused(net.client(gone, state=state, limits=limits), gone.url("/a.jpg"), api=True)
    start = time.monotonic()
    refused(net.client(gone, state=state, limits=limits), gone.url("/a.jpg"), api=True)
    assert time.monotonic() - start >= 0.25


def test_the_next_client_leaves_a_host_alone_that_wants_it(net: Net) -> None:
    host, state = (
        net.host({"/a.jpg": [Reply(429, {"Retry-After": "1"}), PHOTO]}),
        InMemoryHostState(),
    )
    once = NetLimits(delay=DELAY, tries=1)
    refused(net.client(host, state=state, limits=once), host.url("/a.jpg"), api=True)
    net.client(host, state=state).get(host.url("/a.jpg"), api=True)
    assert host.gaps()[0] >= 1.0


@pytest.mark.parametrize("robots", [b"User-agent: *\nDisallow: /b\nCrawl-delay: 0.1", Reply(404)])
def test_the_next_client_knows_the_robots(net: Net, robots: Answers) -> None:
    host, state = net.host({"/robots.txt": robots, "/a.jpg": PHOTO}), InMemoryHostState()
    for _ in range(3):
        client = net.client(host, state=state)
        client.get(host.url("/a.jpg"))
        if robots != Reply(404):
            assert "forbids it" in str(refused(client, host.url("/b.jpg")))
            assert min(host.gaps()) >= 0.1
    assert host.asked("/robots.txt") == 1 and host.asked("/b.jpg") == 0


def test_robots_hold_for_a_day(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    host, state = net.host({"/a.jpg": PHOTO}), InMemoryHostState()
    now = time.time()
    for hours, asked in ((0, 1), (23, 1), (25, 2)):
        monkeypatch.setattr("imgcli.http.robots.time", lambda h=hours: now + h * 3600)
        net.client(host, state=state).get(host.url("/a.jpg"))
        assert host.asked("/robots.txt") == asked


@pytest.mark.parametrize("robots", [Reply(500), Reply(429), Reply(hangs_up=True)])
def test_robots_that_are_closed_for_now_are_asked_again_by_the_next(
    net: Net, robots: Reply
) -> None:
    tries = QUICK.tries
    host = net.host({"/robots.txt": [*[robots] * tries, Reply(404)], "/a.jpg": PHOTO})
    state = InMemoryHostState()
    assert refused(net.client(host, state=state), host.url("/a.jpg")).later
    assert host.asked("/robots.txt") == tries
    assert net.client(host, state=state).get(host.url("/a.jpg")).body == PHOTO
    assert host.asked("/robots.txt") == tries + 1


def test_a_clock_that_was_put_back_holds_nobody_up(net: Net) -> None:
    host, state = net.host({"/a.jpg": PHOTO}), InMemoryHostState()
    with state.pace(host.url("")) as pace:
        pace.last_request = pace.not_before = time.time() + 1e6
    client = net.client(host, state=state)
    for _ in range(3):
        client.get(host.url("/a.jpg"))
    assert min(host.gaps()) >= DELAY


def test_a_slow_host_is_asked_as_often_as_it_allows(net: Net) -> None:
    host = net.host({"/a.jpg": Reply(body=PHOTO, wait=0.4)})
    client = net.client(host, limits=NetLimits(delay=0.4))
    for _ in range(4):
        client.get(host.url("/a.jpg"), api=True)
    # With the delay from the answer on it would be 0.8; 0.1 is for a request on its way.
    assert all(0.4 <= gap < 0.7 for gap in host.gaps())


def test_people_are_told_of_a_long_wait(net: Net, capsys: pytest.CaptureFixture[str]) -> None:
    host, state = net.host({"/a.jpg": PHOTO}), InMemoryHostState()
    with state.pace(host.url("")) as pace:
        pace.not_before = time.time() + 1800
    client = net.client(host, state=state)
    Timer(0.2, client.close).start()
    assert str(refused(client, host.url("/a.jpg"), api=True)) == "stopped"
    assert f"{host.at} wants to be left alone for 30 min; waiting." in capsys.readouterr().err
    assert host.log == []
