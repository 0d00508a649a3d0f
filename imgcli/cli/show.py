"""`imgcli show`: everything about one run."""

from pathlib import Path
from typing import Annotated

import typer

from imgcli.cli.console import render
from imgcli.cli.options import Json, Quiet

Name = Annotated[
    str,
    typer.Argument(metavar="[RUN]", help="'latest', a folder's name under runs/, or a path."),
]
Folder = Annotated[Path, typer.Option("--runs", metavar="DIR", help="Folder of the runs.")]


def show(
    run: Name = "latest",
    folder: Folder = Path("runs"),
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show everything about one run.

    Its network, data and accuracies; the options it was asked for, and the
    choices settled by default; what was done with it: evaluations,
    calibration, merges, report; its files with their sizes.

    Examples:

      imgcli show

      imgcli show 20260101-120000-alexnet --json
    """
    from imgcli.commands.show import show as show_run
    from imgcli.report.terminal.run_list import run_page

    render(show_run(run, runs=folder), json=json, people=lambda found: run_page(found.to_json()))
