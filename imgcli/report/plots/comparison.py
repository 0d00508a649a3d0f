"""The figures of a comparison: box plots of the runs side by side, and their distances to the best.

A run is a row, so its name has room; every figure takes the document of `compare --json`.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from imgcli.report.compared import COMPARED, Document, against_best, labels, short_labels
from imgcli.report.plots import style
from imgcli.report.plots.style import draw_box, styled, titled, write_at_ends
from imgcli.report.terminal.comparison import p_text, paired_on, points, spread
from imgcli.report.terminal.evaluation import FIGURES
from imgcli.text import percent

SIDES = {"train": (-0.22, style.TRAIN), "held out": (0.22, style.HELD_OUT)}  # place in the row
LONGEST = 96  # characters of a run's name, on three lines or little more
BOX_LEGEND = (
    "Dot: a fold. Box: middle half, median (line), mean (diamond), lowest and highest. "
    "At the end: mean ± sd in %"
)


@styled
def boxes(document: Document) -> Figure:
    """Accuracy, macro precision and macro F1 of each run, on training and held-out photos."""
    runs = document["runs"]
    figure, panels = _panels(document, len(FIGURES), 2.2, 1.0, row=0.72)
    folds = False
    for axes, (key, name) in zip(panels, FIGURES.items(), strict=True):
        ends: dict[float, str] = {}
        for row, run in enumerate(runs):
            sides = {"train": run["train"], "held out": run}
            for side, summaries in sides.items():
                if summaries:
                    offset, colour = SIDES[side]
                    folds |= _draw_side(axes, row + offset, summaries[key], colour)
                    ends[row + offset] = spread(summaries[key])
        write_at_ends(axes, list(ends), list(ends.values()), style.SMALL)
        axes.xaxis.set_major_locator(MaxNLocator(4, min_n_ticks=2))
        axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.4g} %")
        axes.set_xlabel(name)
    _begin_at_zero(panels)
    titled(
        figure,
        f"Training and {'held-out' if document['on'] == 'folds' else 'test'} figures of each run",
        paired_on(document),
        "Orange, above: training photos. Blue, below: held-out photos",
        BOX_LEGEND if folds else "Point: the figure. Line: its 95 % interval",
    )
    return figure


def _begin_at_zero(panels: Sequence[Axes]) -> None:
    """Let every panel show 0 where one of them nearly does."""
    limits = [axes.get_xlim() for axes in panels]
    if any(low < high / 5 for low, high in limits):
        for axes, (low, high) in zip(panels, limits, strict=True):
            axes.set_xlim(left=min(low, -0.03 * high))  # room for a dot at 0


def _draw_side(axes: Axes, at: float, summary: Mapping[str, Any], colour: str) -> bool:
    """A box of the folds, or the figure with its interval; whether it is a box."""
    if summary["folds"] and len(summary["folds"]) > 1:
        draw_box(axes, at, summary["folds"], colour, horizontal=True, room=0.6)
        return True
    if summary["ci95"]:
        axes.plot(summary["ci95"], (at, at), color=colour, linewidth=1.6)
    axes.plot(summary["value"], at, "o", color=colour, markersize=6, mec="white", mew=0.4)
    return False


@styled
def forest(document: Document) -> Figure:
    """The difference of each run to the most accurate one, with 95 % intervals."""
    runs = [run["run"] for run in document["runs"]]
    figure, panels = _panels(document, len(COMPARED), 2.4, 2.3, row=0.48)
    for axes, key in zip(panels, COMPARED, strict=True):
        found = against_best(document, key)
        ends = []
        for row, run in enumerate(runs):
            if run in found:
                _draw_difference(axes, row, found[run])
                ends.append(_estimate(found[run]))
            else:
                axes.plot(0, row, "D", color=style.INK, markersize=5)
                value = document["runs"][row][key]["value"]
                ends.append(f"the most accurate run: {percent(value)}")
        axes.axvline(0, color=style.INK, linewidth=0.9, zorder=1)
        write_at_ends(axes, np.arange(len(runs)), ends, style.SMALL)
        axes.set_xlabel(f"{FIGURES[key]}, difference in points")
    corrected = "p corrected for all pairs (Holm)" if len(runs) > 2 else "p"
    titled(
        figure,
        "Differences to the most accurate run",
        paired_on(document),
        "Line: 95 % interval of this pair alone. Filled: significant, "
        f"{corrected} at most 0.05. Hollow: not significant",
    )
    return figure


def _draw_difference(axes: Axes, row: int, found: Mapping[str, Any]) -> None:
    ends = 100 * np.array(found["ci95"])
    axes.plot(ends, (row, row), color=style.HELD_OUT, linewidth=1.6)
    fill = style.HELD_OUT if found["shown"] else "white"
    axes.plot(
        100 * found["difference"], row, "o", mfc=fill, mec=style.HELD_OUT, mew=1.4, markersize=7
    )


def _estimate(found: Mapping[str, Any]) -> str:
    low, high = map(points, found["ci95"])
    return f"{points(found['difference'])} ({low} to {high})  {p_text(found['p_value'])}"


# --- rows ---------------------------------------------------------------------------------------


def _panels(
    document: Document, n: int, width: float, gap: float, row: float
) -> tuple[Figure, list[Axes]]:
    """A figure of n panels side by side with a row for each run, named at the left of the first.

    Args:
        width: of a panel, in inches; `gap` is what is left free after it.
        row: height of a row in inches, more where names need it.
    """
    whole = short_labels(list(labels(document).values()), LONGEST)
    names = ["\n".join(textwrap.wrap(name, LONGEST // 3)) for name in whole]
    lines = 1 + max(name.count("\n") for name in names)
    height = max(row, lines * 1.45 * style.SMALL / 72) * len(names)
    figure = Figure(figsize=(n * (width + gap), height))
    share = width / (width + gap) / n
    panels = [figure.add_axes((panel / n, 0.0, share, 1.0)) for panel in range(n)]
    for axes in panels:
        axes.set_yticks(range(len(names)), labels=names if axes is panels[0] else [""] * len(names))
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        across, between = axes.get_yaxis_transform(), np.arange(1, len(names)) - 0.5
        axes.hlines(between, 0, 1, transform=across, color=style.LINE, linewidth=0.6)
    return figure, panels
