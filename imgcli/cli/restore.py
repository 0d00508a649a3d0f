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
        help="The checked folder, a quarantine, or one folder in it to restore it alone.",
    ),
]


def restore(folder: Folder = None, json: Json = False, quiet: Quiet = False) -> None:
    """Move photos back that `imgcli check --fix` moved into quarantine/ or relabelled.

    Each goes back to its old place, with its name, bytes and times. Where
    another file has that place by now, both stay where they are. After an
    interruption give the same command again.

    Examples:

      imgcli restore

      imgcli restore raw/
    """
    result = restore_photos(folder)
    sentence = f"Moved {count(len(result.restored), 'photo')} back."
    render(result, json=json, people=lambda _: [sentence])
    if result.error:
        raise result.error
