from pathlib import Path

import numpy as np

from imgcli.evaluation.merges.suggest import suggest_merges
from imgcli.records import Samples
from imgcli.report.page import galleries
from tests.support.predictions import photo_predictions


def test_the_worst_mistakes_are_the_surest() -> None:
    said = photo_predictions([[5, 3], [4, 5]], ("a", "b"))
    worst = galleries.worst(said, most=5)
    assert len(worst) == 5 and not any(one.correct for one in worst)
    sure = [one.probability for one in worst]
    assert sure == sorted(sure, reverse=True)
    assert sure[0] == said.probs.max(axis=1)[said.preds != said.targets].max()


def test_a_run_without_mistakes_has_no_worst() -> None:
    assert galleries.worst(photo_predictions(np.diag([3, 3]))) == []


def test_photos_are_drawn_at_random_and_the_same_each_time() -> None:
    said = photo_predictions([[50, 9], [9, 50]])
    drawn = galleries.drawn(said)
    assert drawn == galleries.drawn(said) and len({one.path for one in drawn}) == 24
    assert [one.path for one in drawn] == sorted(one.path for one in drawn)
    assert len(galleries.drawn(photo_predictions([[1, 0], [0, 0]]))) == 1


def test_examples_of_a_merge_are_photos_called_by_the_other_name() -> None:
    counts = np.diag(np.full(6, 40))
    counts[0, 1] = counts[1, 0] = 35
    (suggestion,) = suggest_merges(photo_predictions(counts, [f"c{i}" for i in range(6)], folds=4))
    examples = galleries.examples(suggestion)
    assert {(one.label, one.predicted) for one in examples} == {("c0", "c1"), ("c1", "c0")}


def test_groups_with_several_labels_come_first_then_the_largest() -> None:
    samples = Samples(
        root=Path("x"),
        paths=tuple(f"{i}" for i in range(9)),
        targets=np.array([0, 0, 0, 0, 0, 1, 1, 0, 1]),
        groups=np.array([7, 7, 1, 1, 1, 2, 3, 4, 4]),
        digests=("",) * 9,
        classes=("a", "b"),
    )
    found = galleries.groups(samples)
    assert [(group.n, group.classes) for group in found] == [
        (2, ["a", "b"]),
        (3, ["a"]),
        (2, ["a"]),
    ]
    assert found[0].conflict and found[0].labels == ["a", "b"] and found[0].paths == ["7", "8"]
