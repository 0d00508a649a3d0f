"""List networks by words in their names."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from imgcli.commands.notebook import as_html, as_text


@dataclass(frozen=True, repr=False)
class ArchsResult:
    """The networks found, by library: `{"name", "input", "weights"}`."""

    words: tuple[str, ...]
    zoo: list[dict[str, Any]]  # with "notation" and "about"
    timm: list[dict[str, Any]]
    torchvision: list[dict[str, Any]]

    @property
    def names(self) -> list[str]:
        """All names, as `train(arch=...)` takes them."""
        return [one["name"] for one in (*self.zoo, *self.timm, *self.torchvision)]

    def to_json(self) -> dict[str, Any]:
        """The document of `imgcli archs --json`."""
        return {**vars(self), "words": list(self.words)}

    def __repr__(self) -> str:
        return as_text("ArchsResult", dict(self._rows()))

    def _repr_html_(self) -> str:
        return as_html(dict(self._rows()))

    def _rows(self) -> Iterator[tuple[str, str]]:
        for library in ("zoo", "timm", "torchvision"):
            found = [one["name"] for one in getattr(self, library)]
            yield f"{library} ({len(found):,})", ", ".join(found[:8]) + (", …" * (len(found) > 8))


def archs(*words: str) -> ArchsResult:
    """List the networks of the zoo, timm and torchvision with all `words` in their names."""
    from imgcli.models.catalogue import catalogue

    return ArchsResult(words, **catalogue(words))
