"""The figures of a comparison: box plots, differences to the best, and the loss in training.

In the first two a run is a row, so its name has room; both take the document of `compare --json`.
"""

import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from imgcli.records import FloatArray
from imgcli.report.comparison import (
    COMPARED,
    Document,
    against_best,
    as_csv,
    labels,
    short_labels,
)
from imgcli.report.plots import style
from imgcli.report.plots.style import draw_box, styled, titled, write_at_ends
from imgcli.report.plots.training import batch_losses
from imgcli.report.terminal.comparison import p_text, paired_on, points, spread
from imgcli.report.terminal.evaluation import FIGURES
from imgcli.text import count, listed, percent

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


# --- loss in training ---------------------------------------------------------------------------

# Okabe and Ito's palette without its yellow, which is too pale for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#888888")
STROKES = ("-", (0, (5, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))  # after all colours, the next
MAX_POINTS = 2000  # of a line: more than a figure has pixels
LONGEST_LEGEND = 120  # characters of a run's name
BANDED = "Line: mean of the trainings of a run's folds; band: ± 1 standard deviation over them"
# Choices that change what the loss is.
OWN_SCALES = ("label_smoothing", "balance", "mixup", "cutmix")


@dataclass(frozen=True, eq=False)
class Curve:
    """A figure of the last batches' losses, of the run itself and over its folds' trainings."""

    own: FloatArray  # (S,)
    folds_mean: FloatArray  # (T,); empty where fewer than two folds have histories
    folds_sd: FloatArray  # (T,) sample standard deviation


@dataclass(frozen=True, eq=False)
class Losses:
    """The batch losses of one run as rolling mean and rolling standard deviation.

    Entry i of a curve is of batches i + 1 to i + window.
    """

    window: int
    mean: Curve
    sd: Curve


def losses(history: Path, folds: Sequence[Path], window: int) -> Losses | None:
    """The losses in a run's `history.csv` and in those of its folds.

    Args:
        window: how many batches are taken together; None comes of a run that has not so many.
    """
    own = rolling(batch_losses(history), window)
    if own.shape[1] == 0:
        return None
    of_folds = [rolling(batch_losses(path), window) for path in folds]
    mean, sd = (
        Curve(own[figure], *over_folds([found[figure] for found in of_folds])) for figure in (0, 1)
    )
    return Losses(window, mean, sd)


def rolling(values: FloatArray, window: int) -> FloatArray:
    """Mean and sample standard deviation of every `window` values in a row, (2, S - window + 1)."""
    if len(values) < window:
        return np.empty((2, 0))
    centred = values - values.mean()
    totals, squares = (_sums(centred**power, window) for power in (1, 2))
    variance = np.maximum(squares - totals**2 / window, 0.0) / (window - 1)
    return np.stack([values.mean() + totals / window, np.sqrt(variance)])


def _sums(values: FloatArray, window: int) -> FloatArray:
    sums = np.cumsum(np.concatenate([[0.0], values]))
    totals: FloatArray = sums[window:] - sums[:-window]
    return totals


def over_folds(curves: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Mean and sample standard deviation over folds at each step, as far as all folds have gone."""
    shortest = min((len(curve) for curve in curves), default=0)
    if len(curves) < 2 or shortest == 0:
        return np.empty(0), np.empty(0)
    stacked = np.stack([curve[:shortest] for curve in curves])
    return stacked.mean(axis=0), stacked.std(axis=0, ddof=1)


@styled
def loss_curves(runs: Mapping[str, Losses], notes: Sequence[str] = ()) -> Figure:
    """Rolling mean and rolling standard deviation of the batch loss, a line per run.

    Args:
        runs: by label, at least one.
        notes: lines to add under the title.
    """
    figure = Figure(figsize=(9.4, 3.4))
    panels = [figure.add_axes((left, 0.0, 0.45, 1.0)) for left in (0.0, 0.55)]
    window = next(iter(runs.values())).window
    shown = short_labels(list(runs), LONGEST_LEGEND)
    for place, (label, run) in enumerate(zip(shown, runs.values(), strict=True)):
        colour = COLOURS[place % len(COLOURS)]
        stroke = STROKES[place // len(COLOURS) % len(STROKES)]
        for axes, curve in zip(panels, (run.mean, run.sd), strict=True):
            _draw_curve(axes, curve, window, color=colour, linestyle=stroke, label=label)
    for axes, name in zip(panels, ("mean", "standard deviation"), strict=True):
        axes.set(xlabel="training batches", ylabel=f"loss, rolling {name}")
        low, high = axes.get_ylim()
        axes.set(xlim=(0, None), ylim=(0 if low < high / 2 else low, high))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
    columns = 1 if max(map(len, shown)) > LONGEST_LEGEND // 2 else 2
    style.legend_below(panels[0], columns)
    banded = [len(run.mean.folds_mean) > 0 for run in runs.values()]
    titled(
        figure,
        "Loss in training",
        f"Of the last {count(window, 'batch', 'batches')} at each point",
        *([BANDED] if any(banded) else []),
        *(["Without a band: the run's own training"] if len(set(banded)) > 1 else []),
        *notes,
    )
    return figure


def loss_notes(document: Document, names: Mapping[str, str], drawn: Collection[str]) -> list[str]:
    """Notes under the title: runs that are not drawn, and losses that are not comparable.

    Args:
        names: the runs' labels, by folder.
        drawn: folders of the runs that are drawn.
    """
    lines = []
    if missing := [names[run["run"]] for run in document["runs"] if run["run"] not in drawn]:
        lines.append(f"Not drawn, trained on too few batches: {listed(missing)}")
    options = [run["options"] for run in document["runs"] if run["run"] in drawn]
    scales = [{name: chosen.get(name) for name in OWN_SCALES} for chosen in options]
    if any(scale != scales[0] for scale in scales):
        lines.append(
            "Losses of runs with different label smoothing, balance, mixup or cutmix are not "
            "comparable"
        )
    return lines


def _draw_curve(axes: Axes, curve: Curve, window: int, **look: Any) -> None:
    line = curve.folds_mean if len(curve.folds_mean) else curve.own
    shown = np.arange(0, len(line), -(-len(line) // MAX_POINTS))
    steps = shown + window
    axes.plot(steps, line[shown], linewidth=1.5, **look)
    if len(curve.folds_sd):
        low, high = line - curve.folds_sd, line + curve.folds_sd
        axes.fill_between(steps, low[shown], high[shown], color=look["color"], alpha=0.18, lw=0)


def losses_csv(runs: Mapping[str, Losses]) -> str:
    """A row per run and step, by the runs' folders; blank where the folds have no histories."""
    rows = []
    for run, found in runs.items():
        mean, sd = found.mean, found.sd
        columns = {
            "mean": mean.own,
            "std": sd.own,
            "folds_mean": mean.folds_mean,
            "folds_sd": mean.folds_sd,
        }
        for step in range(max(map(len, columns.values()))):
            values = {key: v[step] if step < len(v) else None for key, v in columns.items()}
            rows.append({"run": run, "step": found.window + step, **values})
    return as_csv(rows, ("run", "step", "mean", "std", "folds_mean", "folds_sd"))
