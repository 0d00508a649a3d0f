import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.evaluation.evaluate import evaluate
from imgcli.records import Predictions
from imgcli.report.page import matrix
from imgcli.report.page.matrix import MatrixTable, matrix_table
from imgcli.report.plots import style
from tests.support.figures import lightness
from tests.support.predictions import of_confusion, photo_predictions

COUNTS = ((5, 2, 0), (0, 3, 0), (1, 0, 0))


def table_of(said: Predictions) -> MatrixTable:
    return matrix_table(evaluate(said), said)


def photos(table: MatrixTable, said: Predictions) -> dict[tuple[str, str], list[int]]:
    """The rows of the predictions behind each cell, by the names of label and prediction."""
    return {
        (said.classes[table.order[i]], said.classes[table.order[j]]): table.rows[f : f + n].tolist()
        for i, j, f, n in zip(table.true, table.predicted, table.first, table.n, strict=True)
    }


def test_each_cell_holds_its_photos_and_no_cell_is_empty() -> None:
    said = photo_predictions(COUNTS, ("a", "b", "c"))
    found = photos(table_of(said), said)
    assert {cell: len(rows) for cell, rows in found.items()} == {
        ("a", "a"): 5,
        ("a", "b"): 2,
        ("b", "b"): 3,
        ("c", "a"): 1,
    }
    for (label, prediction), rows in found.items():
        assert {said.classes[said.targets[i]] for i in rows} == {label}
        assert {said.classes[said.preds[i]] for i in rows} == {prediction}


@given(st.integers(1, 6), st.integers(0, 50))
def test_every_photo_is_behind_one_cell_that_counts_it(k: int, seed: int) -> None:
    counts = np.random.default_rng(seed).integers(0, 4, (k + 1, k + 1))
    counts[0, 0] += 1
    said = photo_predictions(counts)
    table = table_of(said)
    assert sorted(table.rows) == list(range(len(said)))
    shown = [cell.n if cell else 0 for row in table.table for cell in row]
    assert shown == counts[np.ix_(table.order, table.order)].ravel().tolist()


def test_surest_mistakes_and_least_sure_hits_come_first() -> None:
    said = photo_predictions(COUNTS, ("a", "b", "c"))
    found, sure = photos(table_of(said), said), said.probs.max(axis=1)
    assert np.all(np.diff(sure[found["a", "b"]]) < 0)
    assert np.all(np.diff(sure[found["a", "a"]]) > 0)


def test_thumbnails_go_to_mistakes_first_and_to_every_cell_in_turn() -> None:
    said = photo_predictions([[9, 3, 0], [0, 9, 2], [1, 0, 9]])
    table = table_of(said)
    rows = table.rows[table.urgency()]
    wrong = said.preds[rows] != said.targets[rows]
    assert wrong[:6].all() and not wrong[6:].any()
    firsts = {(said.targets[i], said.preds[i]) for i in rows[:3]}
    assert len(firsts) == 3  # one photo of each cell of mistakes


def test_of_too_many_classes_the_photos_of_those_shown_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(style, "MAX_CLASSES", 2)
    said = photo_predictions([[5, 2, 0], [1, 3, 0], [0, 0, 4]], ("a", "b", "c"))
    table = table_of(said)
    assert sorted(said.classes[i] for i in table.order) == ["a", "b"]
    assert len(table.rows) == int(table.n.sum()) == 11


def background_lightness(rule: str) -> float:
    colour = rule.split("background:")[1].split(";")[0]
    return lightness(colour)


def test_the_colours_of_cells_run_one_way_for_grey_print_and_on_dark_paper() -> None:
    for rules, direction in zip(matrix.rules(), (-1, 1), strict=True):
        for scale in ("h", "e"):
            ladder = [
                background_lightness(r) for r in rules.splitlines() if r.startswith(f".{scale}")
            ]
            assert len(ladder) == 10
            assert all(step * direction > 0 for step in np.diff(ladder))


def test_of_many_photos_the_first_of_each_cell_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    said = of_confusion([[40, 3], [2, 60]])
    whole = matrix_table(evaluate(said), said)
    monkeypatch.setattr("imgcli.report.page.matrix.MAX_PHOTOS", 27)
    table = matrix_table(evaluate(said), said)
    assert table.n.tolist() == whole.n.tolist()
    assert sorted(table.shown.tolist()) == [2, 3, 11, 11] and len(table.rows) == 27
    for cell, (first, n) in enumerate(zip(table.first, table.shown, strict=True)):
        of_whole = whole.rows[whole.first[cell] : whole.first[cell] + n]
        assert table.rows[first : first + n].tolist() == of_whole.tolist()
    assert sorted(table.urgency().tolist()) == list(range(27))
