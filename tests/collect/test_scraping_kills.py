"""SIGKILL in the middle of a scrape: the rerun ends in the same tree and fetches nothing twice."""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from imgcli.collect.scrape.journal import open_journal
from imgcli.collect.scrape.spool import Spool
from tests.support.fake_host import FakeHost, Reply
from tests.support.photos import photo
from tests.support.trees import placed_files, provenance_lines

HOUSE = Path(__file__).resolve().parents[2]

# The command as it is typed, with a client that waits less; it may kill itself at its n-th
# opening or renaming of a file whose path has some words in it.
PROGRAM = """
import os, signal, sys
from functools import partial
from imgcli.http import client
from tests.support.providers import FAST
client.Client = partial(client.Client, limits=FAST)
left, where = int(sys.argv.pop(1)), sys.argv.pop(1)

def count(event, given):
    global left
    if event in ("open", "os.rename") and left > 0 and where in str(given[0]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
from imgcli.cli.main import main
main()
"""


def start(
    folder: Path, *hosts: FakeHost, events: int = 0, where: str = "raw"
) -> "subprocess.Popen[bytes]":
    allowed = [word for host in hosts for word in ("--allow-host", host.at)]
    words = ["scrape", "urls", "table.csv", "--json", *allowed]
    command = [sys.executable, "-c", PROGRAM, str(events), where, *words]
    return subprocess.Popen(
        command,
        cwd=folder,
        env={"PYTHONPATH": str(HOUSE), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def write_table(folder: Path, *hosts: FakeHost) -> None:
    """Twelve photos per host in two classes, one broken, one of which there are two, one gone."""
    rows = [
        f"{host.url(f'/{n}.png')},{'even' if n % 2 == 0 else 'odd'},cc0"
        for n in range(15)
        for host in hosts
    ]
    folder.mkdir()
    (folder / "table.csv").write_text("\n".join(["url,label,license", *rows]) + "\n")


def answers(first: int) -> dict[str, bytes]:
    """Number 12 is no photo, 14 has the bytes of 10, and there is no 13."""
    good = {f"/{n}.png": photo(first + n) for n in range(12)}
    return {**good, "/12.png": b"<html>", "/14.png": photo(first + 10)}


def provenance(out: Path) -> list[dict[str, object]]:
    lines = provenance_lines(out)
    when = ("retrieved_at", "imported_at")
    plain = [{key: line[key] for key in line if key not in when} for line in lines]
    return sorted(plain, key=lambda line: str(line["path"]))


def asked(*hosts: FakeHost) -> Counter[str]:
    return Counter(host.url(s.path) for host in hosts for s in host.log if s.path != "/robots.txt")


def received(out: Path) -> set[str]:
    """URLs of what lies in its class, or waits for it."""
    with open_journal(out) as journal:
        spool = Spool(out)
        waiting = {item.result.file_url for item in journal.unfinished() if spool.has(item)}
    return waiting | {str(line["file_url"]) for line in provenance(out)}


def finish(folder: Path, *hosts: FakeHost) -> dict[str, object]:
    with start(folder, *hosts) as child:
        out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err.decode()
    document: dict[str, object] = json.loads(out)
    return document


def test_killed_at_any_moment_a_rerun_fetches_nothing_twice(tmp_path: Path) -> None:
    with FakeHost(answers(0)) as one, FakeHost(answers(100)) as other:
        write_table(tmp_path / "whole", one, other)
        whole = finish(tmp_path / "whole", one, other)
        expected = placed_files(tmp_path / "whole" / "raw")
        assert len(expected) == 24
        write_table(tmp_path / "killed", one, other)
        moments = random.Random(5)
        for host in (one, other):
            host.log.clear()
        kills = 0
        safe: dict[str, int] = {}  # how often what is placed was asked for until then
        for step in (6, 4, 4):
            target = len(one.log) + len(other.log) + step
            with start(tmp_path / "killed", one, other) as child:
                while len(one.log) + len(other.log) < target and child.poll() is None:
                    time.sleep(0.001)
                time.sleep(moments.uniform(0, 0.03))
                child.send_signal(signal.SIGKILL)
                child.communicate()
            kills += 1
            counts = asked(one, other)
            assert {url: counts[url] for url in safe} == safe
            safe = {url: counts[url] for url in received(tmp_path / "killed" / "raw")}
        assert safe
        last = finish(tmp_path / "killed", one, other)
        assert placed_files(tmp_path / "killed" / "raw") == expected
        assert provenance(tmp_path / "killed" / "raw") == provenance(tmp_path / "whole" / "raw")
        counts = asked(one, other)
        assert {url: counts[url] for url in safe} == safe
        assert counts.total() - len(counts) <= 2 * kills  # what was on its way, one per host
        assert {key: last[key] for key in ("rejected", "classes")} == {
            key: whole[key] for key in ("rejected", "classes")
        }


def test_killed_at_every_few_writes_the_tree_is_the_same(tmp_path: Path) -> None:
    with FakeHost(answers(0)) as host:
        write_table(tmp_path / "whole", host)
        finish(tmp_path / "whole", host)
        host.log.clear()
        write_table(tmp_path / "killed", host)
        events, codes = 5, []
        while not codes or codes[-1] != 0:
            with start(tmp_path / "killed", host, events=events) as child:
                child.communicate(timeout=60)
            codes.append(child.returncode)
            events += 16
        assert len(codes) > 2 and set(codes) == {-signal.SIGKILL, 0}
        counts = asked(host)
        assert counts.total() - len(counts) <= len(codes) - 1  # cut off on their way
        assert placed_files(tmp_path / "killed" / "raw") == placed_files(tmp_path / "whole" / "raw")
        mended = provenance(tmp_path / "killed" / "raw")
        assert mended == provenance(tmp_path / "whole" / "raw")


@pytest.mark.parametrize(("where", "moment"), [("raw/even/", 1), ("raw/even/", 2), ("raw/odd/", 5)])
def test_killed_while_a_photo_is_placed_it_is_not_asked_for_again(
    tmp_path: Path, where: str, moment: int
) -> None:
    with FakeHost(answers(0)) as host:
        write_table(tmp_path / "killed", host)
        with start(tmp_path / "killed", host, events=moment, where=where) as child:
            child.communicate(timeout=60)
        assert child.returncode == -signal.SIGKILL
        last = finish(tmp_path / "killed", host)
        counts = asked(host)
        assert counts.total() - len(counts) == last["interrupted"] <= 1  # what was on its way
        placed = {str(line["file_url"]) for line in provenance(tmp_path / "killed" / "raw")}
        assert len(placed) == 12
    assert not (tmp_path / "killed/raw/.received").exists()


def test_a_request_that_was_cut_off_is_made_again_and_counted(tmp_path: Path) -> None:
    slow = {**answers(0), "/3.png": [Reply(body=photo(3), wait=60), photo(3)]}
    with FakeHost(slow) as host:
        write_table(tmp_path / "killed", host)
        with start(tmp_path / "killed", host) as child:
            while not host.asked("/3.png"):
                time.sleep(0.001)
            child.kill()
            child.communicate()
        last = finish(tmp_path / "killed", host)
        assert {url for url, n in asked(host).items() if n > 1} == {host.url("/3.png")}
        assert last["interrupted"] == 1
        assert finish(tmp_path / "killed", host)["interrupted"] == 0
