"""What `imgcli.check` moves: photos of chosen kinds, or the photos of a relabel plan."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcli.commands.results import Result
from imgcli.errors import WrongUsage

if TYPE_CHECKING:
    from imgcli.photos.quarantine import Move
    from imgcli.records import Rejected


@dataclass(frozen=True, repr=False)
class Fixed(Result):
    """Photos moved, or of a dry run those to move."""

    quarantine: str | None  # the new folder in quarantine/; None where nothing was moved
    moved: "tuple[Move, ...]" = ()
    left: "tuple[Rejected, ...]" = ()  # not moved, and why
    would_move: "tuple[Move, ...]" = ()

    def to_json(self) -> dict[str, Any]:
        """What stands under "fixed" in the document of `check`."""
        document = super().to_json()
        if self.quarantine:
            del document["would_move"]
        return document


def plan_in(fixes: Sequence[str]) -> Path | None:
    """The relabel plan among the values of --fix: a file, and no kind."""
    if not fixes:
        return None  # without the imports of a check

    from imgcli.photos.check import KINDS

    for word in fixes:
        if word not in KINDS and (word.lower().endswith(".csv") or Path(word).is_file()):
            return Path(word)
    return None


def kinds_in(fixes: Sequence[str]) -> list[str]:
    """The kinds of --fix, given one by one or separated by commas."""
    if not fixes:
        return []

    from imgcli.photos.check import KINDS

    named = [word.strip().replace("_", "-") for words in fixes for word in words.split(",")]
    unknown = [word for word in named if word not in KINDS]
    if unknown:
        raise WrongUsage(
            f"--fix {unknown[0]} is not a kind; there are {', '.join(KINDS)}, and plans that "
            "`imgcli check --labels` wrote, such as relabel.csv."
        )
    return list(dict.fromkeys(named))


def move_photos(root: Path, moves: "Sequence[Move]", *, dry_run: bool) -> Fixed:
    """Move photos into quarantine or to their new class; a dry run only lists them."""
    from imgcli.photos import quarantine

    if dry_run or not moves:
        return Fixed(None, would_move=tuple(moves))
    done = quarantine.quarantine(root, moves)
    paths = set(done.done)
    return Fixed(
        quarantine=relpath(done.batches[0]),
        moved=tuple(move for move in moves if move.path in paths),
        left=done.left,
    )


def after_relabelling(root: Path) -> str:
    """The commands that bring dataset and model up to date with new labels."""
    from imgcli.commands.hints import DATASET, split_command, train_command
    from imgcli.photos.layout import read_layout

    if read_layout(root).parts:  # a dataset made elsewhere, relabelled in place
        return f"{train_command(root)}, since earlier runs were trained on the old labels"
    split = split_command(root)
    _, _, out = split.partition(" --out ")
    return f"{split}, then {train_command(Path(*shlex.split(out)) if out else DATASET)}"
