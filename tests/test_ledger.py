"""Every evaluation of a test part is entered once, whoever else is entering; none is lost."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgcli import ledger
from imgcli.config import TrainConfig
from imgcli.errors import RunError, StorageError
from imgcli.runs import Run, new_run


def run_in(runs: Path) -> Run:
    return new_run(runs, TrainConfig.of(arch="small-cnn"), Path("d"))


def entries(runs: Path) -> list[str]:
    return [json.loads(line)["why"] for line in (runs / ledger.LEDGER).read_text().splitlines()]


def test_evaluations_of_one_test_part_are_counted_for_any_run(tmp_path: Path) -> None:
    first, second = run_in(tmp_path), run_in(tmp_path)
    assert ledger.enter(first, ["aa", "bb"], "evaluate") == 1
    assert ledger.enter(second, ["bb", "aa"], "evaluate") == 2
    assert ledger.enter(second, ["aa"], "evaluate") == 1
    assert [ledger.evaluations(run) for run in (first, second)] == [2, 3]
    assert ledger.entered(first, ["bb", "aa"], "evaluate")
    assert not ledger.entered(first, ["aa"], "evaluate")
    assert not ledger.entered(first, ["aa", "bb"], "train --track-test")


ENTERING = """
import sys; from pathlib import Path; from imgcli import ledger; from imgcli.runs import Run
print(*(ledger.enter(Run(Path(sys.argv[1])), ["aa"], sys.argv[2]) for _ in range(20)))
"""


def test_processes_that_enter_at_once_lose_nothing_and_count_alike(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", ENTERING, run.folder, f"process {i}"], stdout=subprocess.PIPE
        )
        for i in range(4)
    ]
    counted = [int(n) for process in started for n in process.communicate()[0].split()]
    assert sorted(counted) == list(range(1, 81))  # each number was told once
    found = entries(tmp_path)
    assert [found.count(f"process {i}") for i in range(4)] == [20] * 4


@pytest.mark.parametrize("torn", [b'{"time": "2026-11-30T11', b"{", b"\xff", bytes(40)])
def test_a_line_that_a_kill_tore_is_dropped_and_the_rest_is_kept(
    tmp_path: Path, torn: bytes
) -> None:
    run, path = run_in(tmp_path), tmp_path / ledger.LEDGER
    ledger.enter(run, ["aa"], "evaluate")
    with open(path, "ab") as file:
        file.write(torn)
    assert ledger.evaluations(run) == 1
    assert ledger.enter(run, ["aa"], "again") == 2
    assert entries(tmp_path) == ["evaluate", "again"]


def test_a_last_line_without_an_end_is_kept_when_it_is_whole(tmp_path: Path) -> None:
    run, path = run_in(tmp_path), tmp_path / ledger.LEDGER
    ledger.enter(run, ["aa"], "evaluate")
    path.write_bytes(path.read_bytes().rstrip())  # as some editors do
    assert ledger.evaluations(run) == 1
    assert ledger.enter(run, ["aa"], "again") == 2
    assert entries(tmp_path) == ["evaluate", "again"]


def test_a_ledger_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    ledger.enter(run, ["aa"], "evaluate")
    line = json.loads((tmp_path / ledger.LEDGER).read_text())
    few = {name: line[name] for name in ("run", "test_part", "why")}
    (tmp_path / ledger.LEDGER).write_text(json.dumps(few) + "\n" + json.dumps(line) + "\n")
    assert ledger.evaluations(run) == 2


@pytest.mark.parametrize(
    "damage",
    [b"{\n", b"[1]\n", b'{"run": "a"}\n', b"\xff\n", b'{"run":1,"test_part":"","why":""}\n'],
)
def test_a_damaged_ledger_is_a_sentence(tmp_path: Path, damage: bytes) -> None:
    run = run_in(tmp_path)
    (tmp_path / ledger.LEDGER).write_bytes(damage)
    for look in (ledger.evaluations, lambda run: ledger.enter(run, ["aa"], "evaluate")):
        with pytest.raises(RunError, match=r"test-ledger.jsonl' cannot be read .* Restore it"):
            look(run)
    assert (tmp_path / ledger.LEDGER).read_bytes() == damage


@pytest.fixture
def no_permission(tmp_path: Path) -> Iterator[None]:
    """A time in which the folder cannot be written, even if the tests are run by root."""
    user = os.geteuid()
    tmp_path.chmod(0o500)
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)
    tmp_path.chmod(0o700)


@pytest.mark.usefixtures("no_permission")
def test_no_evaluation_is_counted_that_cannot_be_entered(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    with pytest.raises(StorageError, match=r"not scored: .*test-ledger.jsonl' \(Permission denied"):
        ledger.enter(run, ["aa"], "evaluate")


FULL = """
import resource, signal, sys; from pathlib import Path
from imgcli import ledger; from imgcli.runs import Run
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
ledger.enter(Run(Path(sys.argv[1])), ["aa"], "evaluate")
"""


def test_a_full_disk_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    ledger.enter(run, ["aa"], "evaluate")
    before = (tmp_path / ledger.LEDGER).read_bytes()
    for room in (0, 30):  # bytes: for none of the line, and for a part of it
        done = subprocess.run(
            [sys.executable, "-c", FULL, run.folder, str(len(before) + room)], capture_output=True
        )
        assert b"The test part is not scored" in done.stderr and b"Free some space" in done.stderr
        assert (tmp_path / ledger.LEDGER).read_bytes() == before
