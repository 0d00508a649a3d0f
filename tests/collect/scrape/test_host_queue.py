import threading

import pytest

from imgcli.collect.scrape import host_queue as module
from imgcli.collect.scrape.host_queue import HostQueue


def test_a_host_is_busy_until_it_is_released() -> None:
    hosts: HostQueue[str, str] = HostQueue()
    hosts.start("a", lambda: "done")
    assert hosts.wait(5) == ("a", "done")
    assert not hosts.is_free("a") and hosts.is_free("b") and len(hosts) == 1
    hosts.release("a", failed=False)
    assert hosts.is_free("a") and len(hosts) == 0


def test_hosts_work_at_once() -> None:
    meeting = threading.Barrier(2, timeout=5)
    hosts: HostQueue[str, int] = HostQueue()
    hosts.start("a", meeting.wait)
    hosts.start("b", meeting.wait)
    events = [hosts.wait(5), hosts.wait(5)]
    assert {event[0] for event in events if event} == {"a", "b"}


def test_only_so_many_are_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BUSY", 1)
    hosts: HostQueue[str, int] = HostQueue()
    hosts.start("a", lambda: 1)
    assert not hosts.is_free("b")
    hosts.wait(5)


def test_a_host_that_failed_or_takes_long_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts: HostQueue[str, int] = HostQueue()
    hosts.start("a", lambda: 1)
    hosts.wait(5)
    assert not hosts.is_slow("a")
    monkeypatch.setattr(module, "SLOW_AFTER", 0)
    assert hosts.is_slow("a") and not hosts.is_slow("b")
    hosts.release("a", failed=True)
    assert hosts.is_slow("a")
    hosts.start("a", lambda: 1)
    hosts.wait(5)
    hosts.release("a", failed=False)
    assert not hosts.is_slow("a")


def test_nothing_for_so_long_is_none_and_a_mistake_is_not_swallowed() -> None:
    hosts: HostQueue[str, float] = HostQueue()
    assert hosts.wait(0.01) is None
    hosts.start("a", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        hosts.wait(5)
