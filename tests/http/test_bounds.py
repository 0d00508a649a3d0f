"""How much is taken, how long is waited, and what is not a whole answer."""

import gzip
import time

import pytest

from tests.support.fake_host import Reply
from tests.support.net import DELAY, IMPATIENT, PHOTO, Net, only, refused


@pytest.mark.parametrize("drips", ["body", "headers"])
def test_an_answer_that_drips_is_given_up_by_our_own_clock(net: Net, drips: str) -> None:
    start = time.monotonic()
    host, error = only(Reply(drips=drips), net, IMPATIENT)
    assert error.later and "took more than 0.5 s to answer" in str(error)
    assert host.asked("/a.jpg") == 1 and time.monotonic() - start < 15


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=bytes(5001)),
        Reply(body=bytes(5001), chunked=True),
        Reply(body=bytes(5001), lengthless=True),
        Reply(length=10**15),
        Reply(headers={"Content-Encoding": "gzip"}, body=gzip.compress(bytes(5001), mtime=0)),
    ],
)
def test_no_more_is_taken_than_asked_for(net: Net, reply: Reply) -> None:
    host, error = only(reply, net, max_bytes=5000)
    assert not error.later and "larger than 0.005 MB" in str(error)
    assert host.asked("/a.jpg") == 1


def test_exactly_as_much_as_allowed_is_taken(net: Net) -> None:
    host = net.host({"/a.jpg": bytes(5000), "/b.jpg": Reply(body=bytes(5000), chunked=True)})
    client = net.client(host)
    for path in ("/a.jpg", "/b.jpg"):
        assert len(client.get(host.url(path), max_bytes=5000).body) == 5000


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=PHOTO, length=len(PHOTO) + 1, cut_at=len(PHOTO)),
        Reply(body=PHOTO, cut_at=1),
        Reply(body=PHOTO, cut_at=0),
        Reply(body=PHOTO, chunked=True, cut_at=0),
        Reply(body=PHOTO, repeated=[("Content-Length", "17")]),
    ],
)
def test_fewer_bytes_than_promised_are_no_photo(net: Net, reply: Reply) -> None:
    host, error = only(reply, net)
    assert error.later and "broke off" in str(error)
    assert host.asked("/a.jpg") == 5


def test_more_bytes_than_promised_are_not_taken_for_the_next_answer(net: Net) -> None:
    host = net.host({"/a.jpg": Reply(body=PHOTO + b"HTTP/1.1 200 OK\r\n\r\n", length=len(PHOTO))})
    client = net.client(host)
    assert [client.get(host.url("/a.jpg")).body for _ in range(3)] == [PHOTO] * 3


def test_a_body_that_was_not_wanted_is_not_taken_for_the_next_answer(net: Net) -> None:
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    host = net.host({"/gone.jpg": Reply(404, body=evil, pause=3 * DELAY), "/a.jpg": PHOTO})
    client = net.client(host)
    refused(client, host.url("/gone.jpg"))
    assert client.get(host.url("/a.jpg")).body == PHOTO


@pytest.mark.parametrize("reply", [Reply(), Reply(lengthless=True), Reply(chunked=True)])
def test_no_bytes_are_a_failure(net: Net, reply: Reply) -> None:
    _, error = only(reply, net)
    assert not error.later and "sent no bytes" in str(error)


def test_compression_that_was_not_asked_for_is_undone(net: Net) -> None:
    packed = Reply(headers={"Content-Encoding": "gzip"}, body=gzip.compress(PHOTO, mtime=0))
    host = net.host({"/a.jpg": packed})
    assert net.client(host).get(host.url("/a.jpg")).body == PHOTO


@pytest.mark.parametrize(
    ("coding", "body", "reason"),
    [
        ("br", PHOTO, "compressed as 'br', which was not asked for"),
        ("gzip, gzip", PHOTO, "which was not asked for"),
        ("gzip", PHOTO, "'gzip' is not"),
        ("gzip", gzip.compress(PHOTO, mtime=0)[:-9], "'gzip' lacks its end"),
    ],
)
def test_compression_that_cannot_be_undone_is_refused(
    net: Net, coding: str, body: bytes, reason: str
) -> None:
    _, error = only(Reply(headers={"Content-Encoding": coding}, body=body), net)
    assert reason in str(error) and not error.later
