"""`imgcli cache`: what is kept so that it need not be made again."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from imgcli.cli.options import Json, Quiet
from imgcli.errors import WrongUsage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from imgcli.photos.cache_report import Emptied, Stored

UNUSED_DAYS = 30
MOST_DAYS = 36_500

KINDS = {
    "pixels": "decoded pixels",
    "features": "frozen features",
    "sketches": "sketches",
    "facts": "sizes and sharpness",
    "digests": "hashes of files",
    "unfinished": "given up half way",
}
STATES = {"other-version": "of another version", "damaged": "damaged"}

Prune = Annotated[
    bool,
    typer.Option(
        "--prune",
        help="Remove what has not been used for DAYS, what another version of imgcli made, and "
        "what is damaged.",
    ),
]
OlderThan = Annotated[
    float | None,
    typer.Option(
        "--older-than", metavar="DAYS", show_default=str(UNUSED_DAYS), help="For --prune."
    ),
]
Clear = Annotated[bool, typer.Option("--clear", help="Remove everything.")]
Kind = Annotated[
    Literal["pixels", "features", "sketches", "facts", "digests"] | None,
    typer.Option("--kind", show_default="all", help="Show, prune or clear this kind alone."),
]


def cache(
    prune: Prune = False,
    older_than: OlderThan = None,
    clear: Clear = False,
    kind: Kind = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what is kept in .imgcli/cache, and remove it.

    Decoded pixels, features of frozen backbones, and what is known of each
    file: it only saves time, and what is missing is made again when it is
    needed. What another imgcli is using is left.

    Examples:

      imgcli cache

      imgcli cache --prune --older-than 7
    """
    from imgcli.cli.console import show, show_json
    from imgcli.photos import cache_report as kept
    from imgcli.progress import be_quiet
    from imgcli.runs import CACHE

    be_quiet(quiet)
    if prune and clear:
        raise WrongUsage("--prune removes a part and --clear everything: give one of them.")
    if older_than is not None and not prune:
        raise WrongUsage(f"--older-than {older_than:g} goes with --prune.")
    days = UNUSED_DAYS if older_than is None else older_than
    if not 0 <= days <= MOST_DAYS:
        raise WrongUsage(f"--older-than {days:g} is not a number of days from 0 to {MOST_DAYS:,}.")
    stored = _of_kind(kept.contents(), kind)
    unwanted = kept.unneeded(stored, timedelta(days=days)) if prune else stored if clear else []
    emptied = kept.remove(unwanted)
    remaining = [one for one in stored if one not in emptied.removed]
    if json:
        show_json(_document(CACHE, remaining, emptied))
    else:
        show(*_renderables(remaining, emptied, removing=prune or clear))


def _of_kind(stored: "Sequence[Stored]", kind: str | None) -> "list[Stored]":
    return [one for one in stored if kind in (None, one.kind)]


def _document(cache: object, stored: "Sequence[Stored]", emptied: "Emptied") -> dict[str, object]:
    return {
        "cache": str(cache),
        "stores": [_described(one) for one in stored],
        "bytes": sum(one.size for one in stored),
        "removed": [_described(one) for one in emptied.removed],
        "freed": emptied.freed,
        "left": [{"path": str(one.path), "reason": reason} for one, reason in emptied.left],
    }


def _described(one: "Stored") -> dict[str, object]:
    return {
        "kind": one.kind,
        "path": str(one.path),
        "about": one.about,
        "rows": one.rows,
        "bytes": one.size,
        "last_used": one.used.isoformat(timespec="seconds"),
        "state": one.state,
    }


def _renderables(
    stored: "Sequence[Stored]", emptied: "Emptied", *, removing: bool
) -> "list[RenderableType]":
    """For people: what is there now, what was removed, and what was not."""
    from rich.text import Text

    from imgcli.text import count, megabytes, printable

    lines = []
    if removing:
        n = count(len(emptied.removed), "entry", "entries")
        lines.append(f"Removed {n}, freed {megabytes(emptied.freed)}.")
    lines += [f"Left {one.path}: {reason}." for one, reason in emptied.left]
    if not stored:
        lines.append("Nothing is kept.")
    elif not removing:
        lines.append("All of it can be made again. Make room: imgcli cache --prune, or --clear")
    table = [_table(stored)] if stored else []
    return [*table, *(Text(printable(line)) for line in lines)]


def _table(stored: "Sequence[Stored]") -> "RenderableType":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from imgcli.text import megabytes, printable

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("kind", "which"):
        table.add_column(title, overflow="fold")
    for title in ("photos", "size", "last used"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in stored:
        odd = f" ({STATES[one.state]})" if one.state in STATES else ""
        table.add_row(
            Text(printable(KINDS.get(one.kind, one.kind))),
            Text(printable(one.about) + odd),
            "–" if one.rows is None else f"{one.rows:,}",
            megabytes(one.size),
            _ago(one.used),
        )
    table.add_section()
    table.add_row(f"{len(stored)} in all", "", "", megabytes(sum(one.size for one in stored)), "")
    return table


def _ago(then: datetime) -> str:
    from imgcli.text import count

    days = (datetime.now(UTC) - then).days
    return "today" if days < 1 else f"{count(days, 'day')} ago"
