"""`imgcli credits`: the attribution that the photos' licences require."""

from pathlib import Path
from typing import Annotated

import typer

from imgcli.cli.console import render
from imgcli.cli.options import Json
from imgcli.commands.credits import credits as make_credits
from imgcli.progress import note
from imgcli.report.terminal.photos import credited

Folder = Annotated[
    Path, typer.Argument(metavar="[DIR]", help="A folder that `imgcli scrape` made.")
]


def credits(folder: Folder = Path("raw"), json: Json = False) -> None:
    """Write a page with the author and licence of every scraped photo.

    DIR/credits.html lists for each photo its title, author, source and licence,
    and whether it was reduced in size. Put it wherever you show or pass on the
    photos, or anything made from them. Each call writes it again.

    Examples:

      imgcli credits raw/

      imgcli credits raw/ --json
    """
    result = make_credits(folder)
    for sentence in result.notes:
        note(sentence)
    render(result, json=json, people=lambda done: credited(done.to_json()))
