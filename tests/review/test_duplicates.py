"""Duplicates in a review: which of them stay."""

from pathlib import Path

import pytest

from imgcli.photos.check import check_folder
from imgcli.photos.hashing import digests_by_path
from imgcli.photos.open_batch import OpenBatch
from imgcli.photos.quarantine import restore
from imgcli.review.duplicates import duplicate_queue
from imgcli.review.kept import Kept
from imgcli.review.queue import Queue
from tests.support.photos import write_tree
from tests.support.trees import file_states


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Two classes; a cat three times, and another both as cat and as dog."""
    root = write_tree(tmp_path / "raw", {"cat": 3, "dog": 3})
    for copy, of in (("cat/a", "cat/00"), ("cat/b", "cat/00"), ("dog/c", "cat/01")):
        (root / f"{copy}.png").write_bytes((root / f"{of}.png").read_bytes())
    return root


def queue_of(root: Path) -> Queue:
    cache = root.parent / "cache"
    checked = check_folder(root, cache)
    digests, _ = digests_by_path(root, sorted(checked.places), cache)
    return duplicate_queue(
        checked, digests, OpenBatch(root), Kept("duplicates", root.parent / "reviewed.jsonl")
    )


def test_photos_in_two_classes_come_first_and_have_no_suggestion(raw: Path) -> None:
    conflict, copies = queue_of(raw).items
    assert conflict.question == "The same photo in 'cat' and 'dog': which stay?"
    assert not conflict.suggested and copies.suggested == "best"
    assert [photo.name for photo in copies.photos] == ["cat/00.png", "cat/a.png", "cat/b.png"]


def test_one_stays_and_the_others_can_come_back(raw: Path) -> None:
    before, queue = file_states(raw), queue_of(raw)
    conflict, copies = queue.items
    dog = next(c.id for c in conflict.choices if "dog" in c.text)
    queue.decide(conflict.id, dog)
    queue.decide(copies.id, "only:1")
    assert set(before) - set(file_states(raw)) == {"cat/01.png", "cat/00.png", "cat/b.png"}
    queue.undo()
    assert set(before) - set(file_states(raw)) == {"cat/01.png"}
    restore(raw)
    assert file_states(raw) == before


def test_the_first_of_each_class_stays(raw: Path) -> None:
    before, queue = file_states(raw), queue_of(raw)
    queue.decide(queue.items[1].id, "best")
    assert set(before) - set(file_states(raw)) == {"cat/a.png", "cat/b.png"}


def test_a_group_of_which_one_photo_is_gone_stays_whole(raw: Path) -> None:
    queue = queue_of(raw)
    (raw / "cat/b.png").unlink()
    before = file_states(raw)
    with pytest.raises(Exception, match="is not there any more"):
        queue.decide(queue.items[1].id, "only:0")
    assert file_states(raw) == before and queue.progress().decided == 0


def test_photos_that_stay_all_are_not_asked_again(raw: Path) -> None:
    queue = queue_of(raw)
    queue.decide(queue.items[0].id, "keep")
    assert len(queue_of(raw).items) == 1
