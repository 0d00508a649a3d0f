"""What `imgcli check --fix` moves: photos of some kinds, or those of a relabel plan."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcli.errors import WrongUsage

if TYPE_CHECKING:
    from imgcli.photos.quarantine import Move


def plan_in(fixes: list[str]) -> Path | None:
    """The relabel plan that --fix names, if it names one: a file, and no kind."""
    from imgcli.photos.check_fix import KINDS

    for word in fixes:
        if word not in KINDS and (word.lower().endswith(".csv") or Path(word).is_file()):
            return Path(word)
    return None


def kinds_in(given: list[str]) -> list[str]:
    """The kinds to fix: given one by one or joined by commas."""
    from imgcli.photos.check_fix import KINDS

    named = [word.strip().replace("_", "-") for words in given for word in words.split(",")]
    unknown = [word for word in named if word not in KINDS]
    if unknown:
        raise WrongUsage(
            f"--fix {unknown[0]} is not a kind; there are {', '.join(KINDS)}, and plans that "
            "`imgcli check --labels` wrote, such as relabel.csv."
        )
    return list(dict.fromkeys(named))


def move_or_say(root: Path, chosen: "list[Move]", *, dry_run: bool) -> dict[str, Any]:
    """Move what was chosen, or only say what would be moved."""
    from os.path import relpath

    from imgcli.photos import quarantine

    if dry_run or not chosen:
        return {"quarantine": None, "moved": [], "left": [], "would_move": list(map(vars, chosen))}
    moved = quarantine.quarantine(root, chosen)
    done = set(moved.done)
    return {
        "quarantine": relpath(moved.batches[0]),
        "moved": [vars(move) for move in chosen if move.path in done],
        "left": [vars(item) for item in moved.left],
    }


def relabel_and_show(
    plan: Path, folder: Path | None, usual: Path, *, dry_run: bool, json: bool
) -> None:
    """Carry out a plan, and say what was done."""
    from shlex import quote

    from rich.text import Text

    from imgcli.cli.console import show, show_json
    from imgcli.photos.relabel import planned
    from imgcli.report.terminal.labels import relabelled
    from imgcli.text import printable

    root, chosen = planned(plan, folder, usual)
    undo, then = f"imgcli restore {quote(str(root))}", _after_relabelling(root)
    fixed = move_or_say(root, chosen, dry_run=dry_run)
    if json:
        show_json({"dir": str(root), "plan": str(plan), "fixed": fixed})
    else:
        show(*(Text(printable(line)) for line in relabelled(fixed, undo, then)))


def _after_relabelling(root: Path) -> str:
    """What to type so that dataset and model learn of the new labels."""
    from shlex import quote

    from imgcli.photos.manifest import read_manifest
    from imgcli.photos.places import part_folders

    if part_folders(root, None):  # a dataset made elsewhere, relabelled where it lies
        return "imgcli train, for the runs that there are have learnt the old labels"
    made = read_manifest(Path("dataset"))
    same = made is not None and Path(made.source).resolve() == root.resolve()
    return f"imgcli split {quote(str(root))}{' --update' if same else ''}, then imgcli train"
