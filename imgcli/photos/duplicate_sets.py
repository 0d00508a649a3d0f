"""Photos that show the same: as groups, and where that cannot be."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from imgcli.class_folders import Place
from imgcli.photos.quality import Issue
from imgcli.text import listed

PLACEHOLDER = 3  # copies, in two classes at least: a provider's picture for "not available"


@dataclass(frozen=True)
class Group:
    """Photos that show the same: first the one to keep, the largest, then of most bytes."""

    paths: tuple[str, ...]
    distances: tuple[float, ...]  # of each from the first; 0 for the same bytes


@dataclass(frozen=True)
class Conflict:
    """Photos that show the same and are told apart."""

    kind: str  # "classes": they have different labels; "parts": they are on both sides of a split
    paths: tuple[str, ...]
    names: tuple[str, ...]  # of these classes, or parts


def joined(exact: Sequence[Group], near: Sequence[Group]) -> list[Group]:
    """Each group once: the near ones, and those of equal bytes that are not among them."""
    known = {path for group in near for path in group.paths}
    return [*near, *(group for group in exact if group.paths[0] not in known)]


def conflicts(groups: Iterable[Group], places: Mapping[str, Place]) -> Iterator[Conflict]:
    """The groups with members of several classes, or in several parts."""
    for group in groups:
        labels = sorted({places[path].label for path in group.paths})
        parts = sorted({places[path].part or "" for path in group.paths})
        if len(labels) > 1:
            yield Conflict("classes", group.paths, tuple(labels))
        if len(parts) > 1:
            yield Conflict("parts", group.paths, tuple(parts))


def placeholders(groups: Iterable[Group], places: Mapping[str, Place]) -> Iterator[Issue]:
    """The groups that are so large, over several classes, that no mistake explains them."""
    for group in groups:
        labels = sorted({places[path].label for path in group.paths})
        if len(group.paths) >= PLACEHOLDER and len(labels) > 1:
            detail = f"one picture {len(group.paths):,} times, in {listed(labels, 3)}"
            yield Issue("placeholder", detail, group.paths[0], paths=group.paths)
