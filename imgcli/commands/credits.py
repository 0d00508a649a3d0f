"""`imgcli.credits`: the attribution that the photos' licences require."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from imgcli.commands.results import Result


@dataclass(frozen=True, repr=False)
class CreditsResult(Result):
    """The page of credits."""

    _keys = ("out", "photos", "licences", "uncredited")

    out: Path
    licences: Mapping[str, int]  # photos under each, the most frequent first
    uncredited: int  # imported photos; their authors are not recorded
    notes: tuple[str, ...]  # sentences about anything unexpected

    @property
    def photos(self) -> int:
        """Photos credited."""
        return sum(self.licences.values())


def credits(folder: str | Path = "raw") -> CreditsResult:
    """Write `folder`/credits.html: title, author, source and licence of every scraped photo.

    Raises:
        DataError: `folder` holds no photos of `imgcli scrape`.
    """
    from imgcli.collect.scrape.credits import write_credits

    done = write_credits(Path(folder))
    return CreditsResult(
        out=done.page,
        licences=done.licences,
        uncredited=done.uncredited,
        notes=(done.kept,) if done.kept else (),
    )
