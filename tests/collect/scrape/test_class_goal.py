from collections import deque

from imgcli.collect.scrape.host_queue import ClassGoal


def goal(**state: object) -> ClassGoal:
    return ClassGoal("cat", 10, deque(), **state)  # type: ignore[arg-type]


def is_slow(host: str) -> bool:
    return host == "slow"


def test_room_is_what_is_neither_placed_nor_on_its_way() -> None:
    cats = goal(placed=3)
    cats.in_flight["a"] = 1
    cats.queued["a"] = 2
    assert (cats.missing, cats.room(is_slow), cats.takes_more(is_slow)) == (7, 4, True)


def test_slow_hosts_are_not_waited_for_without_end() -> None:
    cats = goal(placed=2)
    cats.in_flight["slow"] = 1
    cats.queued["slow"] = 5
    assert cats.room(is_slow) == 8
    cats.queued["slow"] = 20
    assert cats.room(is_slow) == 0


def test_a_class_takes_no_more_than_its_goal() -> None:
    cats = goal(placed=9)
    assert cats.takes_more(is_slow)
    cats.in_flight["a"] = 1
    assert not cats.takes_more(is_slow)
    cats.in_flight = cats.in_flight.__class__({"slow": 1})
    assert cats.takes_more(is_slow)
