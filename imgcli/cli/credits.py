"""`imgcli credits`: the attribution that the photos' licences ask for."""

from pathlib import Path
from typing import Annotated

import typer

from imgcli.cli.options import Json

Folder = Annotated[
    Path, typer.Argument(metavar="[DIR]", help="A folder that `imgcli scrape` made.")
]


def write_credits(folder: Folder = Path("raw"), json: Json = False) -> None:
    """Write the page that says who made the photos, and under which licence.

    DIR/credits.html names of every scraped photo its title, creator, source and
    licence, and whether it was made smaller. Put it wherever you show or pass on
    the photos, or what was made of them. It is written anew each time.

    Examples:

      imgcli credits raw/

      imgcli credits raw/ --json
    """
    from rich.text import Text

    from imgcli.cli.console import show, show_json
    from imgcli.collect.scrape.credits import write_credits
    from imgcli.progress import note
    from imgcli.text import count, printable

    done = write_credits(folder)
    if done.kept:
        note(printable(done.kept))
    total = sum(done.licences.values())
    if json:
        show_json(
            {
                "out": str(done.page),
                "photos": total,
                "licences": done.licences,
                "uncredited": done.uncredited,
            }
        )
        return
    kinds = ", ".join(f"{n:,} {name}" for name, n in done.licences.items())
    lines = [f"The credits of {count(total, 'photo')} are in {done.page}: {kinds}."]
    if done.uncredited:
        lines.append(
            f"{count(done.uncredited, 'photo was', 'photos were')} imported; whom to credit for "
            "them nobody has written down."
        )
    show(*(Text(printable(line)) for line in lines))
