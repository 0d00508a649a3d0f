"""`imgcli merge`: several classes become one, in a new folder of links."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from imgcli.cli.console import render
from imgcli.cli.options import ClassesAt, Force, Json, Parts, Quiet
from imgcli.commands.merge import merge as merge_classes
from imgcli.errors import WrongUsage
from imgcli.report.terminal.photos import merged

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="A+B=NAME... [DIR]",
        show_default=False,
        help="Classes to merge and the name of the new class; and their folder: class folders or "
        "a split dataset. Default: the folder of the plan, raw/, or else dataset/.",
    ),
]
Plan = Annotated[
    Path | None,
    typer.Option(
        "--plan",
        metavar="FILE",
        show_default=False,
        help="File of merges to carry out, such as merges.json of suggest-merges.",
    ),
]
Undo = Annotated[
    bool, typer.Option("--undo", help="Make the folder from before the merge that made DIR.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR2", show_default="DIR-merged", help="Folder to make."),
]


def merge(
    words: Words = None,
    plan: Plan = None,
    undo: Undo = False,
    out: Out = None,
    force: Force = False,
    classes_at: ClassesAt = None,
    parts: Parts = [],  # noqa: B006  typer copies it
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Merge classes, in a new folder.

    Nothing in DIR is changed: DIR2 holds hard links, copies where there are
    none. In a split dataset each photo stays in its part. DIR2/merge.json
    records where each photo was; --undo restores the old folder from it.

    Examples:

      imgcli merge "crab+lobster=shellfish" "cat+dog" raw --out raw-merged

      imgcli merge --plan runs/latest/merges.json

      imgcli merge --undo raw-merged --out raw-again
    """
    merges, folder = _sorted_words(words or [])
    result = merge_classes(
        merges,
        folder,
        plan=plan,
        undo=undo,
        out=out,
        force=force,
        classes_at=classes_at,
        parts=parts,
    )
    from imgcli.commands.hints import split_command, train_command

    render(
        result,
        json=json,
        people=lambda done: merged(
            done.to_json(),
            done.notes,
            undone=undo,
            following=train_command(done.out) if done.split else split_command(done.out),
        ),
        notes=result.notes,
    )


def _sorted_words(words: Sequence[str]) -> tuple[list[str], Path | None]:
    """The merges among the arguments, and the folder; a folder that exists is never a merge."""
    folders = [word for word in words if Path(word).is_dir() or not set("+=") & set(word)]
    if len(folders) > 1:
        raise WrongUsage(
            f"'{folders[0]}' and '{folders[1]}' are no merges 'A+B=NAME', and only one folder can "
            "be named."
        )
    return [word for word in words if word not in folders], Path(folders[0]) if folders else None
