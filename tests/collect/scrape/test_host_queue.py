import threading

import pytest

from imgcli.collect.scrape import host_queue as module
from imgcli.collect.scrape.host_queue import Hosts


def test_a_host_is_busy_until_its_outcome_is_dealt_with() -> None:
    hosts: Hosts[str] = Hosts()
    hosts.start("a", lambda: "done")
    assert hosts.wait(5) == ("a", "done")
    assert not hosts.is_free("a") and hosts.is_free("b") and len(hosts) == 1
    hosts.done("a", failed=False)
    assert hosts.is_free("a") and len(hosts) == 0


def test_hosts_work_at_once() -> None:
    meeting = threading.Barrier(2, timeout=5)
    hosts: Hosts[int] = Hosts()
    hosts.start("a", meeting.wait)
    hosts.start("b", meeting.wait)
    outcomes = [hosts.wait(5), hosts.wait(5)]
    assert {outcome[0] for outcome in outcomes if outcome} == {"a", "b"}


def test_only_so_many_are_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BUSY", 1)
    hosts: Hosts[int] = Hosts()
    hosts.start("a", lambda: 1)
    assert not hosts.is_free("b")
    hosts.wait(5)


def test_a_host_that_failed_or_takes_long_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts: Hosts[int] = Hosts()
    hosts.start("a", lambda: 1)
    hosts.wait(5)
    assert not hosts.is_slow("a")
    monkeypatch.setattr(module, "PATIENCE", 0)
    assert hosts.is_slow("a") and not hosts.is_slow("b")
    hosts.done("a", failed=True)
    assert hosts.is_slow("a")
    hosts.start("a", lambda: 1)
    hosts.wait(5)
    hosts.done("a", failed=False)
    assert not hosts.is_slow("a")


def test_nothing_for_so_long_is_none_and_a_mistake_is_not_swallowed() -> None:
    hosts: Hosts[float] = Hosts()
    assert hosts.wait(0.01) is None
    hosts.start("a", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        hosts.wait(5)
