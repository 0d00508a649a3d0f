"""Several processes share a row store: they take turns, and one that is killed hurts none."""

import fcntl
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgcli.photos.row_cache import RowStore
from imgcli.photos.row_cache_files import RECORD
from tests.support.rows import block, filled, held, keys, opened

WRITER = """
import sys, hashlib, numpy as np
from pathlib import Path
from imgcli.photos.row_cache import RowStore
store = RowStore(Path(sys.argv[1]), (100,), "uint8")
print("ready", flush=True)
sys.stdin.readline()
for i in range(0, int(sys.argv[2]), 4):
    keys = [hashlib.sha256(b"%d" % j).hexdigest() for j in range(i, i + 4)]
    store.append(keys, np.arange(i, i + 4).astype(np.uint8)[:, None] * np.ones((1, 100), np.uint8))
"""


def writer(folder: Path, n: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(n)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def stop(process: subprocess.Popen[str]) -> None:
    process.wait()
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        stream.close()


def check_hundreds(folder: Path) -> NDArray[np.int64]:
    store = RowStore(folder, (100,), "uint8")
    rows = store.rows(keys(*range(400)))
    found = np.flatnonzero(rows >= 0)
    expected = found.astype(np.uint8)[:, None] * np.ones((1, 100), np.uint8)
    assert (store.take(rows[found]) == expected).all()
    return found


def test_two_writers_at_once_make_each_row_once(tmp_path: Path) -> None:
    processes = [writer(tmp_path, 400) for _ in range(2)]
    for process in processes:
        go(process)
    for process in processes:
        stop(process)
        assert process.returncode == 0
    assert len(check_hundreds(tmp_path)) == 400
    assert (tmp_path / "index.bin").stat().st_size == 400 * RECORD


def test_a_killed_writer_leaves_whole_rows_and_no_lock(tmp_path: Path) -> None:
    for round in range(4):
        process = writer(tmp_path, 400 * 10_000)
        before = len(RowStore(tmp_path, (100,), "uint8"))
        go(process)
        while len(RowStore(tmp_path, (100,), "uint8")) <= before + 40 * round:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        stop(process)
        found = check_hundreds(tmp_path)
        assert len(found) > 0 and found.tolist() == list(range(len(found)))
        store = RowStore(tmp_path, (100,), "uint8")
        store.append(keys(10**9 + round), np.ones((1, 100), np.uint8))
        assert store.rows(keys(10**9 + round)).tolist() == [len(store) - 1]
        assert (tmp_path / "rows.bin").stat().st_size == 100 * len(store)
        assert (tmp_path / "index.bin").stat().st_size == RECORD * len(store)


def test_a_writer_killed_beside_another_costs_the_other_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        victim, other = writer(tmp_path, 400 * 10_000), writer(tmp_path, 400)
        before = len(RowStore(tmp_path, (100,), "uint8"))
        go(victim)
        go(other)
        while len(RowStore(tmp_path, (100,), "uint8")) < before + 20:
            time.sleep(0.001)
        victim.send_signal(signal.SIGKILL)
        stop(victim)
        stop(other)
        assert other.returncode == 0
        assert len(check_hundreds(tmp_path)) == 400


def test_a_writer_that_waited_for_a_pruned_store_begins_it_again(tmp_path: Path) -> None:
    """It gets the lock of a file that is gone, which keeps nobody else out."""
    filled(tmp_path, 1)
    (tmp_path / "meta.json").unlink()  # damaged, so the writer has not opened it
    waiting = threading.Thread(target=lambda: filled(tmp_path, 2, 3))
    with open(tmp_path / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting.start()
        time.sleep(0.1)
        shutil.rmtree(tmp_path)
        filled(tmp_path, 4)
        another = open(tmp_path / "lock")
        fcntl.flock(another, fcntl.LOCK_EX)
    time.sleep(0.1)
    assert held(opened(tmp_path)) == [4]
    another.close()
    waiting.join()
    assert held(opened(tmp_path)) == [2, 3, 4]


def test_what_another_appends_makes_nothing_untrue(tmp_path: Path) -> None:
    reader, writer = filled(tmp_path, 1), opened(tmp_path)
    number = reader.rows(keys(1))
    for i in range(2, 20):
        writer.append(keys(i), block(i))
        assert (reader.take(number) == block(1)).all()
    assert held(reader) == list(range(1, 20))
