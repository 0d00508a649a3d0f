"""Names and numbers as people read them."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcli.text import (
    count,
    csv_text,
    duration,
    from_cell,
    interval,
    listed,
    megabytes,
    percent,
    plus_minus,
    printable,
    time_range,
    times,
)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.946, "94.6 %"),
        (0.0, "0.0 %"),
        (1.0, "100.0 %"),
        (0.99999, "99.9 %"),  # not all of them: never "100.0 %"
        (1 - 1e-12, "100.0 %"),  # all of them, but for a rounding
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_a_share_reads_as_a_percentage(share: float | None, text: str) -> None:
    assert percent(share) == text


def test_intervals_and_spreads_read_as_one_figure() -> None:
    assert interval((0.935, 0.956)) == "93.5–95.6 %"
    assert interval(None) == "–"
    assert plus_minus(0.946, 0.016) == "94.6 ± 1.6 %"
    assert plus_minus(None, None) == "–"


def test_counts_agree_with_their_noun() -> None:
    assert count(1, "photo") == "1 photo"
    assert count(1850, "photo") == "1,850 photos"


@settings(deadline=None)
@given(st.text())
def test_safe_text_has_nothing_a_terminal_acts_on(text: str) -> None:
    assert printable(text).isprintable()


def test_safe_text_keeps_what_is_printable() -> None:
    assert printable("straße 犬 $x_1$ [red]") == "straße 犬 $x_1$ [red]"
    assert printable("a\nb\x1b[2J\udcff") == "a\\nb\\x1b[2J\\udcff"


def test_a_list_of_names_says_how_many_it_leaves_out() -> None:
    assert listed(["a"]) == "'a'"
    assert listed(["a", "b"]) == "'a' and 'b'"
    assert listed(list("abcdefg")) == "'a', 'b', 'c', 'd', 'e' and 2 more"


def test_factors_and_sizes_are_short() -> None:
    assert [times(f) for f in (4.53, 30.2)] == ["4.5 times", "30 times"]
    assert [megabytes(n) for n in (300_000, 308_000_000)] == ["0.3 MB", "308 MB"]
    assert [percent(s, digits=0) for s in (0.714, 0.9998, 1.0)] == ["71 %", "99 %", "100 %"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (17.2, "17 s"), (59.4, "59 s"), (240, "4 min"), (7500, "2 h 5 min")],
)
def test_a_time_is_as_exact_as_it_matters(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (17.2, 25, "17 to 25 s"),
        (50, 120, "50 s to 2 min"),
        (3600, 7500, "1 h 0 min to 2 h 5 min"),
        (120, 300, "2 to 5 min"),
        (121, 122, "2 min"),
    ],
)
def test_a_range_of_times_names_its_unit_once(low: float, high: float, text: str) -> None:
    assert time_range(low, high) == text


# --- tables for spreadsheets --------------------------------------------------------------------

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=12)  # surrogates too
AWKWARD = st.text(st.sampled_from("=+-@'\";\\,x3bn\t\r\n ＝＠\x1b\udcff‮é"), max_size=8)


def read_csv(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@settings(max_examples=500)
@given(st.lists(st.lists(ANY_TEXT | AWKWARD, min_size=2, max_size=3), max_size=3))
def test_any_texts_come_back_from_a_csv(rows: list[list[str]]) -> None:
    text = csv_text(rows)
    text.encode()  # stray bytes of file names are escaped, too
    assert [[from_cell(cell) for cell in row] for row in read_csv(text)] == rows


@settings(max_examples=500)
@given(ANY_TEXT | AWKWARD)
def test_no_text_in_a_csv_is_a_formula_or_a_command(name: str) -> None:
    ((cell, _),) = read_csv(csv_text([[name, 1]]))
    for part in cell.split(";"):  # as a spreadsheet of some countries would take it apart
        assert not part.strip(" \"'").startswith(tuple("=+-@＝＋－＠")) or part.startswith("'")
    assert cell.isprintable()
    assert cell == name or cell.startswith("'")


@settings(max_examples=500)
@given(ANY_TEXT | AWKWARD)
def test_a_cell_that_was_written_bare_is_read_as_it_stands(name: str) -> None:
    protected = next(iter(read_csv(csv_text([[name, 1]]))))[0] != name
    assert from_cell(name) == name or (name.startswith("'") and protected)


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1", "'+1"),
        ("-x", "'-x"),
        ("@SUM", "'@SUM"),
        ("＝1", "'＝1"),
        (" =1", "' =1"),
        ("\t=1", "'\\t=1"),
        ("a;=1", "'a\\x3b=1"),
        ("a\x1b[31m", "'a\\x1b[31m"),
        ("\udcff", "'\\udcff"),
        ("'tis", "''tis"),
        ("a\\n", "a\\n"),
        ("cat", "cat"),
        ("a, b", "a, b"),
        ("", ""),
    ],
)
def test_what_a_cell_looks_like(name: str, cell: str) -> None:
    assert read_csv(csv_text([[name, -1.5, None, 3]])) == [[cell, "-1.5", "", "3"]]
