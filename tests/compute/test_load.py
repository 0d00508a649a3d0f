"""What a stretch of work had of the machine, and what others took."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from imgcli.compute import load
from imgcli.compute.load import Meter, Turn


def test_processor_seconds_count_children_that_run_and_that_ended() -> None:
    spin = "import time\nwhile time.process_time() < 0.3: pass\n"
    watch = Meter()
    subprocess.run([sys.executable, "-c", spin], check=True)
    ended = watch.read()
    assert 0.3 <= ended.cpu < 1.0
    command = [sys.executable, "-c", spin + "print(flush=True); input()"]
    watch = Meter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as living:
        assert living.stdout and living.stdout.readline()
        assert 0.25 <= watch.read().cpu < 1.0
        living.communicate(b"\n")


@pytest.mark.skipif(not Path("/proc/stat").is_file(), reason="the system keeps no /proc/stat")
def test_others_are_what_the_cores_did_less_what_we_did(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 103.0])  # of all programs on two cores
    monkeypatch.setattr(load, "cores", lambda: 2)
    monkeypatch.setattr(load, "all_seconds", lambda: next(clock))
    own = iter([5.0, 7.0])
    monkeypatch.setattr(load, "own_seconds", lambda: next(own))
    times = iter([0.0, 2.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(times))
    assert Meter().read() == Turn(2.0, 2.0, 0.25)


def test_a_turn_too_short_for_the_systems_clock_is_not_called_disturbed() -> None:
    assert not Turn(0.05, 0.05, 0.5).disturbed
    assert not Turn(10.0, 9.0, 0.04).disturbed
    assert not Turn(10.0, 9.0, None).disturbed
    assert Turn(10.0, 9.0, 0.06).disturbed


def test_a_system_without_the_figures_says_nothing_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(load, "all_seconds", lambda: None)
    assert load.others_share(0.0) is None


@pytest.mark.skipif(not Path("/proc/stat").is_file(), reason="the system keeps no /proc/stat")
def test_all_programs_have_worked_more_than_this_one() -> None:
    first = load.all_seconds()
    assert first is not None and first > load.own_seconds() > 0
