"""What a merge would do: counted by hand."""

import numpy as np
import pytest

from imgcli.evaluation.merges.effects import (
    accuracy,
    bits,
    consequences,
    macro_precision,
    merged_predictions,
)
from tests.evaluation.planted import of_confusion, predictions, sure


def test_merged_classes_take_the_place_and_the_name_of_the_first() -> None:
    probs = np.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]])
    after = merged_predictions(predictions([3, 2], probs), (3, 1))
    assert after.classes == ("c00", "c01", "c02")
    assert after.targets.tolist() == [1, 2]
    np.testing.assert_allclose(after.probs, [[0.1, 0.6, 0.3], [0.4, 0.4, 0.2]])


def test_bits_of_four_equal_classes_all_known() -> None:
    found = bits(of_confusion(np.diag([8] * 4).tolist()))
    assert (found.label, found.told) == (pytest.approx(2), pytest.approx(2))


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
