"""`imgcli restore`: photos that `imgcli check --fix` moved go back."""

from pathlib import Path
from typing import Annotated

import typer

from imgcli.cli.console import render
from imgcli.cli.options import Json, Quiet
from imgcli.commands.restore import restore as restore_photos
from imgcli.text import count

Folder = Annotated[
    Path | None,
    typer.Argument(
        metavar="DIR",
        show_default="quarantine/",
        help="The checked folder, or one that photos were sorted into; a quarantine, or one folder "
        "in it to restore it alone.",
    ),
]


def restore(folder: Folder = None, json: Json = False, quiet: Quiet = False) -> None:
    """Move photos back that `imgcli check --fix` or `imgcli review` moved.

    Each goes back to its old place, with its name, bytes and times. Where
    another file has that place by now, both stay where they are. After an
    interruption give the same command again.

    Of a folder that `imgcli predict --sort-into` filled, takes the photos out
    again. One that was changed there, or whose original is gone, stays.

    Examples:

      imgcli restore

      imgcli restore raw/

      imgcli restore sorted/
    """
    result = restore_photos(folder)
    sentences = [f"Took {count(n, 'photo')} out."] if (n := len(result.taken_out)) else []
    if result.restored or not n:
        sentences.insert(0, f"Moved {count(len(result.restored), 'photo')} back.")
    render(result, json=json, people=lambda _: sentences)
    if result.error:
        raise result.error
