"""`imgcli report`: one HTML page of a run's results."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from imgcli.cli.console import render
from imgcli.cli.options import Json, Quiet, RunData, RunName, Track
from imgcli.text import megabytes, printable

if TYPE_CHECKING:
    from imgcli.commands.write_report import ReportResult

Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        show_default="report.html in the run's folder",
        help="File to write; an earlier report is replaced.",
    ),
]


def report(
    run: RunName = "latest",
    out: Out = None,
    data: RunData = None,
    track: Track = [],  # noqa: B006
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a report: one HTML file of all results.

    Accuracy with its interval, the confusion matrix with the photos of each
    cell, figures, worst mistakes, classes to merge, labels to review, the
    dataset, and the commands that led to it. The page needs no network. It
    shows the results stored so far, and names the command for those missing.
    The trackers of the run get the report too.
    The figures are in the run's figures/ too, as PNG and SVG.

    Examples:

      imgcli report

      imgcli report --run 20260101-120000-resnet101 --out resnet.html
    """
    from imgcli.run_lookup import refuse_missing

    refuse_missing([run])

    from imgcli.commands.write_report import write_report

    show_result(write_report(run, out=out, data=data, track=track), json=json)


def show_result(result: "ReportResult", *, json: bool = False) -> None:
    """Print where the report and its figures are, and what is not in it."""
    render(result, json=json, people=_lines)


def _lines(result: "ReportResult") -> Iterator[Text]:
    # In one line each, however long: paths and commands are there to be copied.
    yield Text(printable(f"Report: {result.report} ({megabytes(result.bytes)})"), no_wrap=True)
    if result.figures:
        yield Text(printable(f"Figures: {result.figures[0].parent}/"), no_wrap=True)
    for weak in result.slices or ():
        yield Text(printable(f"Where it fails: {weak['sentence']}"))
    for one in result.missing:
        yield Text(printable(f"Not in it: {one.what}."))
        yield Text(printable(f"To add it: {one.command}"), no_wrap=True)
