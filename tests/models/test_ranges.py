"""Notations that leave numbers open, for tuning."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.config import ModelConfig
from imgcli.errors import ModelError
from imgcli.models.create import create_network
from imgcli.models.notation import Range, fill_ranges, find_ranges, is_notation, parse, written


def test_ranges_are_found_with_their_ends_and_places() -> None:
    assert find_ranges("{16..64}C{3,5,7}-P2-D{0.1..0.5}-{32..128}") == [
        Range("{16..64}", 1, 16, 64),
        Range("{3,5,7}", 10, 3, 7, (3, 5, 7)),
        Range("{0.1..0.5}", 22, 0.1, 0.5),
        Range("{32..128}", 33, 32, 128),
    ]
    assert find_ranges("32C5-P2-128") == []


def test_a_range_is_of_whole_numbers_if_both_ends_are() -> None:
    whole, real = find_ranges("{0..2}-N{0..1.5}")
    assert isinstance(whole.low, int) and isinstance(real.low, float)
    assert whole.holds(1) and not whole.holds(1.5) and not whole.holds(3)
    assert real.holds(0.25)


def test_numbers_are_filled_in_as_the_language_writes_them() -> None:
    notation = "{16..64}C{3,5}-P2-D{0..0.5}-N{0..0.5}-{32..128}"
    filled = fill_ranges(notation, [48, 5, 0.00001, 0.0, 100])
    assert filled == "48C5-P2-D0.00001-N0-100"


@given(st.data())
def test_a_filled_notation_parses(data: st.DataObject) -> None:
    layers = ["{1..512}C{1..9}S{1,2}", "{8,16}C3V:tanh", "P{2..3}", "D{0.0..0.9}", "{1..999}B"]
    layers += ["N{0..2.5}", "R[{4..8}C3]", "W{2,3}"]
    chosen = data.draw(st.lists(st.sampled_from(layers), min_size=1))
    notation = "-".join(chosen)
    values = [
        data.draw(
            st.sampled_from(r.choices)
            if r.choices
            else st.integers(r.low, r.high)
            if isinstance(r.low, int) and isinstance(r.high, int)
            else st.floats(r.low, r.high)
        )
        for r in find_ranges(notation)
    ]
    filled = fill_ranges(notation, values)
    assert written(parse(filled)) == filled
    assert len(parse(filled)) == len(chosen)


@pytest.mark.parametrize(
    ("notation", "message"),
    [
        ("32C5-{64..16}", r"'\{64..16\}' at position 6 .* runs backwards; write \{16..64\}"),
        ("32C5-{16-64}", r"'\{16-64\}' at position 6 .* is no range; ranges look like"),
        ("{..5}C3", r"'\{..5\}' at position 1 .* is no range"),
        ("{3,}C3", "is no range"),
        ("{3..5C3", r"'\{3..5C3' at position 1 .* is no range"),
        ("3}C3", r"'\}' at position 2 .* is no range"),
    ],
)
def test_other_braces_are_pointed_at(notation: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        find_ranges(notation)


def test_a_network_with_an_open_number_is_for_tuning() -> None:
    assert is_notation("{16..64}C5")
    with pytest.raises(
        ModelError, match=r"'\{16..64\}C5' at position 1 .* is for `imgcli tune`; write one number"
    ):
        create_network(ModelConfig("{16..64}C5-P2-128"), 10)
