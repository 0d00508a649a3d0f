"""`imgcli import`: photos come in."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from imgcli.cli.options import Force, Json, Quiet, Seed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from imgcli.collect.imports.run import Imported

Sources = Annotated[list[Path], typer.Argument(metavar="SRC...", help="Folders, archives, tables.")]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        show_default="raw; dataset with --keep-split",
        help="Folder to put the class folders into.",
    ),
]
LabelFrom = Annotated[
    str | None,
    typer.Option(
        "--label-from",
        metavar="REGEX",
        show_default=False,
        help="Find the class in each photo's path: the group called label, or the first one.",
    ),
]
PathColumn = Annotated[
    str | None,
    typer.Option(
        "--path-column",
        metavar="NAME",
        show_default="path, file_name, image, …",
        help="Column of a table with the photos.",
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        "--label-column",
        metavar="NAME",
        show_default="label, class, …",
        help="Column of a table with the classes.",
    ),
]
KeepSplit = Annotated[
    bool, typer.Option("--keep-split", help="Keep the train, val and test parts of the source.")
]
Rename = Annotated[
    list[str],
    typer.Option(
        "--rename",
        metavar="MAP",
        show_default=False,
        help="OLD=NEW, may be repeated; or a .csv or .json file of such pairs.",
    ),
]
Only = Annotated[
    list[str],
    typer.Option(
        "--only",
        metavar="CLASS",
        show_default=False,
        help="Take these classes only, by their new names; repeat it, or separate by commas.",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        metavar="N",
        show_default=False,
        help="Take at most N photos per class, drawn at random by --seed.",
    ),
]
Conflict = Annotated[
    Literal["keep", "first", "skip", "error"],
    typer.Option(
        "--on-conflict",
        help="The same photo in two classes: keep both and report it, leave it in the first, take "
        "neither, or import nothing.",
    ),
]


def import_photos(
    sources: Sources,
    out: Out = None,
    label_from: LabelFrom = None,
    path_column: PathColumn = None,
    label_column: LabelColumn = None,
    keep_split: KeepSplit = False,
    rename: Rename = [],  # noqa: B006  typer copies it
    only: Only = [],  # noqa: B006
    limit: Limit = None,
    on_conflict: Conflict = "keep",
    seed: Seed = 0,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Copy labelled photos, in whatever form they come, into one folder of class folders.

    SRC is a folder, zip or tar of class folders; or of MNIST's idx files, of
    CIFAR's binary batches, of photos with COCO's annotations; a WebDataset
    tar; or a CSV, TSV, JSON lines or Parquet table with a row per photo.
    Sources are only read. Photos that OUT has already are skipped, nothing in
    it is overwritten: give the same command again after an interruption. What
    is no photo is listed with its reason. OUT/provenance.jsonl remembers where
    each photo came from.

    Examples:

      imgcli import photos.zip more-photos/

      imgcli import scans/ --label-from '(.+)_'

      imgcli import labels.csv --label-column species --rename crabe=crab

      imgcli import data/train-*.parquet --only cat,dog --limit 500

      imgcli import mnist/ --keep-split
    """
    from imgcli.cli.console import show, show_json
    from imgcli.collect.imports.formats.source import Reading
    from imgcli.collect.imports.run import import_photos
    from imgcli.collect.imports.selection import Selection, read_renames
    from imgcli.progress import be_quiet, note
    from imgcli.text import printable

    be_quiet(quiet)
    target = out or Path("dataset" if keep_split else "raw")
    result = import_photos(
        sources,
        target,
        force,
        reading=Reading(label_from, path_column, label_column, keep_split),
        selection=Selection(read_renames(rename), tuple(only), limit, seed),
        on_conflict=on_conflict,
    )
    if not json:
        show(*_renderables(result, target))
        return
    show_json(_document(result, target))
    for sentence in result.notes:
        note(printable(sentence))


def _document(result: "Imported", out: Path) -> dict[str, object]:
    parts = {} if result.parts is None else {"parts": result.parts}
    return {
        "out": str(out),
        "added": result.added,
        "skipped": result.skipped,
        "rejected": [{"path": r.path, "reason": r.reason} for r in result.rejected],
        "classes": result.classes,
        "conflicts": [list(paths) for paths in result.conflicts],
        **parts,
    }


def _renderables(result: "Imported", out: Path) -> "list[RenderableType]":
    """The result for people: classes, totals, what was rejected, and what to type next."""
    from shlex import quote

    from rich.text import Text

    from imgcli.cli.collected import class_table, first
    from imgcli.text import count, printable

    lines = [
        f"Added {count(result.added, 'photo')} to {out}, skipped {result.skipped:,} already there, "
        f"rejected {count(len(result.rejected), 'file')}.",
        *first([f"{r.path}: {r.reason}" for r in result.rejected]),
    ]
    if result.conflicts:
        n = count(len(result.conflicts), "photo lies", "photos lie")
        lines.append(f"{n} in several classes, byte for byte:")
        lines += first([" = ".join(paths) for paths in result.conflicts])
        lines.append("Settle that by --on-conflict first or skip, with --force.")
    lines += result.notes
    if result.parts is not None:
        parts = ", ".join(f"{n:,} {part}" for part, n in result.parts.items())
        lines.append(f"Split as it came: {parts}.")
    if len(result.classes) == 1:
        lines.append("One class only: import others before you split.")
    lines.append(f"Next: {_next(out, result.parts is not None, quote(str(out)))}")
    return [class_table(result.classes), *(Text(printable(line)) for line in lines)]


def _next(out: Path, is_split: bool, quoted: str) -> str:
    if not is_split:
        return f"imgcli split {quoted}"
    data = "" if out == Path("dataset") else f" --data {quoted}"
    return f"imgcli train --arch resnet101 --freeze{data}"
