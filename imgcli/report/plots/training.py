"""The history of a training: read from `history.csv`, drawn, and compared over several runs.

A linear probe has no batches, only iterations over all photos; its history has no steps, and its
objective is not comparable with the loss of batches.
"""

import csv
import io
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from imgcli.config import TrainConfig
from imgcli.errors import RunError
from imgcli.reading import read_regular
from imgcli.records import FloatArray
from imgcli.report.compared import Document, short_labels
from imgcli.report.csv import as_csv
from imgcli.report.plots import style
from imgcli.report.plots.style import in_percent, styled, titled
from imgcli.runs import Run
from imgcli.text import count, listed, percent

NAME = "history.csv"  # in a run's folder
UNREADABLE = (OSError, ValueError, LookupError, TypeError, csv.Error)


# --- reading ------------------------------------------------------------------------------------


def rows(run: Run) -> list[dict[str, Any]]:
    """The rows of a run's history as `history` takes them; none where there is no such file.

    Raises:
        RunError: the file is damaged.
    """
    if not check(run):
        return []
    try:
        return [_row(row) for row in _read(run.folder / NAME)]
    except UNREADABLE as error:
        raise run.damaged(NAME, error) from None


def check(run: Run) -> bool:
    """Whether the run has a history.

    Raises:
        RunError: it has changed since it was written.
    """
    if not os.path.lexists(run.folder / NAME):
        return False
    run.check_file(NAME)
    return True


def batch_losses(path: Path) -> FloatArray:
    """The loss of each batch (S,) of a history, in the order of the training.

    Raises:
        RunError: the file is damaged.
    """
    if not os.path.lexists(path):
        return np.empty(0)
    try:
        losses = [row["loss"] for row in _read(path) if row["part"] == "batch" and row["step"]]
        return np.array(losses, dtype=np.float64)
    except UNREADABLE as error:
        raise RunError(
            f"'{path}' cannot be read ({getattr(error, 'strerror', None) or error}). "
            "Restore it, or remove it and do without its curves."
        ) from None


def _read(path: Path) -> Iterator[dict[str, str]]:
    yield from csv.DictReader(io.StringIO(read_regular(path).decode(), newline=""))


def _row(row: Mapping[str, str]) -> dict[str, Any]:
    figures = {key: float(row[key]) if row[key] else None for key in ("loss", "accuracy")}
    n = int(row["n"]) if row["n"] else None
    return {"epoch": int(row["epoch"]), "part": row["part"], "n": n, **figures}


def unit(config: TrainConfig) -> str:
    """The unit of a history's steps: "epoch" or "iteration"."""
    return "iteration" if config.optim.is_probe else "epoch"


# --- one run --------------------------------------------------------------------------------------

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


# --- several runs ---------------------------------------------------------------------------------

# Okabe and Ito's palette without its yellow, which is too pale for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#888888")
STROKES = ("-", (0, (5, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))  # after all colours, the next
MAX_POINTS = 2000  # of a line: more than a figure has pixels
LONGEST = 120  # characters of a run's name
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
    shown = short_labels(list(runs), LONGEST)
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
    columns = 1 if max(map(len, shown)) > LONGEST // 2 else 2
    panels[0].legend(loc="upper left", bbox_to_anchor=(0, -0.14), borderaxespad=0.0, ncols=columns)
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


def notes(document: Document, names: Mapping[str, str], drawn: Collection[str]) -> list[str]:
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
