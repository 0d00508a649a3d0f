"""`imgcli learning-curve`: estimate what more photos would bring."""

from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from imgcli.cli.console import render_tables
from imgcli.cli.options import (
    Cluster,
    Device,
    FoldSeed,
    Form,
    Json,
    Quiet,
    RunData,
    RunName,
    Track,
    check_form,
    table_option,
)
from imgcli.commands import learning_curve as command

Folds = Annotated[int, typer.Option("--folds", metavar="K", help="Folds of the train part.")]
TABLES = "points classes"
Table = Annotated[str | None, table_option(TABLES)]


def learning_curve(
    run: RunName = "latest",
    folds: Folds = 5,
    data: RunData = None,
    seed: FoldSeed = None,
    device: Device = "auto",
    track: Track = [],  # noqa: B006
    form: Form = None,
    table: Table = None,
    cluster: Cluster = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Estimate the accuracy with twice the photos.

    The run's config is cross-validated on 10 to 100 % of the photos of each
    class, and the learning curve is extrapolated to twice as many, for each
    class too. Needs a run with a frozen backbone, whose cached features are
    used. The test part is not used.

    Examples:

      imgcli learning-curve

      imgcli learning-curve --folds 10 --json
    """
    check_form(form, table, TABLES, json)
    result = command.learning_curve(
        run, folds=folds, data=data, seed=seed, device=device, track=track
    )
    render_tables(result, json=json, form=form, table=table, people=_tables)


def _tables(result: command.LearningCurveResult) -> list[RenderableType]:
    from imgcli.report.terminal import runs

    head, figure = Text(result.sentence, style="bold"), Text(f"Figure: {result.figure}")
    return [head, *runs.learning_curve(result.document), figure]
