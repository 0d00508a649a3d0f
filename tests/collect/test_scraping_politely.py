"""Scrapes after one another and at once are as polite as one: judged by the hosts' logs."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.fake_host import Answers, FakeHost, Reply
from tests.support.photos import photo

HOUSE = Path(__file__).resolve().parents[2]

# The command as it is typed, with a shorter delay. It waits for a word with everything imported, so
# that it asks at once: the start of Python alone would keep most delays.
PROGRAM = """
import sys
from functools import partial
from imgcli.cli.main import main
from imgcli.collect.scrape import engine, host_state, job
from imgcli.http import client
from imgcli.http.request import NetLimits
from imgcli.photos import decode
client.Client = partial(client.Client, limits=NetLimits(delay=float(sys.argv.pop(1))))
print("ready", flush=True)
sys.stdin.readline()
main()
"""


def prepared(
    folder: Path, host: FakeHost, n: int, delay: float, outs: list[str]
) -> list["subprocess.Popen[bytes]"]:
    """Scrapes of n photos, one per output folder, that begin when they are told to."""
    rows = [f"{host.url(f'/{number}.png')},cat,cc0" for number in range(n)]
    (folder / "table.csv").write_text("\n".join(["url,label,license", *rows]) + "\n")
    words = ["scrape", "urls", "table.csv", "--quiet", "--allow-host", host.at, "--out"]
    children = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(delay), *words, out],
            cwd=folder,
            env={"PYTHONPATH": str(HOUSE), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for out in outs
    ]
    for child in children:
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
    return children


def begin(child: "subprocess.Popen[bytes]") -> None:
    assert child.stdin is not None
    child.stdin.write(b"\n")
    child.stdin.flush()


def kill_after(child: "subprocess.Popen[bytes]", host: FakeHost, requests: int) -> None:
    """Kill a scrape when the host has seen so many requests of it.

    Until then it has heard an answer that comes at once, but none of `answers`.
    """
    target = len(host.log) + requests
    begin(child)
    while len(host.log) < target and child.poll() is None:
        time.sleep(0.001)
    time.sleep(0.2)
    child.send_signal(signal.SIGKILL)
    child.communicate()


def finish(*children: "subprocess.Popen[bytes]") -> None:
    for child in children:
        begin(child)
    for child in children:
        _, err = child.communicate(timeout=60)
        assert child.returncode == 0, err.decode()


def answers(n: int) -> dict[str, Answers]:
    """Photos that take long enough for a kill between a request and its answer."""
    return {f"/{number}.png": Reply(body=photo(number), wait=0.4) for number in range(n)}


@pytest.mark.parametrize(("delay", "crawl_delay"), [(0.5, 0.0), (0.005, 0.5)])
def test_killed_and_started_again_at_once_no_host_is_asked_too_soon(
    tmp_path: Path, delay: float, crawl_delay: float
) -> None:
    robots = f"User-agent: *\nCrawl-delay: {crawl_delay}".encode()
    with FakeHost({**answers(4), "/robots.txt": robots}) as host:
        *killed, last = prepared(tmp_path, host, 4, delay, ["raw"] * 4)
        for child, requests in zip(killed, (2, 1, 1), strict=True):
            kill_after(child, host, requests)
        finish(last)
        assert min(host.gaps()) >= 0.5
        assert host.asked("/robots.txt") == 1
        assert len(list((tmp_path / "raw/cat").iterdir())) == 4


def test_a_host_that_wants_to_be_left_alone_is_by_the_next_run(tmp_path: Path) -> None:
    busy = Reply(429, {"Retry-After": "2"})
    with FakeHost({**answers(1), "/0.png": [busy, photo(0)]}) as host:
        killed, last = prepared(tmp_path, host, 1, 0.005, ["raw"] * 2)
        kill_after(killed, host, 2)
        finish(last)
        assert [seen.path for seen in host.log] == ["/robots.txt", "/0.png", "/0.png"]
        assert host.gaps()[1] >= 2.0


def test_scrapes_into_two_folders_at_once_ask_a_host_as_one(tmp_path: Path) -> None:
    with FakeHost(answers(3)) as host:
        finish(*prepared(tmp_path, host, 3, 0.2, ["one", "other"]))
        assert len(host.log) in (7, 8) and min(host.gaps()) >= 0.2
