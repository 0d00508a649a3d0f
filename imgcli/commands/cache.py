"""`imgcli.cache`: what .imgcli/cache holds, and removing it."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from imgcli.commands.results import Result
from imgcli.errors import WrongUsage

if TYPE_CHECKING:
    from imgcli.photos.cache_report import Stored

Kind = Literal["pixels", "features", "sketches", "facts", "thumbnails", "digests"]
DEFAULT_DAYS = 30
MAX_DAYS = 36_500


@dataclass(frozen=True, repr=False)
class CacheResult(Result):
    """The entries of the cache, and those removed from it."""

    folder: Path
    stores: "tuple[Stored, ...]"  # there now
    removed: "tuple[Stored, ...]"
    left: "tuple[tuple[Stored, str], ...]"  # not removed, and why

    @property
    def size(self) -> int:
        """Bytes there now."""
        return sum(one.size for one in self.stores)

    @property
    def freed(self) -> int:
        """Bytes removed."""
        return sum(one.size for one in self.removed)

    def to_json(self) -> dict[str, Any]:
        return {
            "cache": str(self.folder),
            "stores": [_as_json(one) for one in self.stores],
            "bytes": self.size,
            "removed": [_as_json(one) for one in self.removed],
            "freed": self.freed,
            "left": [{"path": str(one.path), "reason": reason} for one, reason in self.left],
        }


def cache(
    *,
    prune: bool = False,
    older_than: float | None = None,
    clear: bool = False,
    kind: Kind | None = None,
) -> CacheResult:
    """List the entries of .imgcli/cache, and remove those asked for.

    Args:
        prune: remove entries that are unused, damaged or of another version of imgcli.
        older_than: days without use after which `prune` removes an entry; 30 by default.
        clear: remove all entries.
        kind: list, prune or clear this kind only.

    Raises:
        WrongUsage: `prune` with `clear`, or `older_than` out of range or without `prune`.
    """
    from imgcli.photos import cache_report
    from imgcli.runs import CACHE

    if prune and clear:
        raise WrongUsage("--prune removes a part and --clear everything: give one of them.")
    if older_than is not None and not prune:
        raise WrongUsage(f"--older-than {older_than:g} goes with --prune.")
    days = DEFAULT_DAYS if older_than is None else older_than
    if not 0 <= days <= MAX_DAYS:
        raise WrongUsage(f"--older-than {days:g} is not a number of days from 0 to {MAX_DAYS:,}.")
    stored = [one for one in cache_report.contents() if kind in (None, one.kind)]
    unneeded = cache_report.unneeded(stored, timedelta(days=days)) if prune else []
    emptied = cache_report.remove(stored if clear else unneeded)
    return CacheResult(
        folder=CACHE,
        stores=tuple(one for one in stored if one not in emptied.removed),
        removed=tuple(emptied.removed),
        left=tuple(emptied.left),
    )


def _as_json(one: "Stored") -> dict[str, Any]:
    return {
        "kind": one.kind,
        "path": str(one.path),
        "about": one.about,
        "rows": one.rows,
        "bytes": one.size,
        "last_used": one.used.isoformat(timespec="seconds"),
        "state": one.state,
    }
