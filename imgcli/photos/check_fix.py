"""Which photos `imgcli check --fix KIND` takes out."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from imgcli.photos.check import Checked
from imgcli.photos.duplicate_sets import Group
from imgcli.photos.quarantine import Move

Chosen = Iterator[tuple[str, str]]  # path and reason


def moves(checked: Checked, kinds: Iterable[str]) -> list[Move]:
    """What to move for these kinds of `KINDS`; each photo once, for the first that names it."""
    chosen: dict[str, Move] = {}
    for kind in kinds:
        for path, reason in KINDS[kind](checked):
            chosen.setdefault(path, Move(path, kind, reason))
    return list(chosen.values())


def _unreadable(checked: Checked) -> Chosen:
    return ((item.path, item.reason) for item in checked.unreadable)


def _but_one(checked: Checked, groups: Callable[[Checked], list[Group]]) -> Chosen:
    """All but the first of each group; in several classes all but the first of each.

    Which label is right is for `conflicts`, and not decided by which copy is larger.
    """
    for group in groups(checked):
        kept: dict[str, str] = {}
        for path in group.paths:
            label = checked.places[path].label
            if kept.setdefault(label, path) != path:
                yield path, f"shows what {kept[label]} shows, which is larger or comes first"


def _conflicts(checked: Checked) -> Chosen:
    """Of photos with two labels all; of those on two sides of a split all that are not test."""
    for conflict in checked.conflicts:
        for path in conflict.paths:
            if conflict.kind == "classes" or checked.places[path].part != "test":
                yield path, f"shows what others show in {' and '.join(conflict.names)}"


def _issue(checked: Checked, kind: str) -> Chosen:
    for issue in checked.issues:
        if issue.kind == kind and issue.path is not None:
            yield from ((path, issue.detail) for path in issue.paths or (issue.path,))


KINDS: dict[str, Callable[[Checked], Chosen]] = {
    "unreadable": _unreadable,
    "duplicates": partial(_but_one, groups=lambda checked: checked.duplicates),
    "near-duplicates": partial(_but_one, groups=lambda checked: checked.near_duplicates),
    "conflicts": _conflicts,
    **{
        kind: partial(_issue, kind=kind)
        for kind in (
            *("placeholder", "tiny", "blank", "dark", "blurred", "shape", "extension", "gps"),
            *("animated", "changed"),
        )
    },
}
