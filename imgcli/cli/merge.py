"""`imgcli merge`: classes become one, in a new tree of links."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcli.cli.options import Force, Json, Quiet
from imgcli.errors import WrongUsage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from imgcli.photos.merge import Merged
    from imgcli.photos.merge_spec import Merge

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="A+B=NAME... [DIR]",
        show_default=False,
        help="Classes to make one, and what to call it; and the folder they are in: class folders, "
        "or a split dataset. Without DIR dataset/, or raw/.",
    ),
]
Plan = Annotated[
    Path | None,
    typer.Option(
        "--plan",
        metavar="FILE",
        show_default=False,
        help="Carry out the merges of this file, as suggest-merges leaves one in its run.",
    ),
]
Undo = Annotated[
    bool, typer.Option("--undo", help="Make the tree that DIR was before it was merged.")
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
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a new tree in which some classes are one.

    Nothing in DIR is changed: DIR2 holds hard links, copies where there are
    none. Of a split dataset each photo stays in its part. DIR2/merge.json keeps
    where each photo was, and --undo makes the old tree from it.

    Examples:

      imgcli merge "crab+lobster=shellfish" "cat+dog" raw --out raw-merged

      imgcli merge --plan runs/latest/merges.json

      imgcli merge --undo raw-merged --out raw-again
    """
    from imgcli.cli.console import show, show_json
    from imgcli.photos.merge import merge_classes, undo_merge
    from imgcli.progress import be_quiet, note
    from imgcli.text import printable

    be_quiet(quiet)
    texts, folder = _sorted_words(words or [])
    _check_words(texts, plan, undo)
    root = folder or _usual_folder(plan)
    target = out or Path(f"{root}-{'undone' if undo else 'merged'}")
    if undo:
        result = undo_merge(root, target, force)
    else:
        result = merge_classes(root, _wanted(texts, plan, root), target, force)
    if json:
        show_json(_document(result))
        for sentence in result.notes:
            note(printable(sentence))
    else:
        show(*_renderables(result, undo))


def _sorted_words(words: "Sequence[str]") -> tuple[list[str], Path | None]:
    """The merges among the arguments, and the folder; a folder that exists is never a merge."""
    folders = [word for word in words if Path(word).is_dir() or not set("+=") & set(word)]
    if len(folders) > 1:
        raise WrongUsage(
            f"'{folders[0]}' and '{folders[1]}' are no merges 'A+B=NAME', and only one folder can "
            "be named."
        )
    return [word for word in words if word not in folders], Path(folders[0]) if folders else None


def _check_words(texts: "Sequence[str]", plan: Path | None, undo: bool) -> None:
    if undo and (texts or plan):
        raise WrongUsage("--undo takes all merges back; name the merged folder and no merge.")
    if texts and plan:
        raise WrongUsage(f"--plan {plan} and '{texts[0]}': give the one or the other.")
    if not (texts or plan or undo):
        raise WrongUsage(
            "Name what to merge, such as 'crab+lobster=shellfish', or a plan: --plan "
            "runs/latest/merges.json"
        )


def _usual_folder(plan: Path | None) -> Path:
    """The folder the plan was made on, or the one that is here."""
    from imgcli.documents import DocumentError, read_document
    from imgcli.photos.merge_spec import Plan

    planned = []
    with suppress(OSError, DocumentError):  # for `read_plan` to say
        if plan and (data := read_document(plan, Plan).data):
            planned = [Path(data)]
    here = [path for path in (*planned, Path("dataset"), Path("raw")) if path.is_dir()]
    if not here:
        raise WrongUsage("There is no dataset/ or raw/ here. Name the folder: imgcli merge … DIR")
    return here[0]


def _wanted(texts: "Sequence[str]", plan: Path | None, root: Path) -> "list[Merge]":
    from imgcli.photos.merge import classes_in
    from imgcli.photos.merge_spec import read_plan, typed_merge

    if plan is not None:
        return read_plan(plan)
    classes = classes_in(root)
    return [typed_merge(text, classes) for text in texts]


def _document(result: "Merged") -> dict[str, Any]:
    return {
        "out": str(result.out),
        "merges": [{"classes": list(merge.classes), "name": merge.name} for merge in result.merges],
        "classes": dict(result.classes),
        "copied": result.copied,
        "left": list(result.left),
    }


def _renderables(result: "Merged", undo: bool) -> "list[RenderableType]":
    """For people: what became of what, and what to type next."""
    from shlex import quote

    from rich.text import Text

    from imgcli.text import count, listed, printable

    lines = []
    for merge in result.merges:
        old = " + ".join(merge.classes)
        new = "" if undo else f" ({count(result.classes[merge.name], 'photo')})"
        lines.append(f"{merge.name} → {old}" if undo else f"{old} → {merge.name}{new}")
    n = count(len(result.classes), "class", "classes")
    lines.append(f"{count(sum(result.classes.values()), 'photo')} in {n} in {result.out}.")
    if result.copied:
        lines.append(f"Copied: {result.copied}, since hard links do not reach there.")
    if result.left:
        lines.append(f"Added since the merge, and left where they are: {listed(result.left)}.")
    lines += result.notes
    name = quote(str(result.out))
    next_ = f"train --arch resnet101 --freeze --data {name}" if result.split else f"split {name}"
    lines.append(f"Next: imgcli {next_}")
    return [Text(printable(line)) for line in lines]
