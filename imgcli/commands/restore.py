"""`imgcli.restore`: photos that `check --fix` moved go back."""

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

    @property
    def error(self) -> StorageError | None:
        """The error that the command line ends with if photos were left."""
        if not self.left:
            return None
        return StorageError(
            f"Not moved back: {listed([item.path for item in self.left])} "
            f"({self.left[0].reason}). Fix that and run the command again."
        )


def restore(folder: str | Path | None = None) -> RestoreResult:
    """Move photos back that `check` moved into quarantine or relabelled.

    Args:
        folder: the checked folder, a quarantine, or one folder in it; quarantine/ by default.

    Raises:
        DataError: nothing is in quarantine there, or its journal cannot be read.
        StorageError: another imgcli is writing there.
    """
    from imgcli.photos import quarantine

    moved = quarantine.restore(optional_path(folder))
    return RestoreResult(restored=moved.done, left=moved.left)
