"""The figures: each function draws one from records and returns it; `save` writes it as a PNG.

Drawn on `matplotlib.figure.Figure` itself and never through pyplot, which would choose a backend
and keep every figure. Axes have a size in inches and fill their figure, labels stick out of it, and
`save` grows the canvas until everything is on it: no name is ever cut.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LinearSegmentedColormap, Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from imgcli.records import ClassFigures, Evaluation, FloatArray, IntArray
from imgcli.report import style
from imgcli.report.style import (
    canvas,
    draw_box,
    in_percent,
    save,
    styled,
    titled,
    write_at_ends,
)
from imgcli.report.tables import FIGURES, measured_on, verdict
from imgcli.wording import count, interval, percent, plus_minus

__all__ = ["confusion", "folds", "history", "precision", "save", "similarity_order"]

MOST_CLASSES = 200  # in one figure; of more, the worst are drawn
TALL = 40  # classes; a taller figure has its column labels on top too

# What is right recedes into a pale blue; mistakes run from white over orange to near black, so that
# both scales darken with their number in grey print too.
RIGHT = LinearSegmentedColormap.from_list("right", ["#F2F7FC", "#8DB9DE"])
WRONG = LinearSegmentedColormap.from_list(
    "wrong", ["#FFF7EC", "#FDD9A5", "#F59A23", "#C2410C", "#5C1405"]
)


def _left_out(shown: int, evaluation: Evaluation, which: str) -> list[str]:
    """The line that says so where not every class is drawn."""
    k = len(evaluation.classes)
    return [] if shown == k else [f"Shown: the {shown} of {k:,} classes with {which}"]


# --- confusion ----------------------------------------------------------------------------------


@styled
def confusion(
    evaluation: Evaluation, order: Literal["similarity", "name"] = "similarity"
) -> Figure:
    """The confusion matrix: row = true class, column = predicted class, each cell its photos.

    Colour is the share of the row, on one scale for what is right and on a finer one (square root)
    for mistakes, which would all look like nothing on the first.
    """
    shown = _most_mistaken(evaluation.confusion)
    if order == "similarity":
        shown = by_similarity(evaluation.confusion)
    matrix = evaluation.confusion[np.ix_(shown, shown)]
    shares = row_shares(evaluation.confusion)[np.ix_(shown, shown)]
    k = len(shown)
    cell = min(0.9, 0.09 + 5.5 / k)  # inches; at 100 classes a count of three digits still fits
    figure, axes = canvas(k * cell, k * cell)
    scale = _draw_cells(axes, matrix, shares, cell)
    _name_cells(axes, [evaluation.classes[i] for i in shown], cell)
    right = _write_right(axes, matrix.diagonal(), evaluation.confusion.sum(axis=1)[shown], cell)
    _draw_scale(figure, scale, k * cell, k * cell + right + 0.3)
    titled(
        figure,
        "Confusion matrix",
        verdict(evaluation),
        "Rows: true class, with the share that is right at the end. Columns: predicted class",
        ORDERS[order],
        *_left_out(k, evaluation, "the most mistakes"),
    )
    return figure


ORDERS = {
    "similarity": "Classes that are mistaken for each other stand side by side",
    "name": "Classes by name",
}


def by_similarity(matrix: IntArray) -> IntArray:
    """Positions of the classes that are drawn, similar ones side by side."""
    shown = _most_mistaken(matrix)
    return shown[similarity_order(matrix[np.ix_(shown, shown)])]


def similarity_order(matrix: IntArray) -> IntArray:
    """Positions that put classes side by side which are mistaken for each other.

    Average-linkage clustering on the shares of mistakes in both directions, leaves ordered
    optimally (Bar-Joseph et al., 2001). Classes without mistakes keep the order of their names.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    k = len(matrix)
    if k < 3:
        return np.arange(k)
    shares = row_shares(matrix)
    # The square root lets rare mistakes count beside frequent ones.
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


def _most_mistaken(matrix: IntArray) -> IntArray:
    """Positions of the classes that are drawn: all, or those with the most mistakes."""
    mistakes = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * matrix.diagonal()
    return np.sort(np.argsort(-mistakes, kind="stable")[:MOST_CLASSES])


def _draw_cells(axes: Axes, matrix: IntArray, shares: FloatArray, cell: float) -> QuadMesh:
    """Colour the cells that are not empty and write their counts; returns the mistakes' scale."""
    k = len(matrix)
    right, empty = np.eye(k, dtype=bool), matrix == 0
    wrong_norm, right_norm = PowerNorm(0.5, 0, worst_share(shares)), Normalize(0, 1)
    hits = np.ma.masked_where(~right | empty, shares)
    mistakes = np.ma.masked_where(right | empty, shares)
    hit_scale = axes.pcolormesh(hits, cmap=RIGHT, norm=right_norm)
    mistake_scale = axes.pcolormesh(mistakes, cmap=WRONG, norm=wrong_norm)
    for row, column in np.argwhere(~empty):
        scale = hit_scale if row == column else mistake_scale
        ink = ink_on(scale.to_rgba(shares[row, column]))
        _write_count(axes, row, column, str(matrix[row, column]), ink, cell)
    axes.hlines(np.arange(k + 1), 0, k, color=style.LINE, linewidth=0.4)
    axes.vlines(np.arange(k + 1), 0, k, color=style.LINE, linewidth=0.4)
    axes.set(xlim=(0, k), ylim=(k, 0))
    axes.spines[["top", "right"]].set_visible(True)
    return mistake_scale


def worst_share(shares: FloatArray) -> float:
    """The share of a row that the mistakes' scale ends with."""
    mistakes = shares[~np.eye(len(shares), dtype=bool)]
    # Where mistakes are rare even the worst of them stay pale.
    return max(0.1, float(mistakes.max(initial=0)))


def _write_count(axes: Axes, row: int, column: int, text: str, ink: str, cell: float) -> None:
    """Write a count into its cell, smaller where it is long and not at all below 4 points."""
    size = min(cell * 72 * 0.5, cell * 72 * 0.92 / (0.64 * len(text)), 11.0)
    if size >= 4:
        written = axes.text(column + 0.5, row + 0.5, text, fontsize=size, color=ink)
        written.set(ha="center", va="center_baseline", in_layout=False)


def ink_on(background: Any) -> str:
    """White or dark, whichever reads on `background` (RGBA)."""
    lightness = float(np.dot(background[:3], (0.299, 0.587, 0.114)))
    return "white" if lightness < 0.55 else style.INK


def _name_cells(axes: Axes, names: Sequence[str], cell: float) -> None:
    """Class names on both axes; columns upright unless all fit, and above too in a tall matrix."""
    size, shown = _name_size(cell), style.labels(names)
    middles = np.arange(len(names)) + 0.5
    axes.set_xticks(middles, labels=shown, fontsize=size)
    axes.set_yticks(middles, labels=shown, fontsize=size)
    axes.tick_params(length=0)
    if style.text_width("\n".join(shown), size) > cell * 0.9:
        axes.tick_params(axis="x", labelrotation=90)
    if len(names) > TALL:
        axes.tick_params(axis="x", labeltop=True)
    axes.set(xlabel="predicted class", ylabel="true class")


def _name_size(cell: float) -> float:
    """Points; a name is never taller than its cell."""
    return min(max(cell * 72 * 0.62, 6.0), style.NORMAL)


def _write_right(axes: Axes, right: IntArray, n: IntArray, cell: float) -> float:
    """Write beyond each row how much of it is right, "72.7 % of 66"; the width in inches."""
    shares = np.divide(right, n, out=np.full(len(n), np.nan), where=n > 0)
    # Figure spaces are as wide as digits, so the numbers stand in columns.
    texts = [f"{percent(p):\u2007>7} of {m:,}" for p, m in zip(shares, n, strict=True)]
    write_at_ends(axes, np.arange(len(n)) + 0.5, texts, _name_size(cell))
    return style.text_width("\n".join(texts), _name_size(cell))


ROUND = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # shares to mark on the scale


def _draw_scale(figure: Figure, scale: QuadMesh, side: float, left: float) -> None:
    """The mistakes' colours, `left` inches from the left of a matrix that is `side` inches high."""
    height = min(2.0, side * 0.8)
    box = (left / side, (side - 0.32 - height) / side, 0.14 / side, height / side)
    bar = figure.add_axes(box)
    figure.colorbar(scale, cax=bar)
    most = float(scale.get_clim()[1] or 0)
    ticks = [0, *(tick for tick in ROUND if 0.05 < tick / most < 0.75), most]
    bar.set_yticks(ticks, labels=[f"{round(tick * 100, 1):g} %" for tick in ticks])
    bar.set_title("mistaken,\nshare of row", fontsize=style.SMALL, color=style.FAINT, pad=6)
    bar.tick_params(length=2, labelcolor=style.FAINT)


# --- folds --------------------------------------------------------------------------------------


@styled
def folds(evaluation: Evaluation) -> Figure:
    """Accuracy, macro precision and macro F1 of the folds as box plots, train beside held out."""
    sides = {"held out": {key: getattr(evaluation, key) for key in FIGURES}}
    if evaluation.train is not None:
        sides = {"train": dict(evaluation.train), **sides}
    figure, axes = canvas(7.8, 3.6)
    ticks: dict[float, str] = {}
    for group, (key, name) in enumerate(FIGURES.items()):
        places = group * (len(sides) + 0.5) + np.arange(len(sides))
        for x, (side, summaries) in zip(places, sides.items(), strict=True):
            summary, colour = summaries[key], style.TRAIN if side == "train" else style.HELD_OUT
            draw_box(axes, x, summary.folds or (), colour)
            ticks[x] = f"{side}\n{plus_minus(summary.mean, summary.std)}"
        _name_group(axes, float(places.mean()), name)
    axes.set_xticks(list(ticks), labels=list(ticks.values()))
    axes.tick_params(axis="x", length=0)
    in_percent(axes.yaxis)
    axes.grid(axis="y")
    title = f"Accuracy, macro precision and macro F1 of {evaluation.folds} folds"
    titled(figure, title, verdict(evaluation), BOX_LEGEND)
    return figure


BOX_LEGEND = (
    "Dot: a fold. Box: middle half, median (line), mean (diamond), lowest and highest. "
    "Below: mean ± sd"
)


def _name_group(axes: Axes, x: float, name: str) -> None:
    axes.annotate(
        name,
        (x, 0),
        (0, -40),  # points: under the two lines of the ticks
        xycoords=axes.get_xaxis_transform(),
        textcoords="offset points",
        ha="center",
        fontweight="bold",
    )


# --- precision ----------------------------------------------------------------------------------


@styled
def precision(evaluation: Evaluation) -> Figure:
    """Each class's precision with its Wilson interval, lowest on top; "–" where never predicted."""
    ranked = sorted(evaluation.per_class, key=_by_precision)[:MOST_CLASSES]
    figure, axes = canvas(6.2, 0.165 * len(ranked) + 0.1)
    _draw_precisions(axes, ranked)
    _label_precisions(axes, ranked)
    macro = evaluation.macro_precision
    axes.axvline(macro.value, color=style.FAINT, linestyle=":", linewidth=1.2)
    within = f" (95 % interval {interval(macro.ci95)})" if macro.ci95 else ""
    titled(
        figure,
        "Precision per class",
        f"Dotted: macro precision {percent(macro.value)}{within}",
        f"{count(evaluation.n, 'photo')}, {measured_on(evaluation)}",
        "Dot: how many of the photos predicted as the class are of it; bar: 95 % Wilson interval",
        *_left_out(len(ranked), evaluation, "the lowest precision"),
    )
    return figure


def _by_precision(row: ClassFigures) -> tuple[bool, float, int]:
    """Never predicted first, then the lowest precision, then the one with most photos behind it."""
    return row.precision is not None, row.precision or 0.0, -row.predicted


def _draw_precisions(axes: Axes, ranked: Sequence[ClassFigures]) -> None:
    nowhere = (np.nan, np.nan)
    ends = np.array([row.precision_ci95 or nowhere for row in ranked])
    dots = [np.nan if row.precision is None else row.precision for row in ranked]
    rows, widths = np.arange(len(ranked)), ends[:, 1] - ends[:, 0]
    axes.barh(rows, widths, left=ends[:, 0], height=0.3, color=style.HELD_OUT, alpha=0.4)
    axes.plot(dots, rows, "o", color=style.HELD_OUT, markersize=5, clip_on=False)
    lowest = np.nanmin(ends, initial=1.0)
    axes.set(xlim=(max(float(lowest) - 0.03, 0.0), 1.01), ylim=(len(ranked) - 0.2, -0.8))


def _label_precisions(axes: Axes, ranked: Sequence[ClassFigures]) -> None:
    """Names on the left, "41 of 43" on the right, percents below and, where tall, above too."""
    rows = np.arange(len(ranked))
    axes.set_yticks(rows, labels=style.labels([row.name for row in ranked]))
    axes.tick_params(axis="y", length=0)
    write_at_ends(axes, rows, [_hits(row) for row in ranked], style.SMALL)
    in_percent(axes.xaxis)
    axes.tick_params(axis="x", labeltop=len(ranked) > TALL)
    axes.grid(axis="x")
    axes.set_xlabel("precision")


def _hits(row: ClassFigures) -> str:
    if row.precision is None:
        return "–  never predicted"
    return f"{round(row.precision * row.predicted):,} of {row.predicted:,}"


# --- history ------------------------------------------------------------------------------------

PARTS = {
    "train": ("train", style.TRAIN, "-"),
    "val": ("validation", style.HELD_OUT, "-"),
    "test": ("test", style.TEST, "--"),
}


@styled
def history(
    rows: Sequence[Mapping[str, Any]], kept: int | None = None, unit: str = "epoch"
) -> Figure:
    """Loss and accuracy over the epochs, one line per part, and faintly the loss of each batch.

    Args:
        rows: `{"epoch": int, "part": "train" | "val" | "test", "loss": float, "accuracy": float}`
            at least one, in any order; figures that are None, missing or not finite leave a gap.
            Rows of the part "batch" hold a loss each, in the order in which they were learnt from.
        kept: the epoch whose weights the run kept, marked.
        unit: "iteration" where the rows are of a head that is fitted to its optimum: then "batch"
            holds what is minimised, of all photos at once.
    """
    figure = Figure(figsize=(8.4, 3.2))
    loss = figure.add_axes((0.0, 0.0, 0.45, 1.0))
    accuracy = figure.add_axes((0.55, 0.0, 0.45, 1.0))
    epochs = {row["epoch"] for row in rows}
    _draw_batches(loss, [row for row in rows if row["part"] == "batch"], unit)
    for axes, key, best in ((loss, "loss", 0), (accuracy, "accuracy", 1)):
        _draw_curves(axes, rows, key)
        axes.update_datalim([(min(epochs), best)])  # how far it is to perfect can be seen
        axes.autoscale_view()
        if kept is not None:
            axes.axvline(kept, color=style.FAINT, linestyle=":", linewidth=1.2, zorder=0)
        axes.set(xlabel=unit, ylabel=key, xlim=(max(min(epochs) - 1, 0), max(epochs) + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(axis="y")
    in_percent(accuracy.yaxis)
    loss.set_ylim(bottom=0)
    loss.legend()
    titled(figure, f"Training history, {count(max(epochs), unit)}", _kept_line(rows, kept, unit))
    return figure


def _draw_batches(axes: Axes, batches: Sequence[Mapping[str, Any]], unit: str) -> None:
    """A thin line that reaches an epoch's number with the last batch of that epoch."""
    if not batches:
        return
    per_epoch = Counter(row["epoch"] for row in batches)
    x = [epoch - 1 + np.arange(1, n + 1) / n for epoch, n in sorted(per_epoch.items())]
    losses = [row["loss"] for row in batches]
    name = "each batch" if unit == "epoch" else "minimised: loss and penalty"
    axes.plot(np.concatenate(x), losses, color=style.TRAIN, alpha=0.6, lw=0.9, label=name)


def _draw_curves(axes: Axes, rows: Sequence[Mapping[str, Any]], key: str) -> None:
    for part, (name, colour, line) in PARTS.items():
        points = [(row["epoch"], row.get(key)) for row in rows if row["part"] == part]
        if points:
            epochs, values = np.array(sorted(points, key=itemgetter(0)), dtype=float).T
            marker = "o" if len(points) <= 30 else "None"
            values[~np.isfinite(values)] = np.nan
            (curve,) = axes.plot(epochs, values, color=colour, label=name)
            curve.set(linestyle=line, marker=marker, markersize=3)


KEPT_LINES = {
    "epoch": "Loss and accuracy after each epoch",
    "iteration": "What is minimised, of all photos at once; loss and accuracy after the last",
}


def _kept_line(rows: Sequence[Mapping[str, Any]], kept: int | None, unit: str) -> str:
    """Which epoch's weights were kept and how good they were on photos held out for choosing."""
    if kept is None:
        return KEPT_LINES[unit]
    line = f"Kept, dotted: the weights of epoch {kept}"
    for row in rows:
        if row["epoch"] == kept and row["part"] == "val":
            n = f"{row['n']:,}" if row.get("n") else "the"
            line += f", with {percent(row.get('accuracy'))} of {n} validation photos right"
    return line
