"""The effects of a merge, counted by hand, and photos to look at before it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.evaluation import metrics
from imgcli.evaluation.merges.effects import (
    MAX_EXAMPLES,
    accuracy,
    consequences,
    examples,
    information,
    macro_precision,
    merged_confusion,
)
from imgcli.evaluation.metrics import confusion_of
from imgcli.records import Predictions
from tests.support.predictions import predictions, sure


def test_merged_classes_are_counted_in_the_place_of_the_first() -> None:
    probs = np.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]])
    some = predictions([3, 2], probs)
    after = merged_confusion(some, confusion_of(some), (3, 1))
    assert after.tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 0]]  # 0.4 twice: the first is predicted


@given(data=st.data(), classes=st.integers(2, 7), photos=st.integers(1, 30))
def test_a_merge_is_counted_as_if_the_probabilities_had_been_added_up(
    data: st.DataObject, classes: int, photos: int
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    probs = rng.integers(1, 5, (photos, classes)).astype(float)  # with many ties
    targets = rng.integers(0, classes, photos)
    merged = data.draw(st.lists(st.integers(0, classes - 1), min_size=2, unique=True))

    kept = [c for c in range(classes) if c not in merged or c == min(merged)]
    place = [kept.index(min(merged) if c in merged else c) for c in range(classes)]
    added = np.stack([probs[:, [p == i for p in place]].sum(axis=1) for i in range(len(kept))], 1)
    expected = np.zeros((len(kept), len(kept)), int)
    np.add.at(expected, (np.array(place)[targets], added.argmax(axis=1)), 1)

    some = predictions(targets.tolist(), probs / probs.sum(axis=1, keepdims=True))
    object.__setattr__(some, "probs", probs)  # whole numbers, so that equal sums are equal
    assert merged_confusion(some, confusion_of(some), merged).tolist() == expected.tolist()


def accuracy_after(some: Predictions, merged: tuple[int, ...]) -> float:
    return float(metrics.accuracy(merged_confusion(some, confusion_of(some), merged)))


def test_accuracy_after_a_merge_adds_up_the_beliefs() -> None:
    # The second photo is lost to c between two half-beliefs; a model of a-and-b has it right.
    probs = np.array([[0.2, 0.7, 0.1], [0.35, 0.25, 0.4], [0.1, 0.1, 0.8], [0.2, 0.2, 0.6]])
    some = predictions([0, 0, 2, 2], probs)
    assert accuracy_after(some, ()) == 2 / 4
    assert accuracy_after(some, (0, 1)) == accuracy_after(some, (1, 0)) == 4 / 4
    assert accuracy_after(some, (0, 1, 2)) == 1.0


def test_accuracy_after_a_merge_does_not_mind_a_belief_of_nought() -> None:
    some = predictions([0, 1], np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    assert accuracy_after(some, (0, 1)) == accuracy_after(some, (1, 0)) == 1.0


def test_information_of_four_equal_classes_all_known() -> None:
    found = information(np.diag([8] * 4))
    assert (found.label_entropy, found.mutual) == (pytest.approx(2), pytest.approx(2))


def test_a_coin_between_two_classes_tells_nothing_that_a_merge_would_lose() -> None:
    twins = np.array([[5, 5, 0], [5, 5, 0], [0, 0, 20]])
    found = consequences(twins, np.diag([20, 20]), chance_gain=0.05)
    assert found["bits"] == {"label": pytest.approx(1.5), "told": pytest.approx(1)}
    assert found["bits_lost"] == {"label": pytest.approx(0.5), "told": pytest.approx(0)}
    assert found["gain"] == pytest.approx(10 / 40)
    assert found["gain_beyond_chance"] == pytest.approx(10 / 40 - 0.05)
    assert found["macro_precision"] == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert found["macro_precision_after"] == 1.0


def test_merging_classes_that_are_told_apart_loses_what_was_told() -> None:
    found = consequences(np.diag([8] * 4), np.diag([16, 8, 8]), 0.0)
    assert found["bits_lost"] == {"label": pytest.approx(0.5), "told": pytest.approx(0.5)}
    assert found["gain"] == 0.0


def test_figures_count_all_photos() -> None:
    some = predictions([0, 0, 1], sure([0, 1, 1], 2))
    assert accuracy(some) == pytest.approx(2 / 3)
    assert macro_precision(some) == pytest.approx((1 + 0.5) / 2)


def test_the_surest_mistakes_between_the_classes_come_first_each_group_once() -> None:
    probs = np.array([[0.3, 0.6, 0.1], [0.1, 0.9, 0], [0.2, 0.8, 0], [0.1, 0, 0.9], [0.7, 0.3, 0]])
    some = predictions([0, 0, 0, 0, 1], probs, groups=[1, 2, 2, 3, 4])
    found = examples(some, (0, 1))
    assert [(e["path"], e["called"]) for e in found] == [
        ("1.jpg", "c01"),  # 2.jpg is nearly the same, 3.jpg is called something else
        ("0.jpg", "c01"),
        ("4.jpg", "c00"),
    ]
    assert found[0] == {
        "path": "1.jpg",
        "class": "c00",
        "called": "c01",
        "confidence": 0.9,
        "twin": None,
    }


def test_a_near_duplicate_on_the_other_side_is_shown() -> None:
    probs = np.array([[0.2, 0.8], [0.1, 0.9]])
    (found,) = examples(predictions([0, 1], probs, groups=[5, 5]), (0, 1))
    assert (found["path"], found["twin"]) == ("0.jpg", "1.jpg")


def test_not_more_than_a_few_of_each_kind() -> None:
    some = predictions([0] * 20, np.tile([0.1, 0.9], (20, 1)))
    assert len(examples(some, (0, 1))) == MAX_EXAMPLES
