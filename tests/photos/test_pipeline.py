"""One pass over photos: the same rows however many threads there are, and a bounded look-ahead."""

import hashlib
import os
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from imgcli.compute import engine, local
from imgcli.compute.local import cores
from imgcli.photos import pipeline
from imgcli.photos.pipeline import CHUNK, Photo, Transform, derive_stream, fill
from imgcli.photos.row_cache import RowStore
from imgcli.photos.row_cache_files import INDEX, ROWS, checksum, open_file, write_all
from tests.support.disk import small_files


def first_bytes(photo: Photo) -> NDArray[np.uint8] | None:
    """What stands in for a view: the first four bytes; nothing of a file that begins with none."""
    return np.frombuffer(photo.data[:4], np.uint8) if photo.data[:1] != b"-" else None


@given(
    threads=st.integers(1, 5),
    contents=st.lists(st.binary(min_size=4, max_size=8), max_size=80, unique=True),
)
def test_rows_are_in_the_order_of_the_files_on_any_number_of_threads(
    tmp_path_factory: pytest.TempPathFactory, threads: int, contents: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("pass")
    files = [folder / str(i) for i in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    expected = RowStore(folder / "expected", (4,), "uint8")
    for digest, content in zip(digests, contents, strict=True):
        if content[:1] != b"-":
            expected.append([digest], np.frombuffer(content[:4], np.uint8)[None])
    store = RowStore(folder / "store", (4,), "uint8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "cores", lambda: threads)
        assert fill([store], [Transform(first_bytes)], files, digests, "") == {}
    if len(expected):
        for name in (ROWS, INDEX):
            assert (folder / "store" / name).read_bytes() == (
                folder / "expected" / name
            ).read_bytes()
    assert len(store) == len(expected)


def test_a_disk_that_fills_up_in_the_middle_of_a_pass_loses_no_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [bytes([i]) * 4 for i in range(40)]
    files = [tmp_path / str(i) for i in range(40)]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    wide = Transform(lambda photo: np.repeat(np.frombuffer(photo.data, np.uint8), 64))
    store = RowStore(tmp_path / "store", (256,), "uint8")
    monkeypatch.setattr(pipeline, "BLOCK", 8)
    with small_files(20 * 256 + 100):  # in the middle of the third block
        assert fill([store], [wide], files, digests, "") == {}
    rows = store.take(store.rows(digests))
    assert (rows == np.arange(40)[:, None]).all()
    assert capsys.readouterr().err.count("stays in memory") == 1
    assert (RowStore(tmp_path / "store", (256,), "uint8").rows(digests) >= 0).sum() == 16


@pytest.mark.parametrize(("size", "at_once"), [(10, CHUNK), (pipeline.WORK, 1)])
def test_the_look_ahead_is_of_so_much_work(size: int, at_once: int) -> None:
    begun: list[int] = []

    def noted(photo: Photo) -> int:
        begun.append(photo.index)
        return photo.index

    photos = (bytes(size) for _ in range(400))
    with closing(derive_stream([Transform(noted)], photos, 400, "")) as derived:
        assert next(derived) == (0, {0: 0})
    assert at_once <= len(begun) <= at_once * (engine.AHEAD * cores() + 2)


@given(
    sizes=st.lists(st.integers(0, 9), max_size=200),
    steps=st.lists(st.integers(1, 40), min_size=1),
    offset=st.integers(0, 5),
)
def test_pieces_are_written_whole_however_little_the_system_takes_at_once(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], steps: list[int], offset: int
) -> None:
    path = tmp_path_factory.mktemp("pieces") / "file"
    content = np.random.default_rng(0).integers(0, 256, sum(sizes), np.uint8).tobytes()
    ends = np.cumsum([0, *sizes]).tolist()
    pieces = [memoryview(content)[i:j] for i, j in pairwise(ends)]
    left = list(steps)

    def little(file: int, buffers: list[memoryview], at: int) -> int:
        most = left.pop() if left else 1000
        return os.pwrite(file, b"".join(buffers)[:most], at)

    with pytest.MonkeyPatch.context() as patch, open_file(path, "x") as file:
        patch.setattr(os, "pwritev", little)
        write_all(file, pieces, offset)
    assert path.read_bytes() == (bytes(offset) + content if content else b"")


def test_a_row_with_a_checksum_that_is_not_its_own_is_no_row(tmp_path: Path) -> None:
    """Whoever derives a row says its checksum: one of another row would be found out."""
    key, other = (hashlib.sha256(bytes([i])).hexdigest() for i in range(2))
    rows = np.arange(8, dtype=np.uint8).reshape(2, 4)
    checks = [checksum(bytes.fromhex(key), row.data) for row in rows]
    RowStore(tmp_path, (4,), "uint8").append([key, other], list(rows), checks)
    assert RowStore(tmp_path, (4,), "uint8").rows([key, other]).tolist() == [0, -1]
