"""Figures of an evaluation; `save` writes one as a PNG.

Drawn on `matplotlib.figure.Figure` itself and never through pyplot, which would choose a backend
and keep every figure. Axes have a size in inches and fill their figure, labels stick out of it, and
`save` grows the canvas until everything is on it: no name is ever cut.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from imgcli.records import ClassFigures, Evaluation
from imgcli.report.plots import style
from imgcli.report.plots.style import (
    canvas,
    draw_box,
    in_percent,
    left_out,
    styled,
    titled,
    write_at_ends,
)
from imgcli.report.terminal.evaluation import FIGURES, measured_on, verdict
from imgcli.text import count, interval, percent, plus_minus

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
    ranked = sorted(evaluation.per_class, key=_by_precision)[: style.MAX_CLASSES]
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


# --- reliability ---------------------------------------------------------------------------------


@styled
def reliability(evaluation: Evaluation, bins: Sequence[Mapping[str, Any]]) -> Figure:
    """The reliability diagram: accuracy by confidence, and the number of photos.

    Args:
        bins: of `evaluation.calibration.reliability`.
    """
    figure, axes = canvas(4.2, 4.2)
    axes.plot([0, 1], [0, 1], color=style.FAINT, linestyle=":", linewidth=1.2)
    confidence = [row["confidence"] for row in bins]
    lows, highs = zip(*(row["ci95"] for row in bins), strict=True)
    axes.vlines(confidence, lows, highs, color=style.HELD_OUT, linewidth=4, alpha=0.4)
    axes.plot(
        confidence, [row["right"] for row in bins], "o", color=style.HELD_OUT, ms=5, clip_on=False
    )
    axes.set(xlim=(0, 1.01), ylim=(0, 1.01), ylabel="accuracy")
    axes.tick_params(axis="x", labelbottom=False)
    axes.grid()
    below = figure.add_axes((0.0, -0.24, 1.0, 0.18))
    widths = [row["to"] - row["from"] for row in bins]
    starts, photos = [row["from"] for row in bins], [row["n"] for row in bins]
    below.bar(starts, photos, widths, align="edge", color=style.HELD_OUT, ec="white", lw=0.6)
    below.set(xlim=(0, 1.01), xlabel="confidence: probability of the predicted class")
    below.set_ylabel("photos", labelpad=8)
    below.yaxis.set_major_formatter("{x:,.0f}")
    for axis in (axes.xaxis, axes.yaxis, below.xaxis):
        in_percent(axis)
    titled(
        figure,
        "Reliability diagram",
        f"Expected calibration error {percent(evaluation.ece)}",
        f"{count(evaluation.n, 'photo')}, {measured_on(evaluation)}",
        "Dot: the photos of one bin of confidence; bar: 95 % interval",
        "Dotted: perfect calibration; below it the network is overconfident",
    )
    return figure
