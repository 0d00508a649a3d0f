from collections import deque

from imgcli.collect.scrape.class_goal import Class


def wanted(**state: object) -> Class:
    return Class("cat", 10, deque(), **state)  # type: ignore[arg-type]


def is_slow(host: str) -> bool:
    return host == "slow"


def test_room_is_what_is_neither_placed_nor_on_its_way() -> None:
    cats = wanted(placed=3)
    cats.flying["a"] = 1
    cats.queued["a"] = 2
    assert (cats.lacking, cats.room(is_slow), cats.takes_more(is_slow)) == (7, 4, True)


def test_slow_hosts_are_not_waited_for_without_end() -> None:
    cats = wanted(placed=2)
    cats.flying["slow"] = 1
    cats.queued["slow"] = 5
    assert cats.room(is_slow) == 8
    cats.queued["slow"] = 20
    assert cats.room(is_slow) == 0


def test_a_class_takes_no_more_than_its_goal() -> None:
    cats = wanted(placed=9)
    assert cats.takes_more(is_slow)
    cats.flying["a"] = 1
    assert not cats.takes_more(is_slow)
    cats.flying = cats.flying.__class__({"slow": 1})
    assert cats.takes_more(is_slow)
