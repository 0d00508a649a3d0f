"""`imgcli compare`: which of several runs is better on the same photos, with significance tests."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import RenderableType
from rich.text import Text

from imgcli.cli.console import render_tables
from imgcli.cli.options import Form, Json, Quiet, Seed, check_form, table_option

if TYPE_CHECKING:
    from imgcli.commands.compare import CompareResult

Names = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN",
        show_default=False,
        help="Two or more runs: 'latest', a folder's name under runs/, or a path.",
    ),
]
On = Annotated[
    Literal["folds", "test"] | None,
    typer.Option(
        "--on",
        show_default="folds where all runs have them",
        help="Predictions to compare: of evaluate --folds, or of the test part.",
    ),
]
Window = Annotated[
    int, typer.Option("--window", min=2, help="Batches of the loss curves' running mean.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FOLDER",
        show_default="comparison/ beside the first run",
        help="Folder for figures and tables; an earlier comparison in it is replaced.",
    ),
]
TABLES = "runs pairs"
Table = Annotated[str | None, table_option(TABLES)]


def compare(
    runs: Names,
    on: On = None,
    window: Window = 50,
    out: Out = None,
    seed: Seed = 0,
    form: Form = None,
    table: Table = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare runs on the same photos.

    Uses the stored predictions of `imgcli evaluate` and trains nothing. Tests
    every pair of runs for a difference in accuracy and macro precision,
    corrected for the number of pairs. Draws the figures of training and
    held-out photos, the differences to the best run, and the loss over
    batches, and writes them as CSV too.

    Of repeated folds the first repeat is compared.

    Another seed makes another network: a difference between two configurations,
    and not just between two trainings, is better shown on folds.

    Examples:

      imgcli compare 20260101-120000-alexnet 20260101-130000-resnet101

      imgcli compare runs/*-alexnet --on test --out comparison

      imgcli compare runs/*-alexnet --format latex > table.tex
    """
    from imgcli.run_lookup import refuse_missing

    check_form(form, table, TABLES, json)
    refuse_missing(runs)

    from imgcli.commands.compare import compare

    result = compare(runs, on=on, window=window, out=out, seed=seed)
    render_tables(result, json=json, form=form, table=table, people=_tables)


def _tables(result: "CompareResult") -> list[RenderableType]:
    from imgcli.report.terminal.comparison import compared

    files = Text("\n".join(f"Written: {file}" for file in result.files))
    return [*compared(result.to_json()), files]
