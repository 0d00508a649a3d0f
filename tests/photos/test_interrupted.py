"""Ctrl-C, a request to end and SIGKILL while photos are looked at: what was finished is kept."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from imgcli.photos.digest_memory import MEMORY
from imgcli.photos.pipeline import CHUNK
from imgcli.photos.row_cache_files import INDEX, RECORD
from tests.support.photos import photo

HOUSE = Path(__file__).resolve().parents[2]
N = 256  # opened once each to hash, to see how many bits it has, to fingerprint, to measure
LAST = 200  # of one pass over the photos, when the signal comes

# The command as it is typed, on one core; it sends itself a signal at its n-th opening of a photo.
PROGRAM = """
import os, signal, sys
number, left = int(sys.argv.pop(1)), int(sys.argv.pop(1))
if number == signal.SIGINT:  # ignored in what a shell starts in the background
    signal.signal(number, signal.default_int_handler)
elif number != signal.SIGKILL:
    signal.signal(number, signal.SIG_DFL)
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])

def count(event, given):
    global left
    # `os.open`, which has no mode: Python's `open` comes by it through its opener.
    if event == "open" and given[1] is None and str(given[0]).endswith(".png"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), number)

sys.addaudithook(count)
from imgcli.cli.main import main
main()
"""


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    for n in range(N):
        file = tmp_path / "raw" / "ab"[n % 2] / f"{n}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(photo(n))
        os.utime(file, (10**9, 10**9))  # long before it is hashed
    return tmp_path / "raw"


def check_until(raw: Path, number: signal.Signals, opened: int) -> Path:
    """The cache that `imgcli check` leaves that gets a signal while it looks at a photo."""
    child = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(number.value), str(opened), "check", "raw"],
        cwd=raw.parent,
        env={"PYTHONPATH": str(HOUSE), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    if number == signal.SIGKILL:
        assert child.returncode == -signal.SIGKILL
    else:
        assert child.returncode == 130, child.stderr
        assert child.stderr.endswith(
            "imgcli: Interrupted. What is finished is kept; the same command goes on from there.\n"
        )
    return raw.parent / ".imgcli/cache"


def rows(cache: Path, kind: str) -> int:
    return sum(file.stat().st_size // RECORD for file in (cache / kind).glob(f"*/{INDEX}"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_hashes_are_kept(raw: Path, number: signal.Signals) -> None:
    cache = check_until(raw, number, LAST)
    with closing(sqlite3.connect(cache / MEMORY)) as database:
        (kept,) = database.execute("SELECT count(*) FROM digests").fetchone()
    assert N >= kept >= LAST - 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_fingerprints_are_kept(raw: Path, number: signal.Signals) -> None:
    assert N > rows(check_until(raw, number, 2 * N + LAST), "sketches") >= 128


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_metadata_is_kept(raw: Path, number: signal.Signals) -> None:
    kept = rows(check_until(raw, number, 3 * N + LAST), "facts")
    assert N > kept >= (128 if number == signal.SIGKILL else LAST - 3 * CHUNK)
