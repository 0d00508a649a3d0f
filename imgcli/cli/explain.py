"""`imgcli explain`: why photos are predicted as they are."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from imgcli.cli.console import render
from imgcli.cli.options import Device, Json, MaxPixels, PathColumn, Quiet, RunName, TableRoot
from imgcli.commands import explain as command

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="[PHOTO...]",
        show_default="the run's worst mistakes",
        help="Photos, folders, zip and tar archives, tables and lists of paths, quoted patterns; - "
        "for paths on standard input.",
    ),
]
ClassName = Annotated[
    str | None,
    typer.Option(
        "--class",
        metavar="CLASS",
        show_default="the predicted one",
        help="Class whose evidence to show.",
    ),
]
Against = Annotated[
    str | None,
    typer.Option(
        "--against",
        metavar="CLASS",
        show_default="the label of a training photo predicted otherwise, else the runner-up",
        help="Class to compare it with.",
    ),
]
Nearest = Annotated[
    int, typer.Option("--nearest", metavar="N", help="Training photos to show; 0 for none.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        show_default="explained/ in the run's folder; none of mistakes",
        help="Folder for the figures. Only earlier figures of this command are replaced.",
    ),
]


def explain(
    paths: Paths = [],  # noqa: B006  typer copies it
    run: RunName = "latest",
    class_name: ClassName = None,
    against: Against = None,
    nearest: Nearest = 5,
    out: Out = None,
    root: TableRoot = None,
    path_column: PathColumn = None,
    device: Device = "auto",
    max_pixels: MaxPixels = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show where in photos the evidence for a class is, and the photos most like them.

    For each photo a figure: the evidence for the predicted class, the
    evidence for it rather than for the runner-up, and the training photos
    most like it in the features of the network. Where the network ends in
    mean pooling, as most do, the map is exact: it adds up to the class's
    score. The document of --json says how each map was made.

    Without a photo, the run's most confident out-of-fold mistakes and the
    examples of suggested merges are explained, each its predicted class
    rather than its label: on a frozen backbone by the network of the fold,
    which had not seen the photo, else by the run's final network. The maps
    are kept in the run, and `imgcli report` shows them.

    Examples:

      imgcli explain holiday/a.jpg

      imgcli explain a.jpg --class lotus --against water_lilly --out figures

      imgcli explain 'odd/*.jpg' --nearest 10

      imgcli explain && imgcli report
    """
    result = command.explain(
        paths,
        run=run,
        class_name=class_name,
        against=against,
        nearest=nearest,
        out=out,
        root=root,
        path_column=path_column,
        device=device,
    )
    render(result, json=json, people=_tables)


def _tables(result: command.ExplainResult) -> list[RenderableType]:
    from imgcli.report.terminal.explanation import explained

    return explained(result.to_json())
