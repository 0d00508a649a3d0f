"""The confusion matrix as a table of cells to click, and the photos behind each cell."""

from dataclasses import dataclass

import numpy as np

from imgcli.records import Evaluation, IntArray, Predictions
from imgcli.report.plots import confusion
from imgcli.report.plots.style import Rgba, Scale

LEVELS = 10  # of each colour scale
MAX_PHOTOS = 30_000  # behind all cells together; names of a million would be a page of 100 MB

# On a dark page frequent cells are bright, so that a rare error stays dim there too.
HITS_DARK = Scale(("#1C2733", "#2F6C9E"))
ERRORS_DARK = Scale(("#33261A", "#8A4B10", "#F09A2A", "#FFE3B8"))


@dataclass(frozen=True)
class Cell:
    """One field of the matrix that is not empty."""

    number: int  # of the cell, for the script
    n: int  # photos
    level: str  # "h1" to "h10" for hits, "e1" to "e10" for errors


@dataclass(frozen=True, eq=False)
class MatrixTable:
    """The matrix with its classes by similarity, and its photos cell by cell.

    The photos of cell c that are shown are `rows[first[c] : first[c] + shown[c]]`, the most
    instructive first: a class's least confident hits and its most confident errors.
    """

    order: IntArray  # (S,) the classes that are shown, in order
    table: list[list[Cell | None]]  # (S, S)
    most: float  # share of a row's photos at the end of the errors' scale
    true: IntArray  # (C,) positions in `order`, per cell
    predicted: IntArray  # (C,)
    first: IntArray  # (C,)
    n: IntArray  # (C,) photos
    shown: IntArray  # (C,) of them, those that can be looked at
    rows: IntArray  # (P,) rows of the predictions

    def urgency(self) -> IntArray:
        """Positions in `rows`, the most useful thumbnails first.

        Errors before hits; the first photo of each cell, then the second of each.
        """
        depth = _depths(self.shown)
        correct = np.repeat(self.true == self.predicted, self.shown)
        return np.lexsort((depth, correct)).astype(np.int64)


def matrix_table(evaluation: Evaluation, predictions: Predictions) -> MatrixTable:
    """Lay out the matrix of these predictions."""
    order = confusion.by_similarity(evaluation.confusion)
    counts = evaluation.confusion[np.ix_(order, order)]
    rows = _rows_by_cell(predictions, order)
    true, predicted = np.nonzero(counts)
    n = counts[true, predicted]
    shown = np.minimum(n, _deepest(n))
    rows = rows[_depths(n) < np.repeat(shown, n)]
    shares = confusion.row_shares(evaluation.confusion)[np.ix_(order, order)]
    most = confusion.worst_share(shares)
    levels = np.ceil(LEVELS * np.sqrt(shares / most)).astype(int)
    np.fill_diagonal(levels, np.ceil(LEVELS * shares.diagonal()))
    table: list[list[Cell | None]] = [[None] * len(order) for _ in order]
    for number, (i, j) in enumerate(zip(true.tolist(), predicted.tolist(), strict=True)):
        level = f"{'h' if i == j else 'e'}{min(levels[i, j], LEVELS)}"
        table[i][j] = Cell(number, int(counts[i, j]), level)
    first = np.cumsum(shown) - shown
    return MatrixTable(order, table, most, true, predicted, first, n, shown, rows)


def _depths(n: IntArray) -> IntArray:
    """The position of each photo in its cell, of cells of n photos."""
    return np.asarray(np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n), dtype=np.int64)


def _deepest(n: IntArray) -> int:
    """So many photos of each cell are `MAX_PHOTOS` in all; at least the first of each."""
    low, high = 1, int(n.max(initial=1))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (
            (middle, high) if np.minimum(n, middle).sum() <= MAX_PHOTOS else (low, middle - 1)
        )
    return low


def _rows_by_cell(predictions: Predictions, order: IntArray) -> IntArray:
    """Rows of the predictions whose cell is shown, by cell in reading order."""
    place = np.full(len(predictions.classes), -1)
    place[order] = np.arange(len(order))
    true, predicted = place[predictions.targets], place[predictions.preds]
    confidence = predictions.probs.max(axis=1)
    instructive = np.where(true == predicted, confidence, -confidence)
    sorted_rows = np.lexsort((instructive, predicted, true))
    shown = (true[sorted_rows] >= 0) & (predicted[sorted_rows] >= 0)
    return sorted_rows[shown].astype(np.int64)


def rules() -> tuple[str, str]:
    """The style rules of the cells' colours, on a light page and on a dark one."""
    light = {"h": confusion.HITS, "e": confusion.ERRORS}
    dark = {"h": HITS_DARK, "e": ERRORS_DARK}
    return _rules(light), _rules(dark)


def _rules(scales: dict[str, Scale]) -> str:
    return "\n".join(
        f".{name}{level}{{background:{_hex(colour)};color:{confusion.ink_on(colour)}}}"
        for name, scale in scales.items()
        for level, colour in _colours(scale)
    )


def _hex(colour: Rgba) -> str:
    return "#" + bytes(round(255 * part) for part in colour[:3]).hex()


def _colours(scale: Scale) -> list[tuple[int, Rgba]]:
    return [(level, scale((level - 0.5) / LEVELS)) for level in range(1, LEVELS + 1)]
