"""The history of a training, read from `history.csv` and drawn, and the learning curve.

A linear probe has no batches, only iterations over all photos; its history has no steps, and its
objective is not comparable with the loss of batches.
"""

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imgcli.config import TrainConfig
from imgcli.errors import RunError
from imgcli.reading import read_regular
from imgcli.records import FloatArray
from imgcli.report.plots import style
from imgcli.report.plots.style import canvas, in_percent, styled, titled
from imgcli.runs import Run
from imgcli.text import count, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
) -> "Figure":
    """Loss and accuracy over the epochs, one line per part, and faintly the loss of each batch.

    Args:
        rows: `{"epoch": int, "part": "train" | "val" | "test", "loss": float, "accuracy": float}`
            at least one, in any order; figures that are None, missing or not finite leave a gap.
            Rows of the part "batch" hold a loss each, in the order of the training.
        kept: the epoch whose weights the run kept, marked.
        unit: "iteration" where the rows are of a linear probe: then "batch" holds the objective
            over all photos.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

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
    style.legend_below(loss)
    titled(figure, f"Training history, {count(max(epochs), unit)}", _kept_line(rows, kept, unit))
    return figure


def _draw_batches(axes: "Axes", batches: Sequence[Mapping[str, Any]], unit: str) -> None:
    """A thin line that reaches an epoch's number with the last batch of that epoch."""
    if not batches:
        return
    per_epoch = Counter(row["epoch"] for row in batches)
    x = [epoch - 1 + np.arange(1, n + 1) / n for epoch, n in sorted(per_epoch.items())]
    losses = [row["loss"] for row in batches]
    name = "each batch" if unit == "epoch" else "objective: loss + penalty"
    axes.plot(np.concatenate(x), losses, color=style.TRAIN, alpha=0.6, lw=0.9, label=name)


def _draw_curves(axes: "Axes", rows: Sequence[Mapping[str, Any]], key: str) -> None:
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


# --- learning curve ------------------------------------------------------------------------------


@styled
def learning_curve(document: Mapping[str, Any]) -> "Figure":
    """Accuracy over the training photos, on a logarithmic scale, and as expected of more.

    Args:
        document: of the JSON contract of `learning-curve`.
    """
    from matplotlib.ticker import NullFormatter, NullLocator

    figure, axes = canvas(6.2, 3.6)
    points, expected = document["points"], document["expected"]
    photos = [point["photos"] for point in points]
    found = [point["accuracy"] for point in points]
    _bars(axes, photos, [point["ci95"] for point in points], style.HELD_OUT)
    axes.plot(photos, found, "o-", color=style.HELD_OUT, markersize=5, label="cross-validated")
    more = document["times"] * photos[-1]
    _bars(axes, [more], [expected["ci95"]], style.TRAIN)
    axes.plot(
        [photos[-1], more],
        [found[-1], expected["accuracy"]],
        "D--",
        color=style.TRAIN,
        markersize=6,
        markevery=[1],
        label="expected",
    )
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks([*photos, more], labels=[f"{n:,.0f}" for n in (*photos, more)])
    axes.set(xlabel="training photos", ylabel="accuracy")
    in_percent(axes.yaxis)
    axes.grid(axis="y")
    style.legend_below(axes)
    titled(
        figure,
        "Learning curve",
        document["sentence"],
        f"{document['folds']} folds of the train part, {count(document['n'], 'photo')}; "
        "bars: 95 % intervals",
    )
    return figure


def _bars(axes: "Axes", x: list[float], ends: list[list[float]], colour: str) -> None:
    lows, highs = zip(*ends, strict=True)
    axes.vlines(x, lows, highs, color=colour, linewidth=4, alpha=0.4)
