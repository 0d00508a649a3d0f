"""Merges in a review: what is accepted is a plan that `imgcli merge` carries out."""

from pathlib import Path

import pytest

from imgcli.errors import DataError
from imgcli.photos.merge_spec import Merge, read_plan
from imgcli.records import MergeSuggestion
from imgcli.review.kept import Kept
from imgcli.review.merges import Accepted, merge_queue
from imgcli.review.pictures import Pictures
from imgcli.review.queue import Queue


def suggestion(*classes: str) -> MergeSuggestion:
    example = {"path": "train/a/1.jpg", "class": "a", "called": "b", "confidence": 0.9}
    return MergeSuggestion(
        classes, "overlap", 1.0, {"examples": [example]}, 0.9, 40, "They are often confused."
    )


def queue_in(folder: Path) -> Queue:
    return merge_queue(
        [suggestion("a", "b"), suggestion("b", "c"), suggestion("d", "e")],
        Accepted(folder / "merges-accepted.json", Path("dataset")),
        Kept("merges", folder / "reviewed.jsonl"),
        {"train/a/1.jpg": "p0"},
        Pictures({}),
    )


def test_accepted_merges_are_a_plan_and_are_taken_back(tmp_path: Path) -> None:
    queue, plan = queue_in(tmp_path), tmp_path / "merges-accepted.json"
    queue.decide("m0", "merge")
    queue.decide("m2", "merge")
    assert read_plan(plan) == [Merge(("a", "b"), "a+b"), Merge(("d", "e"), "d+e")]
    queue.undo()
    assert read_plan(plan) == [Merge(("a", "b"), "a+b")]
    queue.undo()
    assert not plan.exists()


def test_a_class_is_in_one_merge(tmp_path: Path) -> None:
    queue = queue_in(tmp_path)
    queue.decide("m0", "merge")
    with pytest.raises(DataError, match="'b' is in another merge that you accepted"):
        queue.decide("m1", "merge")
    assert queue.progress().decided == 1


def test_decided_merges_are_not_asked_again(tmp_path: Path) -> None:
    queue = queue_in(tmp_path)
    queue.decide("m0", "merge")
    queue.decide("m2", "keep")
    (left,) = queue_in(tmp_path).items
    assert left.question == "Are b and c one class?"
    assert left.photos[0].caption == "a, predicted as b (90.0 %)"
