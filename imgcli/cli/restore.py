"""`imgcli restore`: what `imgcli check --fix` moved comes back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.cli.options import Json, Quiet
from imgcli.errors import StorageError

if TYPE_CHECKING:
    from imgcli.photos.quarantine import Moved

Place = Annotated[
    Path | None,
    typer.Argument(
        metavar="DIR",
        show_default="quarantine/",
        help="The folder that was fixed, a quarantine, or one folder in it to restore it alone.",
    ),
]


def restore(place: Place = None, json: Json = False, quiet: Quiet = False) -> None:
    """Move photos back that `imgcli check --fix` moved into quarantine/ or relabelled.

    Each goes back to where it was, with its name, bytes and times. Where
    something else lies by now, that stays, and so does the photo. It can be
    interrupted and given again.

    Examples:

      imgcli restore

      imgcli restore raw/
    """
    from imgcli.photos import quarantine
    from imgcli.progress import be_quiet
    from imgcli.text import listed

    be_quiet(quiet)
    moved = quarantine.restore(place)
    _show(moved, json=json)
    if moved.left:
        raise StorageError(
            f"Not moved back: {listed([item.path for item in moved.left])} "
            f"({moved.left[0].reason}). Mend that and run the command again."
        )


def _show(moved: "Moved", *, json: bool) -> None:
    from imgcli.cli.console import show, show_json
    from imgcli.text import count

    if json:
        show_json(
            {
                "restored": list(moved.done),
                "left": [{"path": item.path, "reason": item.reason} for item in moved.left],
            }
        )
    else:
        show(f"Moved {count(len(moved.done), 'photo')} back.")
