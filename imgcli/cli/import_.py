"""`imgcli import`: photos come in."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.cli.options import Force, Json, Quiet

if TYPE_CHECKING:
    from rich.console import RenderableType

    from imgcli.collect.importing import Imported

MOST_LISTED = 10  # rejected photos and conflicts on the terminal; --json has all of them

Sources = Annotated[
    list[Path], typer.Argument(metavar="SRC...", help="Folders, zips or tars of class folders.")
]
Out = Annotated[Path, typer.Option("--out", help="Folder to put the class folders into.")]


def import_photos(
    sources: Sources,
    out: Out = Path("raw"),
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Copy labelled photos from folders, zips and tars into one folder of class folders.

    A source holds one folder per class; a single folder wrapped around them is
    looked through. Sources are only read. Photos that OUT has already are
    skipped and nothing in it is overwritten, so the same command can be given
    again, after an interruption too, and further sources added later. What is no
    photo is listed with its reason. OUT/provenance.jsonl remembers where each
    photo came from.

    Examples:

      imgcli import photos.zip

      imgcli import photos/ more-photos.tar.gz --out raw
    """
    from imgcli.cli.console import show, show_json
    from imgcli.collect.importing import import_photos
    from imgcli.progress import be_quiet

    be_quiet(quiet)
    result = import_photos(sources, out, force)
    if json:
        show_json(_document(result, out))
    else:
        show(*_renderables(result, out))


def _document(result: "Imported", out: Path) -> dict[str, object]:
    return {
        "out": str(out),
        "added": result.added,
        "skipped": result.skipped,
        "rejected": [{"path": r.path, "reason": r.reason} for r in result.rejected],
        "classes": result.classes,
        "conflicts": [list(paths) for paths in result.conflicts],
    }


def _renderables(result: "Imported", out: Path) -> "list[RenderableType]":
    """The result for people: classes, totals, what was rejected, and what to type next."""
    from shlex import quote

    from rich.text import Text

    from imgcli.wording import count, printable

    lines = [
        f"Added {count(result.added, 'photo')} to {out}, skipped {result.skipped:,} already there, "
        f"rejected {count(len(result.rejected), 'file')}.",
        *_first([f"{r.path}: {r.reason}" for r in result.rejected]),
    ]
    if result.conflicts:
        n = count(len(result.conflicts), "photo lies", "photos lie")
        lines.append(f"{n} in several classes, byte for byte:")
        lines += _first([" = ".join(paths) for paths in result.conflicts])
    if len(result.classes) == 1:
        lines.append("One class only: import others before you split.")
    lines.append(f"Next: imgcli split {quote(str(out))}")
    return [_table(result), *(Text(printable(line)) for line in lines)]


def _table(result: "Imported") -> "RenderableType":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from imgcli.wording import printable

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("class")
    table.add_column("photos", justify="right")
    for name, photos in result.classes.items():
        table.add_row(Text(printable(name)), f"{photos:,}")
    table.add_section()
    table.add_row(f"{len(result.classes)} in all", f"{sum(result.classes.values()):,}")
    return table


def _first(lines: Sequence[str]) -> list[str]:
    shown = [f"  {line}" for line in lines[:MOST_LISTED]]
    if len(lines) > MOST_LISTED:
        shown.append(f"  and {len(lines) - MOST_LISTED:,} more; --json lists all")
    return shown
