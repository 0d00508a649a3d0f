"""`imgcli.restore`: photos that `check --fix` moved go back, and sorted ones are taken out."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgcli.commands.folders import optional_path
from imgcli.commands.results import Result
from imgcli.errors import StorageError
from imgcli.text import listed

if TYPE_CHECKING:
    from imgcli.records import Rejected


@dataclass(frozen=True, repr=False)
class RestoreResult(Result):
    """Photos moved back, and photos left in quarantine."""

    restored: tuple[str, ...]  # paths where the photos are again
    left: "tuple[Rejected, ...]"  # and why
    taken_out: tuple[str, ...] = ()  # photos that `predict --sort-into` had put there

    @property
    def error(self) -> StorageError | None:
        """The error that the command line ends with if photos were left."""
        if not self.left:
            return None
        what = "Not taken out" if self.taken_out and not self.restored else "Not moved back"
        return StorageError(
            f"{what}: {listed([item.path for item in self.left])} "
            f"({self.left[0].reason}). Fix that and run the command again."
        )


def restore(folder: str | Path | None = None) -> RestoreResult:
    """Move photos back that `check` moved, and take out those that `predict` sorted into a folder.

    Args:
        folder: the checked folder, the one that photos were sorted into, a quarantine, or one
            folder in it; quarantine/ by default.

    Raises:
        DataError: nothing is in quarantine there, or its journal cannot be read.
        StorageError: another imgcli is writing there.
    """
    from imgcli.photos import quarantine

    moved = quarantine.restore(optional_path(folder))
    return RestoreResult(restored=moved.done, left=moved.left, taken_out=moved.taken_out)
