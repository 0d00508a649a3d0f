"""The effects of a merge, counted by hand, and photos to look at before it."""

import numpy as np
import pytest

from imgcli.evaluation.merges.effects import (
    MAX_EXAMPLES,
    accuracy,
    consequences,
    examples,
    information,
    macro_precision,
    merged_predictions,
)
from tests.support.predictions import of_confusion, predictions, sure


def test_merged_classes_take_the_place_and_the_name_of_the_first() -> None:
    probs = np.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]])
    after = merged_predictions(predictions([3, 2], probs), (3, 1))
    assert after.classes == ("c00", "c01", "c02")
    assert after.targets.tolist() == [1, 2]
    np.testing.assert_allclose(after.probs, [[0.1, 0.6, 0.3], [0.4, 0.4, 0.2]])


def test_information_of_four_equal_classes_all_known() -> None:
    found = information(of_confusion(np.diag([8] * 4).tolist()))
    assert (found.label_entropy, found.mutual) == (pytest.approx(2), pytest.approx(2))


def test_a_coin_between_two_classes_tells_nothing_that_a_merge_would_lose() -> None:
    twins = of_confusion([[5, 5, 0], [5, 5, 0], [0, 0, 20]])
    found = consequences(twins, (0, 1), chance_gain=0.05)
    assert found["bits"] == {"label": pytest.approx(1.5), "told": pytest.approx(1)}
    assert found["bits_lost"] == {"label": pytest.approx(0.5), "told": pytest.approx(0)}
    assert found["gain"] == pytest.approx(10 / 40)
    assert found["gain_beyond_chance"] == pytest.approx(10 / 40 - 0.05)
    assert found["macro_precision"] == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert found["macro_precision_after"] == 1.0


def test_merging_classes_that_are_told_apart_loses_what_was_told() -> None:
    found = consequences(of_confusion(np.diag([8] * 4).tolist()), (0, 1), 0.0)
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
