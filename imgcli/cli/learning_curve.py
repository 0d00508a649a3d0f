"""`imgcli learning-curve`: estimate what more photos would bring."""

from typing import Annotated

import typer

from imgcli.cli.console import show, show_json
from imgcli.cli.options import Device, FoldSeed, Json, Quiet, RunData, RunName
from imgcli.commands import learning_curve as command

Folds = Annotated[int, typer.Option("--folds", metavar="K", help="Folds of the train part.")]


def learning_curve(
    run: RunName = "latest",
    folds: Folds = 5,
    data: RunData = None,
    seed: FoldSeed = None,
    device: Device = "auto",
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
    result = command.learning_curve(run, folds=folds, data=data, seed=seed, device=device)
    if json:
        show_json(result.to_json())
    else:
        show_result(result)


def show_result(result: command.LearningCurveResult) -> None:
    """Print a learning curve for people."""
    from rich.text import Text

    from imgcli.report.terminal.learning_curve import tables

    show(Text(result.sentence, style="bold"), *tables(result.document))
    show(Text(f"Figure: {result.figure}"))
