from pathlib import Path

import pytest

from imgcli.batch import Batch, append_lines, repair_lines, sync_file_system
from imgcli.errors import StorageError
from tests.support.trees import tree


def test_files_get_their_names_at_the_commit_and_not_before(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    batch = Batch(tmp_path)
    batch.add("a", "1", b"one")
    batch.add("a", "2", b"two")
    assert (len(batch), batch.bytes) == (2, 6)
    assert all(name.startswith("a/.imgcli-") and name.endswith(".tmp") for name in tree(tmp_path))
    batch.commit()
    assert tree(tmp_path) == {"a/1": b"one", "a/2": b"two"}
    assert (len(batch), batch.bytes) == (0, 0)


def test_what_is_discarded_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    batch = Batch(tmp_path)
    batch.add("a", "1", b"one")
    batch.discard()
    batch.commit()
    assert tree(tmp_path) == {}


def test_a_file_that_appeared_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    batch = Batch(tmp_path)
    batch.add("a", "1", b"ours")
    (tmp_path / "a/1").write_bytes(b"theirs")
    with pytest.raises(StorageError, match="a/1' appeared while imgcli was writing"):
        batch.commit()
    assert tree(tmp_path) == {"a/1": b"theirs"}


def test_a_failed_write_leaves_no_temporary(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    batch = Batch(tmp_path)
    with pytest.raises(TypeError):
        batch.add("a", "1", "text is not bytes")  # type: ignore[arg-type]
    assert tree(tmp_path) == {}
    assert len(batch) == 0


def test_syncing_a_file_system_reports_what_went_wrong(tmp_path: Path) -> None:
    sync_file_system(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_file_system(tmp_path / "gone")


# --- lines --------------------------------------------------------------------------------------

LINES = [{"path": f"a/{n}.png", "label": "é\udcff"} for n in (1, 2)]


def test_a_line_torn_at_any_byte_is_dropped_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    append_lines(path, LINES)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        repair_lines(path)
        wanted = len(whole) if end >= len(whole) - 1 else first * (end >= first - 1)
        assert path.read_bytes() == whole[:wanted]  # one that lacks its newline alone is whole


def test_a_torn_line_longer_than_one_look_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    append_lines(path, LINES)
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0" * 10_000)
    repair_lines(path)
    assert path.read_bytes() == whole
