"""`imgcli bench`: what this machine gives, and how long a job will take on it."""

from pathlib import Path
from typing import Annotated

import typer

from imgcli.cli.options import Device, Json, Quiet
from imgcli.errors import WrongUsage

Photos = Annotated[
    Path | None,
    typer.Argument(help="Folder of photos.", show_default="dataset, or raw"),
]
Arch = Annotated[str, typer.Option("--arch", help="Network, named as for `imgcli train`.")]
Freeze = Annotated[
    bool, typer.Option("--freeze/--no-freeze", help="A new head on a frozen backbone, or all.")
]
Folds = Annotated[int, typer.Option("--folds", help="Folds of the error estimation to foresee.")]
ImageSize = Annotated[
    int | None,
    typer.Option("--image-size", show_default="the arch's own", help="Pixels of a side."),
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
    """Measure decoding, looking and learning here, and foresee how long the folds will take.

    Nothing is kept. No weights are needed: random ones take as long.

    Examples:

      imgcli bench

      imgcli bench raw --arch alexnet --no-freeze --folds 5
    """
    from imgcli.cli.console import show, show_json
    from imgcli.progress import be_quiet

    be_quiet(quiet)
    if folds < 2:
        raise WrongUsage(f"--folds {folds} is too few; use at least 2.")
    if freeze and epochs is not None:
        raise WrongUsage("--epochs goes with --no-freeze: a frozen backbone looks once.")
    folder = photos or next((f for f in (Path("dataset"), Path("raw")) if f.is_dir()), None)
    if folder is None:
        raise WrongUsage("There is no dataset/ or raw/ here. Name a folder: imgcli bench PHOTOS")

    from imgcli.config import TrainConfig
    from imgcli.report.terminal.runs import speeds as rendered
    from imgcli.training.benchmark import measure_speeds

    config = TrainConfig.of(arch=arch, freeze=freeze, image_size=image_size, epochs=epochs)
    speeds = measure_speeds(config, folder, device)
    seconds = speeds.seconds(folds)
    document = {
        **vars(speeds),
        "folds": folds,
        "seconds": {**seconds, "total": sum(seconds.values())},
    }
    if json:
        show_json(document)
    else:
        show(*rendered(document))
