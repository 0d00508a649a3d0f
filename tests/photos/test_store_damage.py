"""Whatever happens to its files, a row store gives the right row for a key, or none."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcli.errors import StorageError
from imgcli.photos import row_cache as store_module
from imgcli.photos.row_cache import RowStore
from imgcli.photos.row_cache_files import RECORD
from tests.support.rows import ROW, SHAPE, block, filled, held, key, keys, opened


@pytest.mark.parametrize("shape", [(3, 2), (6,), (3, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_store_of_another_shape_or_type_is_begun_again(
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


@pytest.mark.parametrize(
    "meta", [b"", b"{", b"[]", b"null", b"\xff", b'{"version": 1}', b"[" * 60_000]
)
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
    assert "started it again" in capsys.readouterr().err


# --- anything at all ----------------------------------------------------------------------------

FILES = ("meta.json", "rows.bin", "index.bin", "lock")
DAMAGE = st.one_of(
    st.tuples(st.just("flip"), st.integers(0, 400), st.integers(1, 255)),
    st.tuples(st.just("cut"), st.integers(0, 400), st.just(0)),
    st.tuples(st.just("lose"), st.integers(0, 400), st.sampled_from([1, ROW, RECORD, 50])),
    st.tuples(st.just("zeros"), st.integers(0, 400), st.sampled_from([1, ROW, RECORD, 50])),
    st.tuples(
        st.sampled_from(["folder", "dangling", "pipe", "gone", "deep"]), st.just(0), st.just(0)
    ),
)


def damage(path: Path, how: str, place: int, size: int) -> None:
    """Do that to a file, as another program would: later, so that the file's time changes."""
    raw = path.read_bytes()
    match how:
        case "flip" if place < len(raw):
            raw = raw[:place] + bytes([raw[place] ^ size]) + raw[place + 1 :]
        case "cut":
            raw = raw[:place]
        case "lose":
            raw = raw[:place] + raw[place + size :]
        case "zeros":
            raw = raw[:place] + bytes(size) + raw[place:]
        case "deep":
            raw = b"[" * 60_000
    if how in ("folder", "dangling", "pipe", "gone"):
        path.unlink()
    match how:
        case "folder":
            path.mkdir()
        case "dangling":
            path.symlink_to("nowhere")
        case "pipe":
            os.mkfifo(path)
        case "gone":
            pass
        case _:
            path.write_bytes(raw)
            os.utime(path, (2e9, 2e9))


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from(FILES), DAMAGE, min_size=1))
def test_no_damage_to_any_file_gives_a_wrong_row(
    tmp_path_factory: pytest.TempPathFactory, damages: dict[str, tuple[str, int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("store")
    reader = filled(folder, *range(10))
    numbers = reader.rows(keys(*range(10)))
    for name, (how, place, size) in damages.items():
        damage(folder / name, how, place, size)
    for row in range(10):  # a program that had looked the rows up before
        try:
            assert (reader.take(numbers[row : row + 1]) == block(row)).all()
        except StorageError as error:
            assert "was changed, or can no longer be read, while it was in use" in str(error)
    held(opened(folder))
    for store in (reader, opened(folder)):
        store.append(keys(*range(12)), block(*range(12)))
        assert held(store) == list(range(12))
    held(opened(folder))
    shutil.rmtree(folder)


def test_half_a_record_of_another_row_vouches_for_nothing(tmp_path: Path) -> None:
    """A key from one row, content and CRC from another: what a lost sector can leave."""
    filled(tmp_path, 1, 2)
    index = bytearray((tmp_path / "index.bin").read_bytes())
    index[RECORD : RECORD + 32] = bytes.fromhex(key(3))
    (tmp_path / "index.bin").write_bytes(index)
    assert held(opened(tmp_path)) == [1]


def test_a_link_in_the_cache_is_never_written_through(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"precious")
    for name in FILES:
        folder = tmp_path / name
        filled(folder, 1)
        (folder / name).unlink()
        (folder / name).symlink_to(photo)
        assert held(filled(folder, 1, 2)) == [1, 2]
        assert photo.read_bytes() == b"precious"
        # A lock that is a link locks nobody out, so nothing is written beside it.
        assert held(opened(folder)) == ([1] if name == "lock" else [1, 2])


def test_a_link_in_the_cache_makes_no_file_elsewhere(tmp_path: Path) -> None:
    filled(tmp_path / "store", 1)
    (tmp_path / "store/lock").unlink()
    (tmp_path / "store/lock").symlink_to(tmp_path / "elsewhere")
    filled(tmp_path / "store", 2)
    assert not (tmp_path / "elsewhere").exists()


def test_what_is_cut_short_under_a_reader_is_no_row_of_zeros(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = filled(tmp_path, 1, 2, 3)
    numbers = store.rows(keys(1, 2, 3))
    os.truncate(tmp_path / "rows.bin", ROW)
    with pytest.raises(StorageError, match="Run the command again"):
        store.take(numbers)
    assert held(store) == [1]
    store.append(keys(2, 4), block(2, 4))
    assert held(store) == [1, 2, 4]
    assert "another program has cut it short" in capsys.readouterr().err
    assert held(opened(tmp_path)) == [1]


def test_rows_that_another_put_in_their_place_are_not_served(tmp_path: Path) -> None:
    store = filled(tmp_path, 1, 2, 3)
    number = store.rows(keys(2))
    os.truncate(tmp_path / "rows.bin", ROW)
    os.truncate(tmp_path / "index.bin", RECORD)
    filled(tmp_path, 7, 8, 9)
    with pytest.raises(StorageError, match="was changed"):
        store.take(number)
    assert held(store) in ([1], [1, 9])


def test_a_store_replaced_under_a_reader_leaves_it_what_it_had(tmp_path: Path) -> None:
    store = filled(tmp_path / "a", 1, 2)
    filled(tmp_path / "b", 2, 1, 3, 4)
    for name in FILES:
        os.replace(tmp_path / "b" / name, tmp_path / "a" / name)
    assert held(store) == [1, 2]
    store.append(keys(5), block(5))
    assert held(store) == [1, 2, 5]
    assert held(opened(tmp_path / "a")) == [1, 2, 3, 4]
