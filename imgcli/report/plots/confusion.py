"""The confusion matrix, confused classes next to each other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from imgcli.records import Evaluation, FloatArray, IntArray
from imgcli.report.plots import style
from imgcli.report.plots.style import Scale, canvas, left_out, styled, titled, write_at_ends
from imgcli.report.terminal.evaluation import verdict
from imgcli.text import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure

# Hits recede into a pale blue; errors run from white over orange to near black, so that both scales
# darken with their number in grey print too.
HITS = Scale(("#F2F7FC", "#8DB9DE"))
ERRORS = Scale(("#FFF7EC", "#FDD9A5", "#F59A23", "#C2410C", "#5C1405"))

MAX_SHAPES = 60  # classes whose cells are shapes in the SVG; of more, they are an image in it
MAX_COUNTED = 100  # classes whose counts are written; of more, they could not be read


@styled
def confusion(
    evaluation: Evaluation, order: Literal["similarity", "name"] = "similarity"
) -> "Figure":
    """The confusion matrix: row = true class, column = predicted class, each cell its photos.

    Colour is the share of the row, on one scale for hits and on a finer one (square root) for
    errors, which could not be seen on the first.
    """
    shown = _most_errors(evaluation.confusion)
    if order == "similarity":
        shown = by_similarity(evaluation.confusion)
    matrix = evaluation.confusion[np.ix_(shown, shown)]
    shares = row_shares(evaluation.confusion)[np.ix_(shown, shown)]
    k = len(shown)
    cell = min(0.9, 0.09 + 5.5 / k)  # inches; at 100 classes a count of three digits still fits
    figure, axes = canvas(k * cell, k * cell)
    scale = _draw_cells(axes, matrix, shares, cell)
    _name_cells(axes, [evaluation.classes[i] for i in shown], cell)
    ends = _write_recall(axes, matrix.diagonal(), evaluation.confusion.sum(axis=1)[shown], cell)
    _draw_scale(figure, scale, k * cell, k * cell + ends + 0.3)
    titled(
        figure,
        "Confusion matrix",
        verdict(evaluation),
        "Rows: true class, with its recall at the end. Columns: predicted class",
        ORDERS[order],
        *left_out(k, len(evaluation.classes), "the most errors"),
    )
    return figure


ORDERS = {
    "similarity": "Confused classes are next to each other",
    "name": "Classes by name",
}


def by_similarity(matrix: IntArray) -> IntArray:
    """Positions of the classes that are drawn, confused ones next to each other."""
    shown = _most_errors(matrix)
    return shown[similarity_order(matrix[np.ix_(shown, shown)])]


def similarity_order(matrix: IntArray) -> IntArray:
    """Positions that put confused classes next to each other.

    Average-linkage clustering on the shares of errors in both directions, leaves ordered optimally
    (Bar-Joseph et al., 2001). Classes without errors keep the order of their names.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    k = len(matrix)
    if k < 3:
        return np.arange(k)
    shares = row_shares(matrix)
    # The square root lets rare errors count beside frequent ones.
    distances = 1 - np.sqrt((shares + shares.T) / 2)
    by_name = np.abs(np.subtract.outer(np.arange(k), np.arange(k))) / k
    distances += 1e-3 * by_name  # decides only where nothing else does
    np.fill_diagonal(distances, 0)
    tree = linkage(squareform(distances, checks=False), "average", optimal_ordering=True)
    leaves = np.asarray(leaves_list(tree), dtype=np.int64)
    return leaves if leaves[0] <= leaves[-1] else leaves[::-1]  # either direction is optimal


def row_shares(matrix: IntArray) -> FloatArray:
    """Each cell's share of its row's photos; 0 in a row without photos."""
    n = matrix.sum(axis=1, keepdims=True)
    shares: FloatArray = np.divide(matrix, n, out=np.zeros(matrix.shape), where=n > 0)
    return shares


def _most_errors(matrix: IntArray) -> IntArray:
    """Positions of the classes that are drawn: all, or those with the most errors."""
    errors = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * matrix.diagonal()
    return np.sort(np.argsort(-errors, kind="stable")[: style.MAX_CLASSES])


def _draw_cells(axes: "Axes", matrix: IntArray, shares: FloatArray, cell: float) -> "QuadMesh":
    """Colour the cells that are not empty and write their counts; returns the errors' scale."""
    from matplotlib.colors import Normalize, PowerNorm

    k = len(matrix)
    correct, empty = np.eye(k, dtype=bool), matrix == 0
    hits = np.ma.masked_where(~correct | empty, shares)
    errors = np.ma.masked_where(correct | empty, shares)
    scale = PowerNorm(0.5, 0, worst_share(shares))
    painted = k > MAX_SHAPES
    blue, orange = HITS.colormap(), ERRORS.colormap()
    hit_scale = axes.pcolormesh(hits, cmap=blue, norm=Normalize(0, 1), rasterized=painted)
    error_scale = axes.pcolormesh(errors, cmap=orange, norm=scale, rasterized=painted)
    for row, column in np.argwhere(~empty & (k <= MAX_COUNTED)):
        ink = ink_on((hit_scale if row == column else error_scale).to_rgba(shares[row, column]))
        _write_count(axes, row, column, str(matrix[row, column]), ink, cell)
    axes.hlines(np.arange(k + 1), 0, k, color=style.LINE, linewidth=0.4)
    axes.vlines(np.arange(k + 1), 0, k, color=style.LINE, linewidth=0.4)
    axes.set(xlim=(0, k), ylim=(k, 0))
    axes.spines[["top", "right"]].set_visible(True)
    return error_scale


def worst_share(shares: FloatArray) -> float:
    """The share of a row at the end of the errors' scale."""
    errors = shares[~np.eye(len(shares), dtype=bool)]
    # Where errors are rare even the worst of them stay pale.
    return max(0.1, float(errors.max(initial=0)))


def _write_count(axes: "Axes", row: int, column: int, text: str, ink: str, cell: float) -> None:
    """Write a count into its cell, smaller where it is long and not at all below 4 points."""
    size = min(cell * 72 * 0.5, cell * 72 * 0.92 / (0.64 * len(text)), 11.0)
    if size >= 4:
        written = axes.text(column + 0.5, row + 0.5, text, fontsize=size, color=ink)
        written.set(ha="center", va="center_baseline", in_layout=False)


def ink_on(background: Any) -> str:
    """White or black, whichever stands out more from `background` (RGBA): by 4.5 at least.

    The contrast is that of WCAG 2.2, by relative luminance.
    """
    parts = np.asarray(background[:3], dtype=np.float64)
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ (0.2126, 0.7152, 0.0722))
    return "white" if 1.05 * 0.05 > (luminance + 0.05) ** 2 else "black"


def _name_cells(axes: "Axes", names: Sequence[str], cell: float) -> None:
    """Class names on both axes; columns upright unless all fit, and above too in a tall matrix."""
    size, shown = _name_size(cell), style.labels(names)
    middles = np.arange(len(names)) + 0.5
    axes.set_xticks(middles, labels=shown, fontsize=size)
    axes.set_yticks(middles, labels=shown, fontsize=size)
    axes.tick_params(length=0)
    if style.text_width("\n".join(shown), size) > cell * 0.9:
        axes.tick_params(axis="x", labelrotation=90)
    if len(names) > style.TALL:
        axes.tick_params(axis="x", labeltop=True)
    axes.set(xlabel="predicted class", ylabel="true class")


def _name_size(cell: float) -> float:
    """Points; a name is never taller than its cell."""
    return min(max(cell * 72 * 0.62, 6.0), style.NORMAL)


def _write_recall(axes: "Axes", hits: IntArray, n: IntArray, cell: float) -> float:
    """Write the recall of each row at its end, "72.7 % of 66"; returns the width in inches."""
    recall = np.divide(hits, n, out=np.full(len(n), np.nan), where=n > 0)
    # Figure spaces are as wide as digits, so the numbers stand in columns.
    texts = [f"{percent(p):\u2007>7} of {m:,}" for p, m in zip(recall, n, strict=True)]
    write_at_ends(axes, np.arange(len(n)) + 0.5, texts, _name_size(cell))
    return style.text_width("\n".join(texts), _name_size(cell))


ROUND = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # shares to mark on the scale


def _draw_scale(figure: "Figure", scale: "QuadMesh", side: float, left: float) -> None:
    """The errors' colours, `left` inches from the left of a matrix that is `side` inches high."""
    height = min(2.0, side * 0.8)
    box = (left / side, (side - 0.32 - height) / side, 0.14 / side, height / side)
    bar = figure.add_axes(box)
    figure.colorbar(scale, cax=bar)
    most = float(scale.get_clim()[1] or 0)
    ticks = [0, *(tick for tick in ROUND if 0.05 < tick / most < 0.75), most]
    bar.set_yticks(ticks, labels=[f"{round(tick * 100, 1):g} %" for tick in ticks])
    bar.set_title("errors,\nshare of row", fontsize=style.SMALL, color=style.FAINT, pad=6)
    bar.tick_params(length=2, labelcolor=style.FAINT)
