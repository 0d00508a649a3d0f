"""What gives a class away is told, chance is not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.photos.associations import associations, cramers_v, in_bins, uneven


def test_cramers_v_of_a_hand_counted_table() -> None:
    # χ² = 10·10/20·... of a diagonal table is n, so φ² = 1; n = 40, 2 × 2: free = 1/39,
    # V = sqrt((1 - 1/39) / (2 - 1/39 - 1)) = 1.
    assert cramers_v(np.array([[20, 0], [0, 20]])) == pytest.approx(1)
    assert cramers_v(np.array([[10, 10], [10, 10]])) == 0


def test_a_class_of_another_format_is_told_in_a_sentence() -> None:
    labels = ["cat"] * 30 + ["dog"] * 30
    formats = ["PNG"] * 27 + ["JPEG"] * 33
    (found,) = associations(labels, {"format": formats})
    assert found.tells and found.n == 60 and found.p_value == 1 / 500
    assert found.sentence.startswith("Format and class go together (Cramér's V 0.90, p ≤ 0.002,")
    assert "100 % of 'dog' is JPEG, 10 % of the other classes." in found.sentence


def test_chance_is_not_told() -> None:
    rng = np.random.default_rng(0)
    told = 0
    for seed in range(20):
        labels = [str(c) for c in rng.integers(0, 10, 300)]
        sizes = [str(c) for c in rng.integers(0, 5, 300)]
        told += associations(labels, {"size": sizes}, seed)[0].tells
    assert told == 0


def test_what_is_sure_but_weak_and_strong_but_unsure_is_not_told() -> None:
    labels = ["cat"] * 1000 + ["dog"] * 1000
    formats = (["PNG"] * 6 + ["JPEG"] * 4) * 100 + (["PNG"] * 4 + ["JPEG"] * 6) * 100
    (weak,) = associations(labels, {"format": formats})
    assert weak.p_value < 0.01 and weak.cramers_v < 0.3 and not weak.tells
    assert weak.sentence.startswith("Format is not shown to give the class away (Cramér's V 0.")
    (few,) = associations(["cat"] * 3 + ["dog"] * 3, {"format": ["PNG"] * 3 + ["JPEG"] * 3})
    assert few.p_value > 0.05 and few.cramers_v > 0.9 and not few.tells


def test_without_two_classes_or_two_values_there_is_nothing_to_test() -> None:
    assert associations(["a"] * 9, {"format": ["PNG", "JPEG", "GIF"] * 3}) == []
    assert associations(["a", "b"], {"format": ["PNG", "PNG"]}) == []


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=60))
def test_v_is_a_share(pairs: list[tuple[int, int]]) -> None:
    for found in associations([str(a) for a, _ in pairs], {"x": [str(b) for _, b in pairs]}):
        assert 0 <= found.cramers_v <= 1 and 0 < found.p_value <= 1


def test_bins_part_what_is_mostly_equal() -> None:
    numbers = np.array([1.0] + [2.0] * 8 + [3.0])
    assert in_bins(numbers, "px", 0) == ["1 px", *["2 px"] * 8, "3 px"]


def test_small_classes_are_named() -> None:
    assert uneven({"cat": 20, "dog": 18}) == {}
    said = uneven({"cat": 50, "dog": 4, "owl": 12})
    assert said.keys() == {"dog"}
    assert "4 photos, where 'cat' has 50: 12 times as many" in said["dog"]
    assert "only 4 photos" in uneven({"cat": 6, "dog": 4})["dog"]
    assert "no" not in uneven({"cat": 0})
