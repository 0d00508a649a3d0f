"""Photos moved one at a time: undone one by one, or restored all together, byte for byte."""

import itertools
from pathlib import Path

import pytest

from imgcli.errors import DataError, StorageError
from imgcli.photos.open_batch import OpenBatch
from imgcli.photos.quarantine import Move, restore
from imgcli.reading import digest_of
from tests.support.disk import small_files
from tests.support.kills import alone, killed_at
from tests.support.photos import write_tree
from tests.support.trees import file_states


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "raw", {"cat": 4, "dog": 4})


def taken_out(root: Path, path: str) -> Move:
    return Move(path, "review", "taken out by hand", sha256=digest_of(root / path))


def relabelled(root: Path, path: str, to: str) -> Move:
    return Move(path, "label", "is dog, not cat", to, digest_of(root / path))


def some_moves(root: Path) -> list[Move]:
    return [
        taken_out(root, "cat/00.png"),
        relabelled(root, "cat/01.png", "dog/cat-01.png"),
        taken_out(root, "dog/02.png"),
    ]


def test_photos_move_one_by_one_and_restore_brings_all_back(raw: Path) -> None:
    before = file_states(raw)
    batch = OpenBatch(raw)
    for move in some_moves(raw):
        batch.move(move)
    after = set(file_states(raw))
    assert set(before) - after == {"cat/00.png", "cat/01.png", "dog/02.png"}
    assert after - set(before) == {"dog/cat-01.png"}
    batch.close()
    assert len(restore(raw).done) == 3
    assert file_states(raw) == before and not (raw.parent / "quarantine").exists()


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_moves_are_undone_in_any_order(raw: Path, order: tuple[int, ...]) -> None:
    before = file_states(raw)
    batch, moves = OpenBatch(raw), some_moves(raw)
    for move in moves:
        batch.move(move)
    for i in order:
        batch.undo(moves[i])
    batch.close()
    assert file_states(raw) == before and not list((raw.parent / "quarantine").glob("*"))


def test_nothing_is_left_behind_where_nothing_was_moved(raw: Path) -> None:
    OpenBatch(raw).close()
    assert not (raw.parent / "quarantine").exists()


def test_a_photo_that_is_gone_or_has_changed_is_not_moved(raw: Path) -> None:
    gone, changed = taken_out(raw, "cat/00.png"), taken_out(raw, "cat/01.png")
    (raw / "cat/00.png").unlink()
    (raw / "cat/01.png").write_bytes(b"another")
    batch = OpenBatch(raw)
    with pytest.raises(DataError, match="is not there any more"):
        batch.move(gone)
    with pytest.raises(DataError, match="has changed"):
        batch.move(changed)
    assert (raw / "cat/01.png").read_bytes() == b"another" and not batch.moves


def test_a_taken_place_keeps_what_it_has_and_the_photo_stays(raw: Path) -> None:
    before = file_states(raw)
    batch = OpenBatch(raw)
    with pytest.raises(StorageError, match="something else lies at its place"):
        batch.move(relabelled(raw, "cat/01.png", "dog/01.png"))
    batch.close()
    assert file_states(raw) == before and not list((raw.parent / "quarantine").glob("*"))


def test_on_a_full_disk_no_photo_moves_without_its_line_in_the_journal(raw: Path) -> None:
    before = file_states(raw)
    batch = OpenBatch(raw)
    with small_files(40), pytest.raises((StorageError, OSError)):
        batch.move(taken_out(raw, "cat/00.png"))
    assert file_states(raw) == before
    batch.move(taken_out(raw, "cat/00.png"))
    assert len(restore(raw).done) == 1 and file_states(raw) == before


def test_whenever_it_is_killed_restore_brings_everything_back(tmp_path: Path) -> None:
    alone(kill_everywhere, tmp_path)


def kill_everywhere(folder: str) -> None:
    for step in itertools.count(1):
        raw = write_tree(f"{folder}/{step}/raw", {"cat": 2, "dog": 3})
        before = file_states(raw)

        def decide(raw: Path = raw) -> None:
            batch, moves = OpenBatch(raw), some_moves(raw)
            for move in moves:
                batch.move(move)
            batch.undo(moves[1])

        killed = killed_at(step, decide)
        if (raw.parent / "quarantine").exists():
            restore(raw)
        assert file_states(raw) == before, step
        if not killed:
            assert step > 10
            return


# --- photos that stay where they are ------------------------------------------------------------


def test_a_photo_is_placed_as_a_link_and_taken_out_again(tmp_path: Path) -> None:
    roll = write_tree(tmp_path / "photos", {"a": 2})
    (tmp_path / "raw").mkdir()
    before = file_states(roll)
    batch = OpenBatch(tmp_path / "raw")
    one = batch.place(roll / "a/00.png", "cat", "labelled as cat")
    other = batch.place(roll / "a/01.png", "cat", "labelled as cat")
    assert one is not None and other is not None
    assert (tmp_path / "raw/cat/00.png").samefile(roll / "a/00.png")
    assert batch.place(roll / "a/00.png", "cat", "once more") is None
    batch.undo(one)
    assert [p.name for p in (tmp_path / "raw/cat").iterdir()] == ["01.png"]
    batch.undo(other)
    batch.close()
    assert not list((tmp_path / "raw").iterdir()) and file_states(roll) == before


def test_another_photo_of_the_same_name_keeps_its_place(tmp_path: Path) -> None:
    roll = write_tree(tmp_path / "photos", {"a": 1, "b": 1})
    (tmp_path / "raw").mkdir()
    batch = OpenBatch(tmp_path / "raw")
    for folder in ("a", "b"):
        batch.place(roll / folder / "00.png", "cat", "labelled as cat")
    placed = {p.read_bytes() for p in (tmp_path / "raw/cat").iterdir()}
    assert placed == {(roll / f / "00.png").read_bytes() for f in ("a", "b")}
    assert len(restore(tmp_path / "raw").taken_out) == 2
    assert not list((tmp_path / "raw").iterdir())
