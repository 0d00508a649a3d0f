"""`imgcli check`: faulty files, duplicates, outliers and wrong labels."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer
from rich.console import RenderableType

from imgcli.cli.console import render
from imgcli.cli.options import ClassesAt, Cluster, Json, MaxPixels, Parts, Quiet, RunData, RunName
from imgcli.commands.check import LABELS_SHEET, SHEET, CheckResult
from imgcli.commands.check import check as check_photos
from imgcli.commands.check_fix import after_relabelling
from imgcli.report.terminal import check as tables
from imgcli.report.terminal.tables import texts

Dir = Annotated[
    Path | None,
    typer.Argument(
        metavar="DIR",
        show_default="raw/, or else dataset/",
        help="Folder of class folders, or a dataset with train/ and test/. --labels without DIR "
        "checks labels only.",
    ),
]
Fix = Annotated[
    list[str] | None,
    typer.Option(
        "--fix",
        metavar="KIND,...",
        show_default=False,
        help="Kinds of findings to move into quarantine/ beside DIR: unreadable, duplicates, "
        "near-duplicates, conflicts, placeholder, tiny, blank, dark, blurred, shape, extension, "
        "gps, animated, changed. One duplicate per class stays. Or a plan of --labels, such as "
        "relabel.csv, to move its photos to their new class folders.",
    ),
]
Labels = Annotated[
    bool,
    typer.Option(
        "--labels",
        help="Find labels that are probably wrong, by the out-of-fold predictions of a run, and "
        "write a plan to edit.",
    ),
]
Plan = Annotated[
    Path | None,
    typer.Option(
        "--plan",
        metavar="FILE",
        show_default="relabel.csv",
        help="Where --labels writes its plan; no file is overwritten.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only list what --fix would move.")]
Sheet = Annotated[
    Path | None,
    typer.Option(
        "--sheet",
        metavar="FILE",
        show_default=f"{SHEET}; {LABELS_SHEET.name} beside it for labels alone",
        help="Contact sheet to write, a page with the photos of all findings.",
    ),
]


def check(
    folder: Dir = None,
    fix: Fix = None,
    dry_run: DryRun = False,
    labels: Labels = False,
    run: RunName = "latest",
    data: RunData = None,
    plan: Plan = None,
    sheet: Sheet = None,
    classes_at: ClassesAt = None,
    parts: Parts = [],  # noqa: B006  typer copies it
    max_pixels: MaxPixels = None,
    cluster: Cluster = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find faulty files, duplicates, outliers and wrong labels before training.

    Reports unreadable files, duplicates and near-duplicates, the same photo in
    two classes or in train and test, tiny, blank, dark, blurred and unusually
    shaped photos, and classes that size, format or source predict. Nothing is
    changed unless --fix moves photos into quarantine/; `imgcli restore` moves
    them back.

    --labels uses a run evaluated with `imgcli evaluate --folds 10` to find
    photos that look like another class. It writes relabel.csv: write yes in
    its column accept where the new label is right, or another class as
    new_label; then give it to --fix.

    Examples:

      imgcli check raw/

      imgcli check raw/ --fix unreadable,near-duplicates

      imgcli check --labels

      imgcli check --fix relabel.csv
    """
    result = check_photos(
        folder,
        fix=fix or (),
        dry_run=dry_run,
        labels=labels,
        run=run,
        data=data,
        plan=plan,
        sheet=sheet,
        classes_at=classes_at,
        parts=parts,
    )
    render(result, json=json, people=_tables)


def _tables(result: CheckResult) -> list[RenderableType]:
    from imgcli.commands.hints import split_command, train_command

    document = result.to_json()
    if not result.plan:
        parts = result.found.parts if result.found else ()
        follow = train_command if parts else split_command
        return tables.checked(document, follow(result.folder))
    undo, then = f"imgcli restore {quote(str(result.folder))}", after_relabelling(result.folder)
    return texts(tables.relabelled(document["fixed"], undo, then))
