"""`imgcli predict`: predict the classes of new photos."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from imgcli.cli.console import render
from imgcli.cli.options import Device, Json, MaxPixels, Quiet, RunNames
from imgcli.commands import predict as command
from imgcli.progress import note

Paths = Annotated[list[Path], typer.Argument(help="Photos, and folders of photos.")]
Csv = Annotated[
    Path | None,
    typer.Option(
        "--csv", metavar="FILE", show_default=False, help="Write the predictions to a CSV file."
    ),
]
Top = Annotated[int, typer.Option("--top", help="Most probable classes to list per photo.")]
MinPrecision = Annotated[
    float | None,
    typer.Option(
        "--min-precision",
        metavar="SHARE",
        show_default="answer all",
        help="Selective prediction: answer 'unsure' below the confidence that gives answers this "
        "precision, such as 0.95. Needs `imgcli evaluate --folds` first.",
    ),
]


def predict(
    paths: Paths,
    run: RunNames = ["latest"],  # noqa: B006
    csv: Csv = None,
    top: Top = 5,
    min_precision: MinPrecision = None,
    device: Device = "auto",
    max_pixels: MaxPixels = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Predict the classes of new photos.

    Photos are preprocessed as the run's own were. Folders are searched with
    their subfolders. A photo that cannot be read is listed with the reason,
    and the others are predicted. Confidence is calibrated if the run has
    been evaluated by `imgcli evaluate --folds`.

    Examples:

      imgcli predict holiday/

      imgcli predict a.jpg b.png --csv predictions.csv

      imgcli predict holiday/ --min-precision 0.95
    """
    result = command.predict(
        paths, run=run, csv=csv, top=top, min_precision=min_precision, device=device
    )
    render(result, json=json, people=_tables)
    if not json:
        from imgcli.report.terminal.runs import unreadable

        for line in unreadable(result.rejected):
            note(line)


def _tables(result: command.PredictResult) -> Iterator[RenderableType]:
    from imgcli.report.terminal.evaluation import predicted

    promise = result.promise.to_json() if result.promise else None
    return predicted(result.paths, result.classes, result.probs, result.sure, promise, result.csv)
