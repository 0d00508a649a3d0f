"""`imgcli.merge`: several classes become one, in a new folder of links."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.commands.folders import default_folder, optional_path
from imgcli.commands.results import Result
from imgcli.errors import WrongUsage
from imgcli.folder_names import Levels

if TYPE_CHECKING:
    from imgcli.photos.merge_spec import Merge


@dataclass(frozen=True, repr=False)
class MergeResult(Result):
    """A folder with merged classes, or with the classes before a merge."""

    _keys = ("out", "merges", "classes", "copied", "left")

    out: Path
    merges: "tuple[Merge, ...]"
    classes: Mapping[str, int]  # photos per class
    split: bool  # whether it has train/ and test/
    copied: int  # files that could not be linked
    left: tuple[str, ...]  # photos added after the merge, without an old class
    notes: tuple[str, ...]  # sentences about anything unexpected


def merge(
    merges: str | Sequence[str] = (),
    folder: str | Path | None = None,
    *,
    plan: str | Path | None = None,
    undo: bool = False,
    out: str | Path | None = None,
    force: bool = False,
    classes_at: str | int | None = None,
    parts: Mapping[str, str] | Sequence[str] = (),
) -> MergeResult:
    """Make a new folder in which several classes are one; nothing in `folder` changes.

    Args:
        merges: classes to merge and the name of the new class, such as "crab+lobster=shellfish".
        folder: class folders or a split dataset; by default the one of `plan`, raw/ or dataset/.
        plan: a file of merges, such as merges.json in a run.
        undo: make the folder from before the merge; `folder` is the merged one.
        out: the new folder; by default the name of `folder` with -merged or -undone.
        force: replace an `out` that exists.
        classes_at: the level of the class folders below `folder`, or a pattern of them.
        parts: as of `import_photos`.

    Raises:
        WrongUsage: no merges, or choices that exclude each other.
        DataError: the classes, the plan or `merge.json` cannot be used.
        StorageError: `out` exists, or one folder is inside the other.
    """
    from imgcli.latest_run import through_latest
    from imgcli.photos.merge import classes_in, merge_classes, undo_merge
    from imgcli.photos.merge_spec import read_plan, typed_merge

    levels = Levels.of(classes_at, parts)
    texts = [merges] if isinstance(merges, str) else list(merges)
    plan = None if plan is None else through_latest(Path(plan))
    _refuse_contradictions(texts, plan, undo)
    root = optional_path(folder) or _planned_folder(plan) or default_folder("imgcli merge … DIR")
    target = Path(out or f"{root}-{'undone' if undo else 'merged'}")
    if undo:
        done = undo_merge(root, target, force, levels)
    else:
        classes = [] if plan else classes_in(root, levels)
        chosen = read_plan(plan) if plan else [typed_merge(text, classes) for text in texts]
        done = merge_classes(root, chosen, target, force, levels)
    return MergeResult(**vars(done))


def _refuse_contradictions(texts: Sequence[str], plan: Path | None, undo: bool) -> None:
    if undo and (texts or plan):
        raise WrongUsage("--undo takes all merges back; name the merged folder and no merge.")
    if texts and plan:
        raise WrongUsage(f"--plan {plan} and '{texts[0]}': give the one or the other.")
    if not (texts or plan or undo):
        raise WrongUsage(
            "Name what to merge, such as 'crab+lobster=shellfish', or a plan: --plan "
            "runs/latest/merges.json"
        )


def _planned_folder(plan: Path | None) -> Path | None:
    """The folder that the plan was made for, if it exists."""
    from imgcli.documents import DocumentError, read_document
    from imgcli.photos.merge_spec import Plan

    with suppress(OSError, DocumentError):  # `read_plan` reports them
        if plan and (data := read_document(plan, Plan).data) and Path(data).is_dir():
            return Path(data)
    return None
