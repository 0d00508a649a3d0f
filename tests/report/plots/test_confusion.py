from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text

from imgcli.report.plots import confusion, style
from tests.support.evaluations import ODD_NAMES, evaluation, matrix
from tests.support.figures import (
    all_labels,
    boxes,
    drawn,
    lightness,
    long_names,
    overlaps,
    ticks,
    title,
)

FOLDS = (0.92, 0.94, 0.95, 0.97)


def counts_in_cells(figure: Figure) -> dict[tuple[str, str], int]:
    """The numbers as a reader sees them: by the names of their row and column."""
    axes = figure.axes[0]
    rows, columns = ticks(axes), ticks(axes, "x")
    cells = [text for text in axes.texts if text.get_text().isdigit()]
    where = [(text.get_position(), int(text.get_text())) for text in cells]
    return {(rows[int(y)], columns[int(x)]): n for (x, y), n in where}


@pytest.mark.parametrize(
    ("k", "order"), [(2, "name"), (10, "name"), (30, "similarity"), (100, "similarity")]
)
def test_the_cells_hold_the_counts_and_are_empty_where_there_are_none(k: int, order: str) -> None:
    counted = matrix(k)
    counted[0, 0] = 0
    figure = confusion.confusion(evaluation(counted), order=order)  # type: ignore[arg-type]
    names = [f"class_{i:03d}" for i in range(k)]
    expected = {(names[i], names[j]): int(counted[i, j]) for i, j in np.argwhere(counted)}
    assert counts_in_cells(figure) == expected
    coloured = [mesh.get_array() for mesh in figure.axes[0].collections[:2]]
    assert sum(int(shares.count()) for shares in coloured) == len(expected)


@pytest.mark.parametrize("k", [10, 30, 100])
def test_names_never_overlap_and_counts_stay_in_their_cells(k: int) -> None:
    figure = drawn(confusion.confusion(evaluation(matrix(k), long_names(k))))
    axes = figure.axes[0]
    assert [overlaps(labels) for labels in all_labels(axes)] == [0, 0, 0, 0]
    for text in axes.texts:
        if text.get_text().isdigit():
            box = axes.transData.inverted().transform_bbox(text.get_window_extent())
            (column, row), n = np.floor(text.get_position()), text.get_text()
            assert column <= box.x0 and box.x1 <= column + 1, n
            assert row <= box.y1 and box.y0 <= row + 1, n


def test_long_counts_shrink_to_fit_and_vanish_where_they_cannot() -> None:
    axes = drawn(confusion.confusion(evaluation(np.full((12, 12), 1_234_567)))).axes[0]
    cell = axes.get_window_extent().width / 12
    numbers = [text for text in axes.texts if text.get_text() == "1234567"]
    assert len(numbers) == 144 and all(box.width < cell for box in boxes(numbers))
    crowded = np.diag(np.full(100, 1_234_567))
    crowded[3, 4] = 1
    assert list(counts_in_cells(confusion.confusion(evaluation(crowded))).values()) == [1]


def test_short_names_stand_upright_and_long_ones_along_their_column() -> None:
    short = confusion.confusion(evaluation(matrix(3), ["a", "b", "c"]))
    assert {label.get_rotation() for label in short.axes[0].get_xticklabels()} == {0}
    long = confusion.confusion(evaluation(matrix(3), ["a", "b", "c" * 30]))
    assert {label.get_rotation() for label in long.axes[0].get_xticklabels()} == {90}


def test_the_shape_of_a_name_is_what_the_user_wrote() -> None:
    shown = ticks(confusion.confusion(evaluation(matrix(10), ODD_NAMES), order="name").axes[0])
    assert shown[:3] == ["$x_1$ and $\\alpha$", "[red]bold[/red]", "new\\nline\\x1b[2J"]
    assert shown[4] == "Ελληνικά straße Ñandú"
    assert not any(label.get_parse_math() for label in _labels_of(ODD_NAMES))


def _labels_of(names: Iterable[str]) -> list[Text]:
    names = list(names)
    axes = confusion.confusion(evaluation(matrix(len(names)), names)).axes[0]
    return [*axes.get_xticklabels(), *axes.get_yticklabels()]


def test_every_row_ends_with_its_share_right_and_its_n() -> None:
    figure = confusion.confusion(evaluation([[3, 1], [0, 0]], ["cat", "dog"]), order="name")
    (ends,) = figure.axes[0].child_axes
    assert [text.replace("\u2007", "") for text in ticks(ends)] == ["75.0 % of 4", "– of 0"]


def test_a_rare_mistake_is_seen_beside_a_full_diagonal() -> None:
    counts = np.diag(np.full(10, 1000))
    counts[2, 5] = 5
    figure = confusion.confusion(evaluation(counts), order="name")
    right, mistakes = figure.axes[0].collections[:2]
    rare = mistakes.to_rgba(5 / 1005)
    assert np.abs(np.array(rare[:3]) - 1).max() > 0.1  # not white
    assert lightness(mistakes.to_rgba(0.1)) < lightness(right.to_rgba(1.0)) - 0.3


def test_both_scales_darken_all_the_way_for_grey_print() -> None:
    for colours in (confusion.HITS, confusion.ERRORS):
        ladder = [lightness(colours(x)) for x in np.linspace(0, 1, 50)]
        assert all(lower > higher for lower, higher in pairwise(ladder))


def test_the_title_says_how_good_on_how_many_and_of_what() -> None:
    words = title(confusion.confusion(evaluation(matrix(4), folds=FOLDS)))
    assert words.startswith("Confusion matrix")
    assert "(n = 240; 4 folds of the train part, out-of-fold; 95 % interval" in words
    assert "folds 94.5 ± 2.1 %" in words


def test_of_too_many_classes_the_most_mistaken_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(style, "MAX_CLASSES", 3)
    counts = np.diag([9, 9, 9, 9, 9])
    counts[1, 4] = counts[1, 3] = 2
    counts[1, 0] = 1
    figure = confusion.confusion(evaluation(counts), order="name")
    assert ticks(figure.axes[0]) == ["class_001", "class_003", "class_004"]
    assert "Shown: the 3 of 5 classes with the most errors" in title(figure)
    assert "64.3 % of 14" in ticks(figure.axes[0].child_axes[0])[0]  # of the whole row
    assert figure.axes[0].collections[0].get_array()[0, 0] == pytest.approx(9 / 14)
    assert "Shown" not in title(confusion.confusion(evaluation(matrix(3))))


def test_similarity_puts_classes_side_by_side_that_are_confused() -> None:
    counts = np.diag(np.full(8, 20))
    for a, b in ((0, 5), (2, 7), (1, 3)):
        counts[a, b] = counts[b, a] = 9
    order = confusion.similarity_order(counts).tolist()
    assert all(abs(order.index(a) - order.index(b)) == 1 for a, b in ((0, 5), (2, 7), (1, 3)))


@pytest.mark.parametrize("k", [1, 2, 3, 30])
def test_classes_that_are_never_confused_keep_the_order_of_their_names(k: int) -> None:
    assert confusion.similarity_order(np.diag(np.full(k, 5))).tolist() == list(range(k))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 12), st.integers(0, 1000))
def test_similarity_loses_no_class(k: int, seed: int) -> None:
    counts = np.random.default_rng(seed).integers(0, 3, (k, k))
    order = confusion.similarity_order(counts)
    assert sorted(order) == list(range(k)) and order[0] <= order[-1]


@pytest.mark.parametrize(("k", "images"), [(10, 1), (61, 2)])  # one is of the colour scale
def test_the_cells_of_many_classes_are_an_image_in_the_svg(k: int, images: int) -> None:
    figure = confusion.confusion(evaluation(matrix(k)))
    assert style.svg(figure).count("<image") == images
