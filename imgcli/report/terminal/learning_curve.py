"""The learning curve for the terminal: its points, and the expected gain of each class."""

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from imgcli.report.terminal.tables import number, table, text
from imgcli.text import interval, percent, printable

Document = Mapping[str, Any]  # of `learning-curve --json`

MAX_CLASSES = 10  # of the table, those that gain most


def tables(document: Document) -> list[RenderableType]:
    """The points of the curve, and the classes that would gain most."""
    titles = ("training photos", "accuracy in %", "95 % interval")
    points = table(*map(number, titles), gap=2)
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
    heads = ("n", "recall\nin %", "expected\nin %", "gain in\npoints", "95 %\ninterval")
    classes = table(text("class"), *map(number, heads))
    for row in document["per_class"][:MAX_CLASSES]:
        low, high = (f"{100 * end:+.1f}" for end in row["gain_ci95"])
        classes.add_row(
            Text(printable(row["class"])),
            f"{row['n']:,}",
            percent(row["recall"][-1], ""),
            percent(row["accuracy"], ""),
            f"{100 * row['gain']:+.1f}",
            f"{low} to {high}",
        )
    left_out = len(document["per_class"]) - MAX_CLASSES
    title = "Expected recall of each class with twice the photos"
    more = (
        [Text(f"{left_out:,} classes that gain less: --json lists them all.")]
        if left_out > 0
        else []
    )
    return [points, Text(title), classes, *more]
