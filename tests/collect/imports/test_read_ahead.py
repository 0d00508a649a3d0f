"""Photos that are read before their turn: in order, no more than are allowed, members in theirs."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.collect.imports.labelled_photo import LabelledPhoto, NotTaken
from imgcli.collect.imports.read_ahead import AT_ONCE, HELD, read_ahead
from imgcli.records import Rejected


def item(number: int, kind: str, log: list[int]) -> LabelledPhoto | Rejected:
    if kind == "rejected":
        return Rejected(str(number), "no photo")

    def read() -> bytes:
        log.append(number)
        if kind == "broken":
            raise NotTaken(str(number))
        return str(number).encode()

    ahead = 0 if kind == "member" else HELD // 3 if kind == "large" else 10
    return LabelledPhoto("a", kind, str(number), read, ahead=ahead)


@given(st.lists(st.sampled_from(["early", "large", "member", "rejected", "known", "broken"])))
def test_order_and_content_stay(kinds: list[str]) -> None:
    log: list[int] = []
    found = read_ahead(
        (item(n, kind, log) for n, kind in enumerate(kinds)), lambda one: one.name == "known"
    )
    for number, (kind, one) in enumerate(zip(kinds, found, strict=True)):
        if isinstance(one, Rejected):
            assert (kind, one.path) == ("rejected", str(number))
        elif kind == "broken":
            with pytest.raises(NotTaken, match=str(number)):
                one.read()
        elif kind != "known":
            assert one.read() == str(number).encode()
    assert sorted(log) == [n for n, kind in enumerate(kinds) if kind not in ("known", "rejected")]


def test_a_member_is_read_before_the_next_one_is_looked_for() -> None:
    log: list[int] = []
    found: list[int] = []

    def members() -> Iterator[LabelledPhoto | Rejected]:
        for number, kind in enumerate(["early", "member", "member", "early"]):
            found.append(number)
            yield item(number, kind, log)

    for one in read_ahead(members(), lambda _: False):
        if one.ahead == 0:  # type: ignore[union-attr]
            assert found[-1] == int(one.origin)  # type: ignore[union-attr]
        one.read()  # type: ignore[union-attr]


def test_no_more_are_under_way_than_are_allowed() -> None:
    running = most = listed = 0
    lock, started = threading.Lock(), threading.Semaphore(0)
    go_on = threading.Event()

    def read() -> bytes:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        started.release()
        go_on.wait(10)
        with lock:
            running -= 1
        return b""

    def photos() -> Iterator[LabelledPhoto | Rejected]:
        nonlocal listed
        for number in range(5 * AT_ONCE):
            listed += 1
            yield LabelledPhoto("a", "x", str(number), read, ahead=10)

    ahead = read_ahead(photos(), lambda _: False)
    next(ahead)
    for _ in range(AT_ONCE):
        assert started.acquire(timeout=10)
    assert (most, listed) == (AT_ONCE, AT_ONCE + 1)
    go_on.set()
    assert sum(1 for one in ahead) == 5 * AT_ONCE - 1
    assert most <= AT_ONCE
