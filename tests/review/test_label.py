"""Photos to label in a review: a batch at a time, each chosen by the labels so far."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from imgcli.errors import WrongUsage
from imgcli.photos.open_batch import OpenBatch
from imgcli.review.label import BATCH, Labelling, labelling_queue
from imgcli.review.queue import Progress, Queue
from tests.support.photos import write_tree


class Album:
    """25 photos, asked for in their order; a photo looks like the class labelled last."""

    def __init__(self, folder: Path) -> None:
        self.files: Sequence[Path] = sorted(write_tree(folder, {"a": 25}).rglob("*.png"))
        self.names: Sequence[str] = [file.name for file in self.files]
        self.classes = ["cat", "dog"]
        self.labels: dict[int, str] = {}

    def next(self, n: int, without: Sequence[int]) -> list[tuple[int, str | None]]:
        left = [i for i in range(25) if i not in self.labels and i not in without]
        guess = next(reversed(self.labels.values()), None)
        return [(i, guess) for i in left[:n]]

    def label(self, row: int, name: str) -> None:
        self.labels[row] = name
        self.classes += [name] * (name not in self.classes)

    def unlabel(self, row: int) -> None:
        del self.labels[row]


@pytest.fixture
def album(tmp_path: Path) -> Album:
    return Album(tmp_path / "photos")


@pytest.fixture
def queue(album: Album, tmp_path: Path) -> Queue:
    (tmp_path / "raw").mkdir()
    labelling = Labelling(album, OpenBatch(tmp_path / "raw"), lambda name: name)
    return labelling_queue(
        labelling, lambda photo, side: None, lambda: Progress(len(album.labels), 0, "so far")
    )


def test_the_next_batch_is_chosen_when_the_last_one_is_done(queue: Queue, album: Album) -> None:
    for n in range(25):
        (item, *_) = queue.waiting()
        assert item.id == f"p{n}"
        assert item.suggested == ("is:dog" if n >= BATCH else "")
        queue.decide(item.id, "is:dog")
    assert queue.waiting() == [] and len(album.labels) == 25


def test_photos_passed_over_do_not_come_again(queue: Queue, album: Album) -> None:
    for item in queue.waiting():
        queue.decide(item.id, "keep")
    assert [item.id for item in queue.waiting()] == [f"p{n}" for n in range(10, 20)]
    assert not album.labels


def test_a_class_named_on_the_page_has_a_key_in_the_next_batch(
    queue: Queue, tmp_path: Path
) -> None:
    for item in queue.waiting():
        queue.decide(item.id, "is:owl")
    assert [choice.text for choice in queue.waiting()[0].choices] == [
        "cat", "dog", "owl", "Not now"
    ]  # fmt: skip
    assert len(list((tmp_path / "raw/owl").iterdir())) == BATCH
    with pytest.raises(WrongUsage, match="is no choice"):
        queue.decide(queue.waiting()[0].id, "is: ")


def test_undoing_takes_the_photo_and_the_label_back(
    queue: Queue, album: Album, tmp_path: Path
) -> None:
    for _ in range(12):
        queue.decide(queue.waiting()[0].id, "is:cat")
    for n in reversed(range(12)):
        undone = queue.undo()
        assert undone is not None and undone.id == f"p{n}"
    assert not album.labels and not list((tmp_path / "raw").rglob("*.png"))
