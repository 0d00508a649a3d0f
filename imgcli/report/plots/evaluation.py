"""Figures of an evaluation and of a training; `save` writes one as a PNG.

Drawn on `matplotlib.figure.Figure` itself and never through pyplot, which would choose a backend
and keep every figure. Axes have a size in inches and fill their figure, labels stick out of it, and
`save` grows the canvas until everything is on it: no name is ever cut.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from imgcli.records import ClassFigures, Evaluation
from imgcli.report.plots import style
from imgcli.report.plots.style import (
    canvas,
    draw_box,
    in_percent,
    left_out,
    save,
    styled,
    titled,
    write_at_ends,
)
from imgcli.report.terminal.evaluation import FIGURES, measured_on, verdict
from imgcli.text import count, interval, percent, plus_minus

__all__ = ["folds", "history", "precision", "save"]


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
    ranked = sorted(evaluation.per_class, key=_by_precision)[: style.MOST_CLASSES]
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
        "Dot: share of the photos predicted as the class that are of it; bar: 95 % Wilson interval",
        *left_out(len(ranked), len(evaluation.classes), "the lowest precision"),
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
    axes.tick_params(axis="x", labeltop=len(ranked) > style.TALL)
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
            Rows of the part "batch" hold a loss each, in the order of the training.
        kept: the epoch whose weights the run kept, marked.
        unit: "iteration" where the rows are of a linear probe: then "batch" holds the objective
            over all photos.
    """
    figure = Figure(figsize=(8.4, 3.2))
    loss = figure.add_axes((0.0, 0.0, 0.45, 1.0))
    accuracy = figure.add_axes((0.55, 0.0, 0.45, 1.0))
    epochs = {row["epoch"] for row in rows}
    _draw_batches(loss, [row for row in rows if row["part"] == "batch"], unit)
    for axes, key, best in ((loss, "loss", 0), (accuracy, "accuracy", 1)):
        _draw_curves(axes, rows, key)
        axes.update_datalim([(min(epochs), best)])  # the axis reaches the best possible value
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
    name = "each batch" if unit == "epoch" else "objective: loss + penalty"
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
    "iteration": "Objective over all photos in each iteration; loss and accuracy after the last",
}


def _kept_line(rows: Sequence[Mapping[str, Any]], kept: int | None, unit: str) -> str:
    """The epoch whose weights were kept, and its accuracy on the validation photos."""
    if kept is None:
        return KEPT_LINES[unit]
    line = f"Kept, dotted: the weights of epoch {kept}"
    for row in rows:
        if row["epoch"] == kept and row["part"] == "val":
            n = f" (n = {row['n']:,})" if row.get("n") else ""
            line += f"; validation accuracy {percent(row.get('accuracy'))}{n}"
    return line
