"""The learning curve: accuracy by number of training photos, a figure and tables.

`document` is that of the JSON contract of `learning-curve` throughout.
"""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator
from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from imgcli.report.plots import style
from imgcli.report.plots.style import canvas, in_percent, styled, titled
from imgcli.text import count, interval, percent, printable

Document = Mapping[str, Any]

MOST_CLASSES = 10  # of the table, those that gain most


@styled
def curve(document: Document) -> Figure:
    """Accuracy over the training photos, on a logarithmic scale, and as expected of more."""
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
    axes.legend(loc="lower right")
    titled(
        figure,
        "Learning curve",
        document["sentence"],
        f"{document['folds']} folds of the train part, {count(document['n'], 'photo')}; "
        "bars: 95 % intervals",
    )
    return figure


def _bars(axes: Axes, x: list[float], ends: list[list[float]], colour: str) -> None:
    lows, highs = zip(*ends, strict=True)
    axes.vlines(x, lows, highs, color=colour, linewidth=4, alpha=0.4)


def tables(document: Document) -> list[RenderableType]:
    """The points of the curve, and the classes that would gain most."""
    points = _table("training photos", "accuracy in %", "95 % interval")
    for point in document["points"]:
        points.add_row(
            f"{point['photos']:,.0f}", percent(point["accuracy"], ""), interval(point["ci95"], "")
        )
    expected = document["expected"]
    points.add_row(
        f"{document['times'] * document['points'][-1]['photos']:,.0f}, expected",
        percent(expected["accuracy"], ""),
        interval(expected["ci95"], ""),
    )
    classes = _table(
        "class", "n", "recall\nin %", "expected\nin %", "gain in\npoints", "95 %\ninterval"
    )
    for row in document["per_class"][:MOST_CLASSES]:
        low, high = (f"{100 * end:+.1f}" for end in row["gain_ci95"])
        classes.add_row(
            Text(printable(row["class"])),
            f"{row['n']:,}",
            percent(row["recall"][-1], ""),
            percent(row["accuracy"], ""),
            f"{100 * row['gain']:+.1f}",
            f"{low} to {high}",
        )
    left_out = len(document["per_class"]) - MOST_CLASSES
    title = "Expected recall of each class with twice the photos"
    more = (
        [Text(f"{left_out:,} classes that gain less: --json lists them all.")]
        if left_out > 0
        else []
    )
    return [points, Text(title), classes, *more]


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column(first, overflow="fold")
    for title in others:
        table.add_column(title, justify="right", no_wrap=True)
    return table
