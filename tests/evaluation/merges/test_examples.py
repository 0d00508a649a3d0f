"""Photos to look at before a merge."""

import numpy as np

from imgcli.evaluation.merges.examples import MOST, examples
from tests.evaluation.planted import predictions


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
    assert len(examples(some, (0, 1))) == MOST
