"""List networks by words in their names."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from imgcli.commands.results import Result


@dataclass(frozen=True, repr=False)
class ArchsResult(Result):
    """The networks found, by library: `{"name", "input", "weights", "installed", "cached"}`."""

    words: tuple[str, ...]
    zoo: list[dict[str, Any]]  # with "notation" and "about"
    timm: list[dict[str, Any]]
    torchvision: list[dict[str, Any]]

    @property
    def names(self) -> list[str]:
        """All names, as `train(arch=...)` takes them."""
        return [one["name"] for one in (*self.zoo, *self.timm, *self.torchvision)]

    def _rows(self) -> Iterator[tuple[str, str]]:
        for library in ("zoo", "timm", "torchvision"):
            found = [one["name"] for one in getattr(self, library)]
            yield f"{library} ({len(found):,})", ", ".join(found[:8]) + (", …" * (len(found) > 8))


def archs(*words: str) -> ArchsResult:
    """List the networks of the zoo, timm and torchvision with all `words` in their names."""
    from imgcli.models.catalogue import catalogue

    return ArchsResult(words, **catalogue(words))
