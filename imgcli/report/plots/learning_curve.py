"""The learning curve: accuracy by number of training photos.

`document` is that of the JSON contract of `learning-curve` throughout.
"""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from imgcli.report.plots import style
from imgcli.report.plots.style import canvas, in_percent, styled, titled
from imgcli.text import count

Document = Mapping[str, Any]


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
