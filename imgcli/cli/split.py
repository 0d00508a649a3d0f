"""`imgcli split`: train, test and validation parts from a folder of class folders."""

from pathlib import Path
from typing import Annotated

import typer

from imgcli.cli.console import render
from imgcli.cli.options import (
    ClassesAt,
    Cluster,
    Force,
    GroupBys,
    GroupTable,
    Json,
    MaxPixels,
    Parts,
    Quiet,
)
from imgcli.commands.split import Duplicates, Link, SplitResult
from imgcli.commands.split import split as split_photos
from imgcli.report.terminal import photos

Raw = Annotated[Path, typer.Argument(help="Folder of class folders. Nothing in it is changed.")]
Ratio = Annotated[
    float | None,
    typer.Option(
        "--ratio",
        show_default="0.9",
        help="Share of each class's photos outside the test part, between 0 and 1.",
    ),
]
Val = Annotated[
    float | None,
    typer.Option(
        "--val",
        metavar="R",
        show_default=False,
        help="Share of each class's photos for validation, taken out of train.",
    ),
]
# None and not 0: with --update what is not given stays as the dataset was split before.
Seed = Annotated[
    int | None, typer.Option("--seed", show_default="0", help="Seed of every random choice.")
]
Out = Annotated[Path, typer.Option("--out", help="Dataset folder to make.")]
Linked = Annotated[
    Link | None,
    typer.Option(
        "--link",
        show_default="auto",
        help="How photos are placed in OUT; auto: hard links, copies where there are none.",
    ),
]
Together = Annotated[
    Duplicates | None,
    typer.Option(
        "--duplicates",
        show_default="near",
        help="Photos to keep in one part: near-duplicates (near), exact duplicates (exact), or "
        "none (off).",
    ),
]
MinPhotos = Annotated[
    int | None,
    typer.Option(
        "--min-photos",
        metavar="N",
        show_default=False,
        help="Leave out classes with fewer photos. A class of one photo is in train otherwise, "
        "and cannot be judged.",
    ),
]
Update = Annotated[
    bool,
    typer.Option("--update", help="Add new photos of RAW to OUT; all others stay in their parts."),
]


def split(
    raw: Raw = Path("raw"),
    ratio: Ratio = None,
    val: Val = None,
    seed: Seed = None,
    out: Out = Path("dataset"),
    link: Linked = None,
    duplicates: Together = None,
    group_by: GroupBys = None,
    group_table: GroupTable = None,
    min_photos: MinPhotos = None,
    update: Update = False,
    force: Force = False,
    classes_at: ClassesAt = None,
    parts: Parts = [],  # noqa: B006  typer copies it
    max_pixels: MaxPixels = None,
    cluster: Cluster = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Split photos into train and test, stratified by class; duplicates stay together.

    Makes OUT/train and OUT/test with one folder per class, of hard links by
    default, which take no space. Each class is within one photo of the ratio.
    The same photos and seed give the same parts on every machine.
    --group-by keeps further photos together, such as those of one patient.
    OUT/split.json records the source of each photo.

    Examples:

      imgcli split raw/ --ratio 0.9

      imgcli split raw/ --group-by '(patient[0-9]+)_'

      imgcli split raw/ --update
    """
    result = split_photos(
        raw,
        ratio=ratio,
        val=val,
        seed=seed,
        out=out,
        link=link,
        duplicates=duplicates,
        group_by=group_by or None,
        group_table=group_table,
        min_photos=min_photos,
        update=update,
        force=force,
        classes_at=classes_at,
        parts=parts,
    )
    show_result(result, raw, json=json)


def show_result(result: SplitResult, raw: Path, *, json: bool = False) -> None:
    """Print the parts of each class, anything unexpected, and the next command."""
    from imgcli.commands.hints import train_command

    render(
        result,
        json=json,
        people=lambda done: photos.split(
            done.to_json(), done.notes, str(raw), train_command(done.out)
        ),
        notes=result.notes,
    )
