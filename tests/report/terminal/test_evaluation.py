from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcli.report.terminal import evaluation as evaluation_tables
from tests.support.evaluations import ODD_NAMES, evaluation, matrix
from tests.support.reports import piped, words

FOLDS = (0.92, 0.94, 0.95, 0.97)
TRAIN = (0.99, 0.995, 1.0, 1.0)


def test_the_verdict_says_how_many_are_right_of_how_many_and_how_sure_that_is() -> None:
    folds = evaluation([[94, 6], [4, 96]], folds=(0.94, 0.96))
    assert evaluation_tables.verdict(folds) == (
        "Accuracy 95.0 % (n = 200; 2 folds of the train part, out-of-fold; "
        "95 % interval 94.0–96.0 %); folds 95.0 ± 1.4 %"
    )


def test_the_verdict_on_the_test_part_has_no_folds() -> None:
    assert evaluation_tables.verdict(evaluation([[1]], on="test")) == (
        "Accuracy 100.0 % (n = 1; the test part; 95 % interval 99.0–100.0 %)"
    )


def test_photos_it_learnt_from_are_called_so() -> None:
    assert "the train part, in-sample" in evaluation_tables.verdict(evaluation([[1]]))
    assert "all photos, in-sample" in evaluation_tables.verdict(evaluation([[1]], on="all"))


def test_the_figures_show_both_sides_of_the_folds() -> None:
    text = piped(
        evaluation_tables.figures(evaluation([[94, 6], [4, 96]], folds=FOLDS, train=TRAIN))
    )
    held_out, train = text.split("training photos")
    assert words(held_out).count("95.0 94.0–96.0 94.5 ± 2.1 94.5 2.0 92.0–97.0") == 3
    assert words(train).count("99.6 98.6–100.0 99.6 ± 0.5 99.8 0.6 99.0–100.0") == 3


def test_the_figures_without_folds_have_no_empty_columns() -> None:
    text = piped(evaluation_tables.figures(evaluation([[94, 6], [4, 96]], on="test")))
    assert "the test part" in text and "95.0  94.0–96.0" in text
    assert "mean" not in text and "–  " not in text


def test_figures_at_their_longest_fit_80_columns() -> None:
    whole = evaluation(np.diag([50, 50]), folds=(1.0, 1.0), train=(1.0, 1.0))
    lines = piped(evaluation_tables.figures(whole)).splitlines()
    assert words("\n".join(lines)).count("100.0 99.0–100.0 100.0 ± 0.0 100.0 0.0 100.0–100.0") == 6
    assert max(map(len, lines)) <= 80


def test_classes_come_worst_first_with_what_they_are_confused_with() -> None:
    text = piped(
        evaluation_tables.per_class(evaluation([[9, 0, 1], [0, 10, 0], [4, 0, 6]], list("abc")))
    )
    rows = [words(line).strip() for line in text.splitlines()[-4:-1]]
    assert rows == [
        "c 10 85.7 77.1–85.7 60.0 70.6 a (5)",
        "a 10 69.2 62.3–69.2 90.0 78.3 c (5)",
        "b 10 100.0 90.0–100.0 100.0 100.0 –",
    ]


def test_a_class_that_was_never_predicted_has_a_dash_for_its_precision() -> None:
    text = piped(evaluation_tables.per_class(evaluation([[0, 5], [0, 5]], ["never", "always"])))
    assert "never 5 – – 0.0 0.0 always (5)" in words(text)


def test_a_class_without_photos_comes_last() -> None:
    text = piped(evaluation_tables.per_class(evaluation([[0, 0], [0, 5]], ["absent", "there"])))
    assert text.index("there") < text.index("absent")
    assert "absent 0 – – – – –" in words(text)


def test_of_many_classes_the_worst_are_shown_and_it_says_so() -> None:
    counts = np.diag(np.full(40, 100))
    counts[:, 0] += np.arange(40)  # the higher its number, the worse the class
    text = piped(evaluation_tables.per_class(evaluation(counts)))
    assert "class_039" in text and "class_005" not in text
    assert "The 30 classes with the lowest F1 of 40" in text
    assert "lowest F1" not in piped(evaluation_tables.per_class(evaluation(matrix(30))))


def test_names_are_shown_and_never_acted_on() -> None:
    text = piped(
        evaluation_tables.per_class(evaluation(matrix(len(ODD_NAMES)), ODD_NAMES)), width=400
    )
    assert "\x1b" not in text and "\u202e" not in text and "\udcff" not in text
    for shown in ("[red]bold[/red]", "new\\nline\\x1b[2J", "$x_1$ and $\\alpha$", "\\udcff byte"):
        assert shown in text


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.text(min_size=1, max_size=90), min_size=2, max_size=6, unique=True),
    st.integers(1, 9_999_999),
    st.sampled_from([66, 80]),
)
def test_no_name_crowds_out_a_number(names: list[str], n: int, width: int) -> None:
    counts = np.diag(np.full(len(names), n))
    counts[0, 0], counts[0, 1] = 0, n
    text = piped(evaluation_tables.per_class(evaluation(counts, sorted(names))), width=width)
    assert all(len(line) <= width for line in text.splitlines() if line.isascii())
    assert "…" not in text or any("…" in name for name in names)
    assert text.count(f" {n:,} ") >= len(names)
    assert text.count("90.0–100.0") == max(len(names) - 2, 0)


def test_repeated_folds_are_named_so() -> None:
    folds = (0.8, 0.8, 0.9, 0.9)
    twice = replace(evaluation([[9, 1], [2, 8]], folds=folds), folds=2, repeats=2)
    assert evaluation_tables.measured_on(twice) == "2 × 2 folds of the train part, out-of-fold"


@pytest.mark.parametrize("width", [80, 40])
def test_what_is_piped_has_no_colour_codes(width: int) -> None:
    several = evaluation(matrix(5), folds=FOLDS, train=TRAIN)
    for renderable in (evaluation_tables.figures(several), evaluation_tables.per_class(several)):
        assert "\x1b" not in piped(renderable, width=width)
