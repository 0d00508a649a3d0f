"""A row store gives the right row for a key, or none, whatever the disk does."""

import errno
import os
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from imgcli import progress
from imgcli.errors import StorageError
from imgcli.photos import row_cache as store_module
from imgcli.photos.row_cache import RowStore
from imgcli.photos.row_cache_files import checksum
from tests.support.disk import small_files
from tests.support.rows import block, filled, held, keys, opened

# --- the plain way ------------------------------------------------------------------------------


def test_rows_are_found_by_key_and_stay_for_the_next_time(tmp_path: Path) -> None:
    store = opened(tmp_path / "a/b/store")
    assert held(store) == [] and len(store) == 0
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
    assert RowStore(tmp_path / "h", (1,), "uint64").take(np.zeros(1, np.int64)).tolist() == [
        [2**63]
    ]


def test_a_reader_sees_what_another_has_added(tmp_path: Path) -> None:
    reader, writer = opened(tmp_path), opened(tmp_path)
    writer.append(keys(1), block(1))
    assert held(reader) == [1]
    writer.append(keys(2), block(2))
    before = reader.take(np.zeros(1, np.int64))
    assert held(reader) == [1, 2]
    assert before.tolist() == block(1).tolist()
    reader.append(keys(3), block(3))  # and writers take turns
    writer.append(keys(3, 4), block(3, 4))
    assert held(reader) == held(writer) == [1, 2, 3, 4]
    assert len(writer) == 4


def test_a_row_is_checked_once_and_not_at_all_where_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[bytes] = []

    def counted(key: bytes, row: memoryview) -> bytes:
        checked.append(key)
        return checksum(key, row)

    monkeypatch.setattr(store_module, "checksum", counted)
    writer = filled(tmp_path, 1, 2)
    writer.append(keys(3), block(3))
    assert len(checked) == 3  # to write them
    assert held(writer) == [1, 2, 3] and len(checked) == 3
    reader = opened(tmp_path)
    for _ in range(2):
        assert held(reader) == [1, 2, 3] and len(checked) == 6


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
    assert f"The cache '{tmp_path / 'file/store'}' cannot be written (Not a directory)" in said


def test_quiet_is_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(b"")
    with progress.quietly(True):
        filled(tmp_path / "file/store", 1)
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


def test_a_disk_that_fills_up_half_way_loses_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_files(1000):
        store = RowStore(tmp_path, (300,), "uint8")
        rows = np.arange(10, dtype=np.uint8)[:, None] * np.ones((1, 300), np.uint8)
        for i in range(0, 10, 2):
            store.append(keys(i, i + 1), rows[i : i + 2])
        numbers = store.rows(keys(*range(10)))
        assert numbers.tolist() == list(range(10))
        assert (store.take(numbers[::-1]) == rows[::-1]).all()
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


def test_what_fits_neither_on_the_disk_nor_in_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PHYS_PAGES": 5, "SC_PAGE_SIZE": 8}[name])
    (tmp_path / "file").write_bytes(b"")
    store = opened(tmp_path / "file/store")
    store.reserve(3)
    with pytest.raises(StorageError, match=r"the 0\.0 MB .* half of this machine's memory"):
        store.reserve(4)
    store.append(keys(1, 2), block(1, 2))
    with pytest.raises(StorageError, match="Make the folder writable"):
        store.append(keys(3, 4), block(3, 4))
    store.append(keys(3), block(3))
    assert held(store) == [1, 2, 3]
    assert capsys.readouterr().err.count("Not a directory") == 1


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / ".imgcli-1-2.tmp").write_bytes(b"{")
    filled(tmp_path, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("index.bin", "lock", "meta.json", "rows.bin")
    ]


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_no_locks_are_kept_rows_are_stored_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    def no_lock(file: object, operation: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", no_lock)
    store = filled(tmp_path / "cache/pixels/store", 1, 2)
    store.append(keys(3), block(3))
    assert held(opened(tmp_path / "cache/pixels/store")) == [1, 2, 3]
    assert capsys.readouterr().err.count(f"'{tmp_path / 'cache'}' keeps no locks") == 1
