"""The confusion matrix as a table of cells to click, and the photos behind each cell."""

from dataclasses import dataclass

import numpy as np
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_hex

from imgcli.records import Evaluation, IntArray, Predictions
from imgcli.report.plots import confusion

LEVELS = 10  # of each colour scale

# On dark paper what is frequent shines, so that a rare mistake stays dim there too.
RIGHT_DARK = LinearSegmentedColormap.from_list("right_dark", ["#1C2733", "#2F6C9E"])
WRONG_DARK = LinearSegmentedColormap.from_list(
    "wrong_dark", ["#33261A", "#8A4B10", "#F09A2A", "#FFE3B8"]
)


@dataclass(frozen=True)
class Cell:
    """One field of the matrix that is not empty."""

    number: int  # of the cell, for the script
    n: int  # photos
    level: str  # "r1" to "r10" for what is right, "w1" to "w10" for mistakes


@dataclass(frozen=True, eq=False)
class Cells:
    """The matrix with its classes by similarity, and its photos cell by cell.

    The photos of cell c stand at `rows[first[c] : first[c] + n[c]]`; the most instructive first,
    which are a class's least sure hits and its surest mistakes.
    """

    order: IntArray  # (S,) the classes that are shown, as they stand
    table: list[list[Cell | None]]  # (S, S)
    most: float  # share of a row's photos that the darkest mistake stands for
    true: IntArray  # (C,) positions in `order`, per cell
    predicted: IntArray  # (C,)
    first: IntArray  # (C,)
    n: IntArray  # (C,)
    rows: IntArray  # (P,) rows of the predictions

    def urgency(self) -> IntArray:
        """Positions in `rows`, those first whose thumbnails are missed most.

        Mistakes before hits; the first photo of each cell, then the second of each.
        """
        depth = np.arange(len(self.rows)) - np.repeat(self.first, self.n)
        right = np.repeat(self.true == self.predicted, self.n)
        return np.lexsort((depth, right)).astype(np.int64)


def cells(evaluation: Evaluation, predictions: Predictions) -> Cells:
    """Lay out the matrix of these predictions."""
    order = confusion.by_similarity(evaluation.confusion)
    counts = evaluation.confusion[np.ix_(order, order)]
    rows = _rows_by_cell(predictions, order)
    true, predicted = np.nonzero(counts)
    n = counts[true, predicted]
    shares = confusion.row_shares(evaluation.confusion)[np.ix_(order, order)]
    most = confusion.worst_share(shares)
    levels = np.ceil(LEVELS * np.sqrt(shares / most)).astype(int)
    np.fill_diagonal(levels, np.ceil(LEVELS * shares.diagonal()))
    table: list[list[Cell | None]] = [[None] * len(order) for _ in order]
    for number, (i, j) in enumerate(zip(true.tolist(), predicted.tolist(), strict=True)):
        level = f"{'r' if i == j else 'w'}{min(levels[i, j], LEVELS)}"
        table[i][j] = Cell(number, int(counts[i, j]), level)
    return Cells(order, table, most, true, predicted, np.cumsum(n) - n, n, rows)


def _rows_by_cell(predictions: Predictions, order: IntArray) -> IntArray:
    """Rows of the predictions whose cell is shown, by cell in reading order."""
    place = np.full(len(predictions.classes), -1)
    place[order] = np.arange(len(order))
    true, predicted = place[predictions.targets], place[predictions.preds]
    sure = predictions.probs.max(axis=1)
    sorted_rows = np.lexsort((np.where(true == predicted, sure, -sure), predicted, true))
    shown = (true[sorted_rows] >= 0) & (predicted[sorted_rows] >= 0)
    return sorted_rows[shown].astype(np.int64)


def rules() -> tuple[str, str]:
    """The style rules of the cells' colours, on light paper and on dark."""
    light = {"r": confusion.RIGHT, "w": confusion.WRONG}
    dark = {"r": RIGHT_DARK, "w": WRONG_DARK}
    return _rules(light), _rules(dark)


def _rules(scales: dict[str, LinearSegmentedColormap]) -> str:
    return "\n".join(
        f".{name}{level}{{background:{to_hex(colour)};color:{confusion.ink_on(colour)}}}"
        for name, scale in scales.items()
        for level, colour in _colours(scale)
    )


def _colours(scale: Colormap) -> list[tuple[int, tuple[float, float, float, float]]]:
    return [(level, scale((level - 0.5) / LEVELS)) for level in range(1, LEVELS + 1)]
