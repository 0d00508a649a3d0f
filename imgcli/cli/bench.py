"""`imgcli bench`: measure this machine."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from imgcli.cli.console import render
from imgcli.cli.options import Device, Json, Quiet
from imgcli.commands import bench as command

Photos = Annotated[
    Path | None,
    typer.Argument(help="Folder of photos.", show_default="dataset, or raw"),
]
Arch = Annotated[str, typer.Option("--arch", help="Network, as for `imgcli train`.")]
Freeze = Annotated[
    bool, typer.Option("--freeze/--no-freeze", help="Frozen backbone, or training of all weights.")
]
Folds = Annotated[int, typer.Option("--folds", metavar="K", help="Folds of the cross-validation.")]
ImageSize = Annotated[
    int | None,
    typer.Option(
        "--image-size",
        show_default="the arch's own",
        help="Height and width of the input in pixels.",
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option("--epochs", show_default="as for train", help="Epochs, with --no-freeze."),
]


def bench(
    photos: Photos = None,
    arch: Arch = "resnet101",
    freeze: Freeze = True,
    folds: Folds = 10,
    image_size: ImageSize = None,
    epochs: Epochs = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure this machine and estimate how long cross-validation takes on it.

    Measured are decoding, feature extraction and training, on some of the
    photos, several times each; what this machine can compute at most; and the
    same network in a plain loop of PyTorch. Other programs at work are named.
    Nothing is stored, and no weights are downloaded: random weights take as
    long.

    Examples:

      imgcli bench

      imgcli bench raw --arch alexnet --no-freeze --folds 5
    """
    result = command.bench(
        photos,
        arch=arch,
        freeze=freeze,
        folds=folds,
        image_size=image_size,
        epochs=epochs,
        device=device,
    )
    render(result, json=json, people=_tables)


def _tables(result: command.BenchResult) -> list[RenderableType]:
    from imgcli.report.terminal.runs import speeds

    return speeds(result.to_json())
