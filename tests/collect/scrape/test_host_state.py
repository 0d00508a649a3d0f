import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imgcli.collect.scrape.host_state import KEEP_SECONDS, open_host_state
from imgcli.errors import StorageError
from imgcli.http.client import Client
from imgcli.http.host_state import Pace
from imgcli.http.request import NetLimits
from tests.support.fake_host import FakeHost

A, B = "http://a.test:80", "https://b.test:443"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "made" / "hosts.sqlite"


def test_a_pace_and_robots_are_kept(place: Path) -> None:
    now = time.time()
    with open_host_state(place) as memory:
        assert memory.robots(A) is None
        with memory.pace(A) as pace:
            assert pace == Pace()
            pace.last_request = now
        assert memory.robots(A) is None
        memory.keep_robots(A, "User-agent: *\n", now + 9)
        memory.keep_robots(B, "", now + 8)
        memory.keep_robots(B, "", now + 10)
        with memory.pace(B) as pace:
            pace.not_before = now + 5
    with open_host_state(place) as memory:
        with memory.pace(A) as pace:
            assert pace == Pace(last_request=now)
        with memory.pace(B) as pace:
            assert pace == Pace(not_before=now + 5)
        assert memory.robots(A) == ("User-agent: *\n", now + 9)
        assert memory.robots(B) == ("", now + 10)


def test_what_holds_no_longer_is_forgotten(place: Path) -> None:
    now = time.time()
    with open_host_state(place) as memory:
        memory.keep_robots(A, "old", now - KEEP_SECONDS - 1)
        memory.keep_robots(B, "new", now + 1)
    with open_host_state(place) as memory:
        assert memory.robots(A) is None and memory.robots(B) is not None


def test_a_pace_has_one_user_at_a_time(place: Path) -> None:
    with open_host_state(place) as one, open_host_state(place) as other:

        def count(number: int) -> None:
            with (one, other)[number % 2].pace(A) as pace:
                before = pace.last_request
                time.sleep(0.001)
                pace.last_request = before + 1

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(count, range(40)))
        with one.pace(A) as pace:
            assert pace.last_request == 40


def test_two_clients_at_once_share_a_hosts_pace(place: Path) -> None:
    limits = NetLimits(delay=0.1)
    with FakeHost({"/a.jpg": b"photo"}) as host:

        def fetch(_: int) -> None:
            with open_host_state(place) as memory:
                with Client(allow_hosts=[host.at], limits=limits, state=memory) as client:
                    for _ in range(5):
                        client.get(host.url("/a.jpg"))

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(fetch, range(3)))
        assert host.asked("/a.jpg") == 15
        assert min(host.gaps()) >= 0.1


def test_who_comes_after_the_end_is_told(place: Path) -> None:
    with open_host_state(place) as memory:
        pass
    with pytest.raises(StorageError, match="closed"):
        with memory.pace(A):
            pass


def test_a_damaged_memory_is_said(place: Path) -> None:
    place.parent.mkdir()
    place.write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(StorageError, match=r"remembers when hosts were asked, .* move it away: th"):
        with open_host_state(place):
            pass


def test_a_memory_that_cannot_be_written_is_said(place: Path) -> None:
    with open_host_state(place):
        pass
    with sqlite3.connect(place) as database:  # a name that no host has, refused by a trigger
        database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON hosts "
            "BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
    database.close()
    with open_host_state(place) as memory:
        with pytest.raises(StorageError, match="disk is full"):
            memory.keep_robots(A, "", 1.0)
