"""What goes into quarantine comes back exactly, whatever happened in between."""

import json
import os
from pathlib import Path

import pytest

from imgcli.errors import DataError
from imgcli.photos.manifest import Manifest, Recipe
from imgcli.photos.quarantine import Move, quarantine, restore
from tests.support.kills import stopped_at
from tests.support.trees import file_states


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    root = tmp_path / "raw"
    for name in ("cat/a.jpg", "cat/sub/a.jpg", "dog/a.jpg", "dog/-b\n\x1b.jpg", "dog/\udcff.jpg"):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.fsencode(name))
        os.utime(file, ns=(10**18, 10**18 + len(name)))
    (root / "dog/link.jpg").symlink_to("../cat/a.jpg")
    return root


def all_of(root: Path) -> list[Move]:
    return [Move(path, "blank", "one colour") for path in file_states(root)]


def test_moved_photos_come_back_with_bytes_names_times_and_places(raw: Path) -> None:
    before = file_states(raw)
    moved = quarantine(raw, all_of(raw))
    assert sorted(moved.done) == sorted(before) and moved.left == ()
    assert file_states(raw) == {}
    (batch,) = moved.batches
    assert batch.parent == raw.parent / "quarantine" and file_states(batch).keys() >= before.keys()
    back = restore(raw)
    assert file_states(raw) == before
    assert sorted(back.done) == sorted(f"raw/{name}" for name in before)
    assert sorted(path.name for path in raw.parent.iterdir()) == ["raw"]


def test_the_journal_says_what_was_moved_and_why(raw: Path) -> None:
    moved = quarantine(raw, [Move("cat/a.jpg", "blank", "one colour")])
    journal = json.loads((moved.batches[0] / "journal.json").read_bytes())
    assert journal["folder"] == "raw"
    assert journal["moves"] == [{"path": "cat/a.jpg", "kind": "blank", "reason": "one colour"}]


def test_nothing_is_overwritten_on_the_way_back(raw: Path) -> None:
    quarantine(raw, [Move("cat/a.jpg", "", ""), Move("dog/a.jpg", "", "")])
    (raw / "cat/a.jpg").write_bytes(b"new")
    back = restore(raw)
    assert back.done == ("raw/dog/a.jpg",)
    assert [(item.path, item.reason) for item in back.left] == [
        ("raw/cat/a.jpg", "something else lies at its place")
    ]
    assert (raw / "cat/a.jpg").read_bytes() == b"new"
    (raw / "cat/a.jpg").unlink()
    assert restore(raw).done == ("raw/cat/a.jpg",)
    assert (raw / "cat/a.jpg").read_bytes() == b"cat/a.jpg"


def test_batches_come_back_together_or_alone(raw: Path) -> None:
    before = file_states(raw)
    first = quarantine(raw, [Move("cat/a.jpg", "", "")])
    (raw / "cat/a.jpg").write_bytes(b"another")
    second = quarantine(raw, [Move("cat/a.jpg", "", ""), Move("dog/a.jpg", "", "")])
    assert restore(second.batches[0]).done == ("raw/cat/a.jpg", "raw/dog/a.jpg")
    assert (raw / "cat/a.jpg").read_bytes() == b"another"
    (raw / "cat/a.jpg").unlink()
    assert restore(first.batches[0].parent).done == ("raw/cat/a.jpg",)
    assert file_states(raw) == before


def test_of_several_folders_only_the_one_named_comes_back(raw: Path) -> None:
    other = raw.parent / "other"
    (other / "cat").mkdir(parents=True)
    (other / "cat/x.jpg").write_bytes(b"x")
    quarantine(raw, [Move("cat/a.jpg", "", "")])
    quarantine(other, [Move("cat/x.jpg", "", "")])
    assert restore(other).done == ("other/cat/x.jpg",)
    assert not (raw / "cat/a.jpg").exists()


def test_killed_anywhere_everything_still_comes_back(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file_states(raw)
    moves = all_of(raw)
    call = 0
    while stopped_at(call := call + 1, lambda: quarantine(raw, moves), monkeypatch):
        restore(raw)
        assert file_states(raw) == before, call
        assert not (raw.parent / "quarantine").exists(), call
    assert call > 2 * len(moves)


def test_a_restore_that_is_killed_anywhere_can_be_given_again(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file_states(raw)
    moves = all_of(raw)
    call, killed = 0, True
    while killed:
        quarantine(raw, moves)
        killed = stopped_at(call := call + 1, lambda: restore(raw), monkeypatch)
        if (raw.parent / "quarantine").exists():
            restore(raw)
        assert file_states(raw) == before, call
        assert not (raw.parent / "quarantine").exists(), call
    assert call > 2 * len(moves)


def test_what_imgcli_split_is_refused(raw: Path) -> None:
    dataset = raw.parent / "dataset"
    (dataset / "train").mkdir(parents=True)
    Manifest(Recipe(), "raw", ("cat",), ()).write(dataset)
    for folder in (dataset, dataset / "train"):
        with pytest.raises(DataError, match=r"imgcli check raw --fix …, then imgcli split raw"):
            quarantine(folder, [])


@pytest.mark.parametrize("place", ["raw", "quarantine", "nowhere"])
def test_without_a_quarantine_there_is_nothing_to_restore(raw: Path, place: str) -> None:
    with pytest.raises(DataError, match="Nothing is in quarantine at"):
        restore(raw.parent / place)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"format": 2, "folder": "raw", "moves": []}',
        '{"format": 1, "folder": "..", "moves": []}',
        '{"format": 1, "folder": "raw", "moves": [{"path": "../a"}]}',
        '{"format": 1, "folder": "raw", "moves": [{"path": "/etc/a"}]}',
    ],
)
def test_a_journal_that_cannot_be_followed_moves_nothing(raw: Path, text: str) -> None:
    batch = quarantine(raw, [Move("cat/a.jpg", "", "")]).batches[0]
    (batch / "journal.json").write_text(text)
    with pytest.raises(DataError, match=r"journal\.json' (cannot be read|is not a journal)"):
        restore(raw)
    assert (batch / "cat/a.jpg").exists()
