"""`imgcli next`: the photos to label next."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from imgcli.cli.console import render
from imgcli.cli.options import Cluster, Device, Json, MaxPixels, Quiet
from imgcli.cli.training_options import option_of
from imgcli.commands.next_photos import RAW, Form, NextResult
from imgcli.commands.next_photos import next_photos as choose_photos
from imgcli.errors import WrongUsage
from imgcli.text import count

Dir = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of photos without labels.")]
Number = Annotated[int, typer.Option("-n", "--photos", metavar="N", help="How many.")]
Labelled = Annotated[
    Path,
    typer.Option("--labelled", metavar="DIR", help="Class folders of those labelled so far."),
]
FormOption = Annotated[
    Form | None,
    typer.Option(
        "--format",
        show_default="a list for people",
        help="Print only the list: as CSV, or as tasks that Label Studio imports.",
    ),
]


def next_photos(
    folder: Dir,
    n: Number = 50,
    labelled: Labelled = RAW,
    arch: Annotated[str | None, option_of("arch")] = None,
    weights: Annotated[str | None, option_of("weights")] = None,
    form: FormOption = None,
    device: Device = "auto",
    max_pixels: MaxPixels = None,
    cluster: Cluster = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List the photos to label next, the most valuable first.

    For people who label with a tool of their own; `imgcli label` shows the same
    photos in the browser. First come typical photos, one of each group of
    similar ones; once 30 are labelled, photos between two classes. One in five
    is drawn at random: by these the accuracy so far is told.

    What is labelled is seen by the class folders in --labelled.

    Examples:

      imgcli next photos/ -n 50

      imgcli next photos/ --labelled raw/ --format label-studio
    """
    if form and json:
        raise WrongUsage(f"--format {form} and --json each print everything; give one of them.")
    result = choose_photos(folder, n, labelled=labelled, arch=arch, weights=weights, device=device)
    if form:
        sys.stdout.write(result.to_text(form))
    else:
        render(result, json=json, people=_lines)


def _lines(result: NextResult) -> list[RenderableType]:
    lines = [
        f"{photo.path}{f'  ({photo.guess}?)' if photo.guess else ''}" for photo in result.photos
    ]
    about = f"{count(result.left, 'photo')} without a label. {result.audit.sentence}"
    return [*lines, about]
