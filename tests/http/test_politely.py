"""How often hosts are asked and what they forbid, judged by their logs."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from imgcli.http.request import Answer, NetLimits, NotFetched
from tests.support.fake_host import Answers, FakeHost, Reply
from tests.support.net import DELAY, PHOTO, Net, only, refused


def test_robots_are_asked_once_and_obeyed(net: Net) -> None:
    robots = b"User-agent: *\nDisallow: /private\n"
    host = net.host({"/robots.txt": robots, "/a.jpg": PHOTO, "/private/b.jpg": PHOTO})
    client = net.client(host)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(client.get, [host.url("/a.jpg")] * 4))
    error = refused(client, host.url("/private/b.jpg"))
    assert str(error) == f"the robots.txt of {host.at} forbids it" and not error.later
    assert host.asked("/robots.txt") == 1 and host.asked("/private/b.jpg") == 0
    assert host.log[0].path == "/robots.txt"


def test_robots_are_obeyed_where_a_redirect_leads(net: Net) -> None:
    there = net.host({"/robots.txt": b"User-agent: imgcli\nDisallow: /", "/b.jpg": PHOTO})
    host = net.host({"/a.jpg": Reply(302, {"Location": there.url("/b.jpg")})})
    assert "forbids it" in str(refused(net.client(host, there), host.url("/a.jpg")))
    assert there.asked("/b.jpg") == 0


@pytest.mark.parametrize(
    ("robots", "may"),
    [
        (Reply(404), True),
        (Reply(403), True),
        (Reply(410), True),
        (Reply(204), True),
        (Reply(200), True),
        (Reply(302, {"Location": "/elsewhere.txt"}), False),
        (Reply(302, {"Location": "http://10.0.0.1/robots.txt"}), False),
        (Reply(500), False),
        (Reply(503), False),
        (Reply(429), False),
        (Reply(hangs_up=True), False),
        (Reply(body=b"#" * 1_000_001), False),
    ],
)
def test_without_robots_it_depends_on_why(net: Net, robots: Reply, may: bool) -> None:
    elsewhere = b"User-agent: *\nDisallow: /"
    host = net.host({"/robots.txt": robots, "/elsewhere.txt": elsewhere, "/a.jpg": PHOTO})
    client = net.client(host)
    if may:
        assert client.get(host.url("/a.jpg")).body == PHOTO
    else:
        assert "robots.txt of" in str(refused(client, host.url("/a.jpg")))
        asked = len(host.log)
        refused(client, host.url("/a.jpg"))  # the answer is remembered
        assert host.asked("/a.jpg") == 0 and len(host.log) == asked
    assert client.get(host.url("/a.jpg"), api=True).body == PHOTO


def test_crawl_delay_is_kept_and_a_long_one_skips_the_host(net: Net) -> None:
    slow = net.host({"/robots.txt": b"User-agent: *\nCrawl-delay: 0.2", "/a.jpg": PHOTO})
    long = net.host({"/robots.txt": b"User-agent: *\nCrawl-delay: 61", "/a.jpg": PHOTO})
    client = net.client(slow, long)
    for _ in range(3):
        client.get(slow.url("/a.jpg"))
    assert min(slow.gaps()) >= 0.2
    error = refused(client, long.url("/a.jpg"))
    assert "asks for 61 s between requests, more than 60 s" in str(error) and not error.later
    assert long.asked("/a.jpg") == 0


def test_a_host_is_asked_by_one_at_a_time_and_never_too_soon(net: Net) -> None:
    answers: dict[str, Answers] = {
        "/a.jpg": PHOTO,
        "/slow.jpg": Reply(body=PHOTO, wait=0.12),
        "/broken.jpg": Reply(body=PHOTO, cut_at=100),
        "/moved.jpg": Reply(302, {"Location": "/a.jpg"}),
        "/busy.jpg": [Reply(503, {"Retry-After": "0"}), PHOTO],
        "/gone.jpg": Reply(410),
    }
    host = net.host(answers)
    client = net.client(host)

    def fetch(path: str) -> Answer | None:
        try:
            return client.get(host.url(path))
        except NotFetched:
            return None

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fetch, [*answers] * 2))
    assert min(host.gaps()) >= DELAY
    assert host.overlaps() == 0
    assert len(host.log) == 1 + 2 + 2 + 10 + 4 + 3 + 2  # robots.txt, then the paths in order


def test_many_hosts_are_asked_at_the_pace_that_each_allows(net: Net) -> None:
    hosts = [net.host({"/a.jpg": PHOTO, "/robots.txt": b""}) for _ in range(3)]
    client = net.client(*hosts, limits=NetLimits(delay=0.2))
    n = 6

    def fetch(host: FakeHost) -> None:
        for _ in range(n):
            client.get(host.url("/a.jpg"))

    start = time.monotonic()
    with ThreadPoolExecutor(len(hosts)) as pool:
        list(pool.map(fetch, hosts))
    taken = time.monotonic() - start
    assert all(min(host.gaps()) >= 0.2 for host in hosts)
    assert taken < 1.5 * n * 0.2  # robots.txt and n photos leave n gaps


def in_two_seconds() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)


@pytest.mark.parametrize(("status", "when"), [(429, lambda: "1"), (503, in_two_seconds)])
def test_retry_after_holds_the_host_back(net: Net, status: int, when: Callable[[], str]) -> None:
    def reply(path: str) -> Reply:
        first = host.asked(path) == 1
        return Reply(status, {"Retry-After": when()}) if first else Reply(body=PHOTO)

    host = net.host({"/a.jpg": reply})
    client = net.client(host)
    with ThreadPoolExecutor(2) as pool:
        assert all(a.body == PHOTO for a in pool.map(client.get, [host.url("/a.jpg")] * 2))
    assert host.gaps()[1] >= 0.95  # after robots.txt and the refusal; a date has whole seconds
    assert host.asked("/a.jpg") == 3


def test_retry_after_is_obeyed_on_a_good_answer_too(net: Net) -> None:
    host = net.host({"/api": [Reply(headers={"Retry-After": "1"}, body=b"maxlag"), b"{}"]})
    client = net.client(host)
    assert client.get(host.url("/api"), api=True).body == b"maxlag"
    assert client.get(host.url("/api"), api=True).body == b"{}"
    assert host.gaps()[0] >= 1.0


@pytest.mark.parametrize(
    "reply", [Reply(429), Reply(503), Reply(500), Reply(504), Reply(408), Reply(hangs_up=True)]
)
def test_a_temporary_failure_is_tried_five_times_then_deferred(net: Net, reply: Reply) -> None:
    host, error = only(reply, net)
    assert host.asked("/a.jpg") == 5
    assert error.later and "5 times" in str(error)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 418, 451, 202, 204, 206, 304, 300])
def test_other_answers_are_final(net: Net, status: int) -> None:
    host, error = only(Reply(status, body=PHOTO if status not in (204, 304) else b""), net)
    assert host.asked("/a.jpg") == 1
    assert not error.later and f"answered {status}" in str(error)


def test_four_failures_then_a_photo_is_a_photo(net: Net) -> None:
    host = net.host({"/a.jpg": [Reply(500), Reply(hangs_up=True), Reply(429), Reply(503), PHOTO]})
    assert net.client(host).get(host.url("/a.jpg")).body == PHOTO
    assert min(host.gaps()) >= DELAY


@pytest.mark.parametrize(
    "tags",
    [
        [("X-Robots-Tag", "noai")],
        [("x-robots-tag", "NOIMAGEINDEX")],
        [("X-Robots-Tag", "nofollow"), ("X-Robots-Tag", "imgcli: noimageai")],
    ],
)
def test_photos_marked_as_not_for_us_are_left(net: Net, tags: list[tuple[str, str]]) -> None:
    host, error = only(Reply(body=PHOTO, repeated=tags), net)
    assert not error.later and "marks it 'no" in str(error)
    assert host.asked("/a.jpg") == 1


def test_a_host_that_cannot_be_reached_is_skipped_and_blocks_nobody(net: Net) -> None:
    with FakeHost() as gone:
        pass
    host = net.host({"/a.jpg": PHOTO})
    client = net.client(gone, host)
    start = time.monotonic()
    for _ in range(20):
        error = refused(client, gone.url("/a.jpg"), api=True)
        assert error.later
    assert "skipped after 3 failures" in str(error) and "Connection refused" in str(error)
    assert client.get(host.url("/a.jpg")).body == PHOTO
    assert time.monotonic() - start < 2


def test_a_host_that_never_answers_is_skipped(net: Net) -> None:
    quick = NetLimits(delay=0.01, read=0.05, backoff=0.001)
    host = net.host({"/a.jpg": Reply(wait=5)})
    client = net.client(host, limits=quick)
    for _ in range(6):
        error = refused(client, host.url("/a.jpg"), api=True)
    assert "is skipped" in str(error) and "timed out" in str(error)
    assert host.asked("/a.jpg") == 3 * 5


def test_photos_that_fail_do_not_get_their_host_skipped(net: Net) -> None:
    bad = {f"/{n}.jpg": Reply(body=PHOTO, cut_at=9) for n in range(4)}
    host = net.host({**bad, "/a.jpg": PHOTO})
    client = net.client(host)
    for path in bad:
        assert "broke off" in str(refused(client, host.url(path)))
    assert client.get(host.url("/a.jpg")).body == PHOTO
