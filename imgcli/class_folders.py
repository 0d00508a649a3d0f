"""Which folders of a tree are its class folders, and the part of each; one answer for all commands.

    photos/crab/1.jpg                      class folders
    photos/train/crab/1.jpg                parts, by any common name (Training, seg_train, valid …)
    photos/crab/train/1.jpg                parts inside the class folders
    repo-main/Dataset/crab/1.jpg           wrapped, beside docs/ and README pictures
    sites/site1/crab/1.jpg                 the same classes in each of several numbered folders

Only folder names and numbers of photos are looked at, of folders and archives alike. Every likely
reading is scored by what real trees look like; the clear winner is taken, and what it was taken on
is said. Where two readings are near, or none is likely, the user is asked.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import NamedTuple

from imgcli.errors import DataError, WrongUsage
from imgcli.folder_names import (
    AS_FOUND,
    MASKS,
    PARTS,
    WRAPPERS,
    Folder,
    Levels,
    are_numbered,
    has_word,
    label_of,
)
from imgcli.text import listed
from imgcli.tree_readings import Reading, Tree, can_be_classes, part_above, readings

_NEAR = 1.0  # points between two readings that are too near to choose
_UNLIKELY = -2.5  # points of a reading that is not taken unasked


class NoClassFolders(DataError):
    """Photos are in folders that are no classes: parts, wrappers, masks."""


class Place(NamedTuple):
    """The class and the part of a photo, and how deep its class folder is."""

    label: str
    part: str | None = None  # "train", "val" or "test"; None in class folders
    depth: int = 1  # of the class folder below the root of the tree: 1 is right inside


@dataclass(frozen=True)
class ClassFolders:
    """The class folders of a tree; none is inside another."""

    places: Mapping[Folder, Place]  # by class folder, or by part folder inside one
    masks: frozenset[Folder] = frozenset()  # folders in them that hold no photos of the class
    sign: str = ""  # what was taken, and why; empty for what every reader expects

    def place(self, folder: Folder) -> Place | None:
        """The place of the photos in a folder; None outside the class folders."""
        depth = next((n for n in self._depths if folder[:n] in self.places), 0)
        if depth == 0 or (
            self.masks and any(folder[:n] in self.masks for n in range(depth, depth + 2))
        ):
            return None
        return self.places[folder[:depth]]

    @cached_property
    def _depths(self) -> list[int]:
        return sorted({len(folder) for folder in self.places})

    @property
    def labels(self) -> list[str]:
        """The names of the classes, sorted."""
        return sorted({place.label for place in self.places.values()})

    @property
    def parts(self) -> dict[Folder, str]:
        """The part of each folder that holds class folders of one part; empty without parts."""
        return {
            folder[: place.depth - 1] if len(folder) == place.depth else folder: place.part
            for folder, place in self.places.items()
            if place.part
        }


def find_class_folders(
    photos: Mapping[Folder, int],
    source: str,
    levels: Levels = AS_FOUND,
    sidecars: Mapping[Folder, int] | None = None,
) -> ClassFolders:
    """Find the class folders of a tree.

    Args:
        photos: how many are in each folder, not counting its sub-folders; `()` is the root.
        source: the tree, for messages.
        levels: what the user says of it.
        sidecars: .json files in each folder, which bulk downloaders write beside every photo.

    Raises:
        DataError: no photos, photos but no class folders, or the shards of a bulk downloader.
        WrongUsage: two readings are as likely, none is likely, or `levels` matches no folder.
    """
    tree = Tree.of(photos)
    if not tree.total[()]:
        raise DataError(f"'{source}' holds no photos.")
    if levels.classes_at is not None:
        return _as_asked(tree, levels, source)
    found = sorted(readings(tree, levels), key=lambda reading: -reading.score)
    if not found:
        raise DataError(f"'{source}' holds photos but no class folders.")
    best, *rest = found
    if not can_be_classes(best.folders, levels):
        names = listed(sorted("/".join(folder) for folder in best.folders))
        raise NoClassFolders(
            f"'{source}' holds photos in {names}, but no class folders in them. "
            f"If those are the classes: --classes-at {len(best.folders[0])}."
        )
    _refuse_shards(tree, best, source, sidecars or {})
    others = [one for one in rest if best.score - one.score < _NEAR]
    if best.score < _UNLIKELY:
        others = [one for one in rest[:2] if one.score > 2 * best.score]
    if others:
        raise _which(tree, source, [best, *others])
    return _answer(tree, best, levels)


# --- the answer ---------------------------------------------------------------------------------


def _answer(tree: Tree, reading: Reading, levels: Levels) -> ClassFolders:
    masks = (
        child
        for folder in reading.folders
        if len(below := tree.below(folder)) > 1 or tree.direct[folder]
        for child in below
        if has_word(MASKS, child[-1])
    )
    found = ClassFolders(_places(tree, reading, levels), frozenset(masks))
    return replace(found, sign=_sign(tree, reading, found))


def _places(tree: Tree, reading: Reading, levels: Levels) -> dict[Folder, Place]:
    """The places of the class folders; of their part folders, where the parts are inside them."""
    if levels.mixed:
        return {f: Place(label_of(f[-1]), None, len(f)) for f in reading.folders}
    parts = {folder: part_above(folder, levels) for folder in reading.folders}
    if set(parts.values()) == {None} and (inside := _parts_inside(tree, reading.folders, levels)):
        return inside
    held_out = set(parts.values()) - {"train", None}
    named = {levels.part_of(name) for folder in parts for name in folder[:-1]}
    if "train" not in parts.values() or not (held_out or "train" in named):
        parts = dict.fromkeys(parts)  # "test" or "train_station" around everything is just a name
    return {
        folder: Place(label_of(folder[-1]), part, len(folder)) for folder, part in parts.items()
    }


def _parts_inside(
    tree: Tree, folders: Sequence[Folder], levels: Levels
) -> dict[Folder, Place] | None:
    """The places where class folders hold train and a held-out part each; None elsewhere."""
    places: dict[Folder, Place] = {}
    for folder in folders:
        label, depth = label_of(folder[-1]), len(folder)
        below = {child: levels.likely_part(child[-1]) for child in tree.below(folder)}
        if tree.direct[folder] or None in below.values():
            return None
        places |= {child: Place(label, part, depth) for child, part in below.items()}
    return places if {"train"} < {place.part for place in places.values()} else None


def _as_asked(tree: Tree, levels: Levels, source: str) -> ClassFolders:
    """The class folders that the user names by their level or a pattern."""
    asked = (levels.classes_at or "").strip("/")
    pattern = ["*"] * int(asked) if asked.isdigit() else asked.split("/")
    folders = [
        folder
        for folder in tree.total
        if len(folder) == len(pattern) and all(map(fnmatchcase, folder, pattern))
    ]
    if not folders or not pattern:
        there = ["/".join(folder) for folder in tree.children.get((), [])]
        raise WrongUsage(
            f"--classes-at {levels.classes_at} is no folder with photos in '{source}', which holds "
            f"{listed(there, 5) if there else 'no folders'}."
        )
    return _answer(tree, Reading((), tuple(sorted(folders)), 0), levels)


def _sign(tree: Tree, reading: Reading, found: ClassFolders) -> str:
    """What was taken for the classes, and why, in a sentence; empty for what is expected."""
    rest = _outside(tree, found)
    if parts := found.parts:
        if all(len(folder) == 1 and folder[0] in PARTS for folder in parts):
            return rest.strip()
        named = [f"'{'/'.join(folder)}' is {part}" for folder, part in parts.items()]
        return f"Parts, by the names of folders: {', '.join(named[:6])}.{rest}"
    names = listed(sorted({folder[-1] for folder in reading.folders}), 3)
    parents = sorted({folder[:-1] for folder in reading.folders})
    if len(parents) > 1:
        holders = listed(["/".join(parent) for parent in parents], 3)
        return f"Classes: {names}, folders that {holders} have in common.{rest}"
    if parents[0]:
        n = len(reading.folders)
        folders = f"the {n:,} folders" if n > 1 else "the one folder"
        return f"Classes: {folders} in '{'/'.join(parents[0])}' ({names}).{rest}"
    told = {
        child[-1]
        for folder in reading.folders
        for child in tree.below(folder)
        if not has_word(MASKS | WRAPPERS, child[-1])
    }
    if len(told) > 1 and not are_numbered(told):
        return (
            f"Classes: {names}, each with its sub-folders ({listed(sorted(told), 3)}). If those "
            "are the classes: --classes-at 2."
        )
    return rest.strip() if found.masks else ""


def _outside(tree: Tree, found: ClassFolders) -> str:
    """How many photos are in no class folder, and where."""
    around = {folder[:depth] for folder in found.places for depth in range(len(folder))}
    strays: Counter[str] = Counter()
    for folder, n in tree.direct.items():
        if n and not found.place(folder):
            depth = next((n for n in range(len(folder)) if folder[:n] not in around), len(folder))
            strays["/".join(folder[:depth])] += n
    if not strays:
        return ""
    n = strays.total()
    where = listed([folder or "the folder itself" for folder, _ in strays.most_common()], 3)
    return f" In no class folder: {n:,} {'photo' if n == 1 else 'photos'} in {where}."


# --- what is refused ----------------------------------------------------------------------------


def _which(tree: Tree, source: str, readings: Sequence[Reading]) -> WrongUsage:
    """The question which reading is meant."""
    ways: dict[str, str] = {}
    for reading in readings:
        depths = {len(folder) for folder in reading.folders}
        at = [folder for folder in tree.total if {len(folder)} == depths]
        whole = len(depths) == 1 and len(at) == len(reading.folders)
        option = str(depths.pop()) if whole else f"'{'/'.join((*reading.base, '*'))}'"
        names = listed(sorted({folder[-1] for folder in reading.folders}), 3)
        ways.setdefault(f"--classes-at {option}", names)
    choices = "; ".join(f"{option} for the classes {names}" for option, names in ways.items())
    return WrongUsage(
        f"'{source}' can be read in more than one way. Say which folders are the classes: "
        f"{choices}."
    )


def _refuse_shards(
    tree: Tree, reading: Reading, source: str, sidecars: Mapping[Folder, int]
) -> None:
    """Refuse the numbered folders of bulk downloaders such as img2dataset.

    Raises:
        DataError: it is one.
    """
    names = [folder[-1] for folder in reading.folders]
    if not all(len(name) >= 4 and name.isdigit() for name in names):
        return
    beside = sum(sidecars.get(folder, 0) for folder in reading.folders)
    if 2 * beside >= sum(tree.total[folder] for folder in reading.folders):
        raise DataError(
            f"'{source}' holds the shards of a bulk downloader ({listed(names, 3)}, with a .json "
            "beside each photo), not class folders. Label the photos by a table with their paths "
            "(imgcli import table.csv) or by their paths (--label-from), or say that the shards "
            f"are the classes: --classes-at {len(reading.folders[0])}."
        )
