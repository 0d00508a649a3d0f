"""`imgcli cache`: what .imgcli/cache holds, and removing it."""

from typing import Annotated

import typer

from imgcli.cli.console import render
from imgcli.cli.options import Json, Quiet
from imgcli.commands.cache import DEFAULT_DAYS, Kind
from imgcli.commands.cache import cache as manage_cache
from imgcli.report.terminal.cache import entries

Prune = Annotated[
    bool,
    typer.Option(
        "--prune",
        help="Remove entries that are unused for DAYS, damaged, or of another version of imgcli.",
    ),
]
OlderThan = Annotated[
    float | None,
    typer.Option(
        "--older-than", metavar="DAYS", show_default=str(DEFAULT_DAYS), help="For --prune."
    ),
]
Clear = Annotated[bool, typer.Option("--clear", help="Remove all entries.")]
OfKind = Annotated[
    Kind | None,
    typer.Option("--kind", show_default="all", help="Show, prune or clear this kind only."),
]


def cache(
    prune: Prune = False,
    older_than: OlderThan = None,
    clear: Clear = False,
    kind: OfKind = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show the entries of .imgcli/cache, and remove them.

    The cache holds decoded pixels, thumbnails, features of frozen backbones,
    fingerprints and hashes of files. It only saves time: a missing entry is computed again
    when it is needed. Entries in use by another imgcli are left.

    Examples:

      imgcli cache

      imgcli cache --prune --older-than 7
    """
    result = manage_cache(prune=prune, older_than=older_than, clear=clear, kind=kind)
    removing = prune or clear
    render(result, json=json, people=lambda done: entries(done.to_json(), removing=removing))
