"""Whatever happens to its files, a row store gives the right row for a key, or none."""

import errno
import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from imgcli import progress
from imgcli.errors import StorageError
from imgcli.photos import store as store_module
from imgcli.photos.store import RECORD, RowStore

SHAPE = (3, 2)
ROW = 6  # bytes


def key(i: int) -> str:
    return hashlib.sha256(b"%d" % i).hexdigest()


def keys(*numbers: int) -> list[str]:
    return [key(i) for i in numbers]


def block(*numbers: int) -> NDArray[np.uint8]:
    """The row of number i holds i + 1 in every place: no row looks like unwritten disk."""
    return np.add(numbers, 1).astype(np.uint8)[:, None, None] * np.ones((1, *SHAPE), np.uint8)


def opened(folder: Path) -> RowStore:
    return RowStore(folder, SHAPE, "uint8")


def filled(folder: Path, *numbers: int) -> RowStore:
    store = opened(folder)
    store.append(keys(*numbers), block(*numbers))
    return store


def held(store: RowStore, upto: int = 100) -> list[int]:
    """The numbers it has a row for; each row has been compared with what it must hold."""
    rows = store.rows(keys(*range(upto)))
    found = np.flatnonzero(rows >= 0)
    assert (store.take(rows[found]) == block(*found)).all()
    assert (store.array[rows[found]] == block(*found)).all()
    return [int(i) for i in found]


# --- the plain way ------------------------------------------------------------------------------


def test_rows_are_found_by_key_and_stay_for_the_next_time(tmp_path: Path) -> None:
    store = opened(tmp_path / "a/b/store")
    assert held(store) == [] and len(store) == 0 and store.array.shape == (0, *SHAPE)
    assert not (tmp_path / "a").exists()  # looking makes nothing
    store.append(keys(5, 3), block(5, 3))
    store.append(keys(9), block(9))
    for again in (store, opened(tmp_path / "a/b/store")):
        assert again.rows(keys(3, 4, 5, 9)).tolist() == [1, -1, 0, 2]
        assert again.rows([]).tolist() == []
        assert held(again) == [3, 5, 9]
        assert again.take(again.rows(keys(9, 3, 9))).tolist() == block(9, 3, 9).tolist()


def test_keys_already_there_are_ignored_and_repeated_ones_kept_once(tmp_path: Path) -> None:
    store = filled(tmp_path, 1, 2)
    store.append(keys(2, 3, 3, 1), block(77, 3, 78, 79))
    assert held(store) == [1, 2, 3] and len(store) == 3
    store.append(keys(1, 2), block(80, 81))
    store.append([], block(0)[:0])
    assert held(opened(tmp_path)) == [1, 2, 3]


def test_floats_and_single_numbers_are_rows_too(tmp_path: Path) -> None:
    values = np.linspace(-1, 1, 10, dtype=np.float32).reshape(2, 5)
    RowStore(tmp_path / "f", (5,), "float32").append(keys(1, 2), values)
    store = RowStore(tmp_path / "f", (5,), "float32")
    assert (store.take(store.rows(keys(2, 1))) == values[::-1]).all()
    RowStore(tmp_path / "h", (1,), "uint64").append(keys(1), np.array([[2**63]], np.uint64))
    assert RowStore(tmp_path / "h", (1,), "uint64").array.tolist() == [[2**63]]


def test_the_array_is_a_read_only_map(tmp_path: Path) -> None:
    array = filled(tmp_path, 1).array
    assert isinstance(array, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 7


def test_a_reader_sees_what_another_has_added(tmp_path: Path) -> None:
    reader, writer = opened(tmp_path), opened(tmp_path)
    writer.append(keys(1), block(1))
    assert held(reader) == [1]
    writer.append(keys(2), block(2))
    before = reader.array
    assert held(reader) == [1, 2]
    assert before.tolist() == block(1).tolist()
    reader.append(keys(3), block(3))  # and writers take turns
    writer.append(keys(3, 4), block(3, 4))
    assert held(reader) == held(writer) == [1, 2, 3, 4]
    assert len(writer) == 4


# --- damage -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 2), (6,), (3, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_store_of_another_shape_or_type_is_begun_anew(
    tmp_path: Path, shape: tuple[int, ...], dtype: str
) -> None:
    filled(tmp_path, 1)
    other = RowStore(tmp_path, shape, dtype)
    same = (shape, dtype) == (SHAPE, "uint8")
    assert (other.rows(keys(1)) >= 0).all() == same
    other.append(keys(2), np.ones((1, *shape), dtype))
    assert len(RowStore(tmp_path, shape, dtype)) == (2 if same else 1)
    assert len(opened(tmp_path)) == (2 if same else 0)


def test_another_version_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path, 1)
    monkeypatch.setattr(store_module, "VERSION", 999)
    assert held(opened(tmp_path)) == []
    assert held(filled(tmp_path, 2)) == [2]


@pytest.mark.parametrize("meta", [b"", b"{", b"[]", b"null", b"\xff", b'{"version": 1}'])
def test_damaged_meta_is_begun_anew(tmp_path: Path, meta: bytes) -> None:
    filled(tmp_path, 1)
    (tmp_path / "meta.json").write_bytes(meta)
    assert held(opened(tmp_path)) == []
    assert held(filled(tmp_path, 2)) == [2]
    assert held(opened(tmp_path)) == [2]


@pytest.mark.parametrize("name", ["meta.json", "rows.bin", "index.bin"])
def test_a_lost_file_costs_rows_and_nothing_else(tmp_path: Path, name: str) -> None:
    filled(tmp_path, 1, 2)
    (tmp_path / name).unlink()
    store = opened(tmp_path)
    assert held(store) == []
    store.append(keys(1, 3), block(1, 3))
    assert held(store) == held(opened(tmp_path)) == [1, 3]


def test_a_damaged_row_is_missing_and_can_be_made_again(tmp_path: Path) -> None:
    filled(tmp_path, 1, 2, 3)
    with open(tmp_path / "rows.bin", "r+b") as file:
        file.seek(ROW + 2)
        file.write(b"\xff")
    assert held(opened(tmp_path)) == [1, 3]
    store = opened(tmp_path)
    store.append(keys(2), block(2))  # without having looked first
    assert held(store) == held(opened(tmp_path)) == [1, 2, 3]


def test_the_next_writer_cuts_off_what_has_no_partner(tmp_path: Path) -> None:
    filled(tmp_path, 1, 2, 3, 4)
    for name, size in (("rows.bin", 2 * ROW + 1), ("index.bin", 2 * RECORD + 5)):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[:size])  # the other one is now too long
        assert held(opened(tmp_path)) == [1, 2]
        filled(tmp_path, 9)
        assert held(opened(tmp_path)) == [1, 2, 9]
        assert (tmp_path / "rows.bin").stat().st_size == 3 * ROW
        assert (tmp_path / "index.bin").stat().st_size == 3 * RECORD
        shutil.rmtree(tmp_path)
        filled(tmp_path, 1, 2, 3, 4)


@settings(max_examples=60, deadline=None)
@given(
    rows_left=st.integers(0, 10 * ROW),
    index_left=st.integers(0, 10 * RECORD),
    zeros=st.integers(0, 3 * ROW),
    flips=st.lists(st.tuples(st.booleans(), st.integers(0, 10 * RECORD), st.integers(1, 255))),
)
def test_no_cut_and_no_flipped_bit_gives_a_wrong_row(
    tmp_path_factory: pytest.TempPathFactory,
    rows_left: int,
    index_left: int,
    zeros: int,
    flips: list[tuple[bool, int, int]],
) -> None:
    """What a kill or a power cut can leave behind, at every byte, and what a bad disk can."""
    folder = tmp_path_factory.mktemp("store")
    filled(folder, *range(10))
    os.truncate(folder / "rows.bin", rows_left)
    os.truncate(folder / "index.bin", index_left)
    with open(folder / "rows.bin", "ab") as file:
        file.write(bytes(zeros))
    for in_rows, place, bits in flips:
        path = folder / ("rows.bin" if in_rows else "index.bin")
        raw = bytearray(path.read_bytes())
        if place < len(raw):
            raw[place] ^= bits
            path.write_bytes(raw)
    survived = held(opened(folder))
    if not flips:
        assert survived == list(range(min(rows_left // ROW, index_left // RECORD)))
    store = opened(folder)
    store.append(keys(*range(12)), block(*range(12)))
    assert held(store) == held(opened(folder)) == list(range(12))
    assert (folder / "rows.bin").stat().st_size == len(store) * ROW
    assert (folder / "index.bin").stat().st_size == len(store) * RECORD
    shutil.rmtree(folder)


def test_a_cache_deleted_under_a_store_costs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = filled(tmp_path / "store", 1, 2)
    shutil.rmtree(tmp_path / "store")
    assert held(store) == [1, 2]  # still mapped
    store.append(keys(3), block(3))
    assert held(store) == [1, 2, 3]
    assert held(filled(tmp_path / "store", 4)) == [4]
    assert held(store) == [1, 2, 3]
    assert "begun it anew" in capsys.readouterr().err


# --- a disk that will not ------------------------------------------------------------------------


def test_without_a_folder_it_works_in_memory_and_says_so_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = opened(tmp_path / "file/store")
    store.append(keys(1, 2, 2), block(1, 2, 3))
    store.append(keys(2, 4), block(5, 4))
    assert held(store) == [1, 2, 4] and len(store) == 3
    store.flush()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"the cache '{tmp_path / 'file/store'}' cannot be written (Not a directory)" in said


def test_quiet_is_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(b"")
    progress.be_quiet()
    try:
        filled(tmp_path / "file/store", 1)
    finally:
        progress.be_quiet(False)
    assert capsys.readouterr().err == ""


def test_a_store_that_can_only_be_read_is_read(tmp_path: Path) -> None:
    filled(tmp_path, 1, 2)
    (tmp_path / "lock").unlink()
    (tmp_path / "lock").mkdir()  # as good as no permission, and root minds it too
    store = opened(tmp_path)
    assert held(store) == [1, 2]
    store.append(keys(2, 3), block(9, 3))
    assert held(store) == [1, 2, 3]
    assert store.rows(keys(1, 3)).tolist() == [0, 2]
    assert held(opened(tmp_path)) == [1, 2]


@contextmanager
def small_files() -> Iterator[None]:
    """No file may grow beyond 1,000 bytes: writes end half way, as on a full disk.

    Not a fixture: pytest itself writes between a test and its teardown, perhaps to a file.
    """
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_fills_up_half_way_loses_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_files():
        store = RowStore(tmp_path, (300,), "uint8")
        rows = np.arange(10, dtype=np.uint8)[:, None] * np.ones((1, 300), np.uint8)
        for i in range(0, 10, 2):
            store.append(keys(i, i + 1), rows[i : i + 2])
        numbers = store.rows(keys(*range(10)))
        assert numbers.tolist() == list(range(10))
        assert (store.take(numbers[::-1]) == rows[::-1]).all() and (store.array == rows).all()
        assert capsys.readouterr().err.count(os.strerror(errno.EFBIG)) == 1
        again = RowStore(tmp_path, (300,), "uint8")
        assert again.rows(keys(*range(10))).tolist() == [0, 1] + [-1] * 8


def test_space_is_asked_for_before_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")(100, 41, 59)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    store = opened(tmp_path / "not/yet")
    store.reserve(9)
    with pytest.raises(StorageError, match=r"10 photos needs .* MB in .*Free some space"):
        store.reserve(10)


# --- several processes ---------------------------------------------------------------------------

WRITER = """
import sys, hashlib, numpy as np
from pathlib import Path
from imgcli.photos.store import RowStore
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
