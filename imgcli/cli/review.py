"""`imgcli review`: decide about labels, duplicates, merges and predictions in the browser."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer
from rich.console import RenderableType

from imgcli.cli.console import render
from imgcli.cli.options import Json, NoBrowser, Port, Quiet, RunData, RunName
from imgcli.commands.review_photos import ReviewResult, What, review_photos
from imgcli.text import count

Kind = Annotated[What, typer.Argument(metavar="WHAT", help="What to review.")]
Dir = Annotated[
    Path | None,
    typer.Option(
        "--dir",
        metavar="DIR",
        show_default="what the dataset was split from, or raw/",
        help="Where to look for duplicates.",
    ),
]


def review(
    what: Kind = "all",
    run: RunName = "latest",
    data: RunData = None,
    folder: Dir = None,
    port: Port = 0,
    no_browser: NoBrowser = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Decide about labels, duplicates, merges and predictions in the browser.

    WHAT is labels (those to review, by predictions made without them),
    duplicates, merges, predictions (photos whose own class is predicted with
    less than 50 %), map (all photos in the plane, alike ones together), or all.

    Starts a page for this machine alone. Each decision is one key and is
    carried out at once, as `imgcli check --fix` does: photos move to their new
    class folder or into quarantine/, accepted merges go into a plan. The key u
    takes the last one back, `imgcli restore` all. Ctrl-C ends.

    Examples:

      imgcli review

      imgcli review labels --no-browser
    """
    result = review_photos(
        what, run=run, data=data, folder=folder, port=port, browser=not no_browser
    )
    render(result, json=json, people=_sentences)


def _sentences(result: ReviewResult) -> list[RenderableType]:
    """What was decided, how to undo it, and what comes next."""
    decided = {name: n for name, n in result.decided.items() if n}
    if not decided:
        return ["Nothing was decided."]
    parts = ", ".join(f"{name} {n:,}" for name, n in decided.items())
    found: list[RenderableType] = [f"{count(sum(decided.values()), 'decision')}: {parts}."]
    if result.folder is not None:
        found.append(
            f"{count(result.moved, 'photo')} moved. To undo: imgcli restore "
            f"{quote(str(result.folder))}"
        )
    found += [f"Next: {command}" for command in result.next]
    return found
