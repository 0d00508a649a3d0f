"""`imgcli import`: labelled photos from folders, archives and tables."""

from pathlib import Path
from typing import Annotated

import typer

from imgcli.cli.console import render
from imgcli.cli.options import ClassesAt, Force, Json, Parts, PathColumn, Quiet, Seed, TableRoot
from imgcli.commands.import_photos import ImportResult, Multi, OnConflict
from imgcli.commands.import_photos import import_photos as copy_photos
from imgcli.report.terminal.photos import imported

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
        help="Regular expression that finds the class in a photo's path: its group named label, or "
        "its first one.",
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
PathTemplate = Annotated[
    str | None,
    typer.Option(
        "--path-template",
        metavar="TEXT",
        show_default=False,
        help="A photo's path below the root, of a row's cells, such as 'train/{id}.jpg'.",
    ),
]
Join = Annotated[
    list[Path],
    typer.Option(
        "--join",
        metavar="TABLE",
        show_default=False,
        help="A further table, joined by the column it shares with the first; may be repeated.",
    ),
]
Several = Annotated[
    Multi, typer.Option("--multi", help="Rows with several labels: skip them, or take the first.")
]
Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        metavar="NAME",
        show_default="the one that fits",
        help="Encoding of the names in a zip, such as cp932, gbk or cp437.",
    ),
]
Rename = Annotated[
    list[str],
    typer.Option(
        "--rename",
        metavar="MAP",
        show_default=False,
        help="New class name as OLD=NEW, may be repeated; or a .csv or .json file of such pairs.",
    ),
]
Only = Annotated[
    list[str],
    typer.Option(
        "--only",
        metavar="CLASS",
        show_default=False,
        help="Classes to import, by their new names; may be repeated, or separated by commas.",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        metavar="N",
        show_default=False,
        help="At most N photos per class, drawn at random by --seed.",
    ),
]
Conflict = Annotated[
    OnConflict,
    typer.Option(
        "--on-conflict",
        help="One photo in two classes: keep both and report it, keep the first, skip both, or "
        "stop with an error.",
    ),
]


def import_photos(
    sources: Sources,
    out: Out = None,
    label_from: LabelFrom = None,
    path_column: PathColumn = None,
    label_column: LabelColumn = None,
    keep_split: KeepSplit = False,
    classes_at: ClassesAt = None,
    parts: Parts = [],  # noqa: B006  typer copies it
    root: TableRoot = None,
    path_template: PathTemplate = None,
    join: Join = [],  # noqa: B006
    multi: Several = "skip",
    encoding: Encoding = None,
    rename: Rename = [],  # noqa: B006
    only: Only = [],  # noqa: B006
    limit: Limit = None,
    on_conflict: Conflict = "keep",
    seed: Seed = 0,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Copy labelled photos, in many formats, into one folder of class folders.

    SRC is a folder, zip or tar of class folders; or of MNIST's idx files, of
    CIFAR's binary batches, of photos with COCO's annotations; a WebDataset
    tar; or a CSV, TSV, JSON lines or Parquet table with a row per photo.
    Sources are only read. Photos already in OUT are skipped, nothing in it is
    overwritten: after an interruption give the same command again. Skipped
    files are listed with their reasons. OUT/provenance.jsonl records the
    source of each photo.

    Examples:

      imgcli import photos.zip more-photos/

      imgcli import scans/ --label-from '(.+)_'

      imgcli import labels.csv --label-column species --rename crabe=crab

      imgcli import data/train-*.parquet --only cat,dog --limit 500

      imgcli import mnist/ --keep-split
    """
    result = copy_photos(
        sources,
        out=out,
        label_from=label_from,
        path_column=path_column,
        label_column=label_column,
        keep_split=keep_split,
        classes_at=classes_at,
        parts=parts,
        root=root,
        path_template=path_template,
        join=join,
        multi=multi,
        encoding=encoding,
        rename=rename,
        only=only,
        limit=limit,
        on_conflict=on_conflict,
        seed=seed,
        force=force,
    )
    render(
        result,
        json=json,
        people=lambda done: imported(done.to_json(), done.notes, _following(done)),
        notes=result.notes,
    )


def _following(done: ImportResult) -> str:
    """The command to type next."""
    from imgcli.commands.hints import split_command, train_command

    return split_command(done.out) if done.parts is None else train_command(done.out)
