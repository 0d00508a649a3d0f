"""Answers that no HTTP library would send: a reason in time, and the next answer is right."""

import time

import pytest

from imgcli.http.request import NetLimits, target_of
from tests.support.net import Net, refused
from tests.support.raw_host import END, GOOD, PHOTO, Answer, RawHost

LIMITS = NetLimits(delay=0.005, connect=20, read=0.8, seconds=1.2, tries=2, backoff=0.001)
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 5\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
EVIL = [0.1, OK + b"Content-Length: 4\r\n\r\nevil"]  # said late, after the answer's end
LATE = "took more than 1.2 s to answer"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([b"lorem ipsum\r\n\r\n", END], "broke off (BadStatusLine)"),
        ([b"HTTP/1.1 abc OK\r\n\r\n", END], "broke off (BadStatusLine)"),
        ([b"HTTP/1.1 200 " + b"x" * 70_000, END], "broke off (LineTooLong)"),
        ([b"HTTP/2 200 OK\r\n\r\n", END], "broke off (UnknownProtocol)"),
        ([OK + b"X: " + b"x" * 70_000, END], "broke off (LineTooLong)"),
        ([OK, [b"x" * 1000]], "broke off (LineTooLong)"),
        ([OK, [b"X: y\r\n"]], "broke off (HTTPException)"),
        ([END], "broke off (RemoteDisconnected)"),
        ([1.0, END], "broke off (timed out)"),
        ([OK, b"Content-Length: 6\r\n" + LENGTH], "broke off (InvalidHeader)"),
        ([OK + LENGTH + b"ph", END], "broke off (IncompleteRead)"),
        ([CHUNKED + b"zz\r\n"], "broke off (InvalidChunkLength)"),
        ([CHUNKED + b"-5\r\n"], "broke off ("),
        ([CHUNKED + b"9\r\npho", END], "broke off (IncompleteRead)"),
        ([CHUNKED + b"5\r\nphoto\r\n", END], "broke off ("),
        ([CHUNKED + b"5;" + b"e" * 70_000], "broke off (ProtocolError)"),
        ([[b"HTTP/1.1 100 Continue\r\n\r\n"]], LATE),
        ([OK + b"\r\n", [b"."]], LATE),
        ([CHUNKED + b"ffffff\r\n", [b"."]], LATE),
        ([CHUNKED + b"5\r\nphoto\r\n0\r\n", [b"T: x\r\n"]], LATE),
    ],
)
def test_what_is_no_whole_answer_is_left_for_later_in_time(
    net: Net, answer: Answer, reason: str
) -> None:
    with RawHost(*[answer] * (1 if reason == LATE else LIMITS.tries)) as host:
        client = net.client(host.at, limits=LIMITS)
        start = time.monotonic()
        error = refused(client, host.url("/a.jpg"), api=True)
        assert time.monotonic() - start < 2
        assert error.later and reason in str(error)
        assert client.get(host.url("/a.jpg"), api=True).body == PHOTO


@pytest.mark.parametrize(
    "answer",
    [
        [GOOD],
        [b"HTTP/1.1 100 Continue\r\n\r\n" + GOOD],
        [OK + b"Content-Length: 5\r\n" + LENGTH + PHOTO],
        [OK + b"Set-Cookie: \xff=\xfe; expires=x; domain=..\r\n" + LENGTH + PHOTO],
        [OK + b'Content-Type: text/html; charset="\r\n' + LENGTH + PHOTO],
        [OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nphoto\r\n0\r\n\r\n"],
        [CHUNKED + b"2;x=y\r\nph\r\n3\r\noto\r\n0\r\nT: x\r\n\r\n"],
    ],
)
def test_what_is_odd_but_whole_is_taken_and_the_connection_kept(net: Net, answer: Answer) -> None:
    with RawHost(answer) as host:
        client = net.client(host.at, limits=LIMITS)
        for _ in range(2):
            assert client.get(host.url("/a.jpg"), api=True).body == PHOTO
        assert host.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        [b"HTTP/1.1 103 Early Hints\r\n\r\n", *EVIL],
        [b"HTTP/1.1 204 No Content\r\n\r\n", *EVIL],
        [b"HTTP/1.1 304 Not Modified\r\n\r\n", *EVIL],
        [b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", *EVIL],
        [OK + b"Content-Length: 0\r\n\r\n", *EVIL],
    ],
)
def test_what_comes_after_an_answer_without_body_is_not_the_next_one(
    net: Net, answer: Answer
) -> None:
    with RawHost(answer) as host:
        client = net.client(host.at, limits=LIMITS)
        assert not refused(client, host.url("/none.jpg"), api=True).later
        assert client.get(host.url("/a.jpg"), api=True).body == PHOTO


@pytest.mark.parametrize(
    "path",
    [
        *("/a//b", "//a.jpg", "///a", "//host:80/a", "/a%2fb", "/%7euser", "/a[1].jpg", "/a|b"),
        *("/?q=a b&x=%zz", "/../a", "/a/./b/../c", "/a;p?x=1;y", "/é?ü", "/%", "/a?", "/a??b"),
        *("/a#b?c", "/a\\b", "/a'(b)*", "/a%00b", "/a^b`{d}", "/a+b%20?d+e%20f", "/a:b@c"),
    ],
)
def test_what_is_asked_for_is_what_robots_were_asked_about(net: Net, path: str) -> None:
    with RawHost() as host:
        answer = net.client(host.at, limits=LIMITS).get(host.url(path), api=True)
        assert host.paths() == [target_of(host.url(path)).path]
        assert answer.url == host.url(host.paths()[0])


def test_a_host_may_be_an_ipv6_address(net: Net) -> None:
    try:
        host = RawHost(address="::1")
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with host:
        assert net.client(host.at).get(host.url("/a.jpg"), api=True).body == PHOTO
        assert f"\r\nHost: [::1]:{host.port}\r\n" in host.heads[0] + "\r\n"
        assert not refused(net.client(), host.url("/a.jpg"), api=True).later
        assert len(host.heads) == 1
