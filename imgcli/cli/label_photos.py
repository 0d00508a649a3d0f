"""`imgcli label`: photos without labels become class folders, in the browser."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from imgcli.cli.console import render
from imgcli.cli.options import Cluster, Device, Json, MaxPixels, NoBrowser, Port, Quiet
from imgcli.cli.training_options import option_of
from imgcli.commands.label_photos import LabelResult
from imgcli.commands.label_photos import label_photos as show_photos
from imgcli.commands.next_photos import RAW
from imgcli.text import count

Dir = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of photos without labels.")]
Classes = Annotated[
    list[str],
    typer.Option(
        "--classes",
        metavar="NAME,...",
        show_default="those of --out",
        help="The classes; more can be named on the page.",
    ),
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Class folders to fill.")]


def label_photos(
    folder: Dir,
    classes: Classes = [],  # noqa: B006  typer copies it
    out: Out = RAW,
    arch: Annotated[str | None, option_of("arch")] = None,
    weights: Annotated[str | None, option_of("weights")] = None,
    device: Device = "auto",
    port: Port = 0,
    no_browser: NoBrowser = False,
    max_pixels: MaxPixels = None,
    cluster: Cluster = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Label photos in the browser, the most valuable first.

    First come typical photos, one of each group of similar ones; once 30 are
    labelled, photos between two classes, chosen anew after every ten. One in
    five is drawn at random: by these the page tells the accuracy so far, with
    its interval, and what twice the labels would bring.

    Each label is one key. The photo gets a hard link, or a copy, in its class
    folder at once and stays where it is; u takes the last label back,
    `imgcli restore` all. Ctrl-C ends; the same command goes on.

    Examples:

      imgcli label photos/ --classes cat,dog,owl

      imgcli label photos/ --out raw/ --no-browser
    """
    result = show_photos(
        folder,
        classes=classes,
        out=out,
        arch=arch,
        weights=weights,
        device=device,
        port=port,
        browser=not no_browser,
    )
    render(result, json=json, people=_sentences)


def _sentences(result: LabelResult) -> list[RenderableType]:
    if not result.labelled:
        return ["Nothing was labelled.", result.summary]
    now = f"{count(result.labelled, 'photo')} labelled now, in '{result.out}'."
    return [now, result.summary, f"Next: {result.next}"]
