"""Which folders of a tree are its class folders, and the part of each; one answer for all commands.

    photos/crab/1.jpg                      class folders
    photos/train/crab/1.jpg                parts, by any usual name (Training, seg_train, valid …)
    photos/crab/train/1.jpg                parts inside the class folders
    repo-main/Dataset/crab/1.jpg           wrapped, beside docs/ and README pictures
    sites/site1/crab/1.jpg                 the same classes in each of several numbered folders

Only folder names and numbers of photos are looked at, of folders and archives alike. Every likely
reading is scored by what real trees look like; the clear winner is taken, and what it was taken on
is said. Where two readings are near, or none is likely, the user is asked.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import NamedTuple

from imgcli.errors import DataError, WrongUsage
from imgcli.text import listed

Folder = tuple[str, ...]

PARTS = ("train", "val", "test")
PART_WORDS = {
    **dict.fromkeys(("train", "training", "trainset", "trainval", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "valset", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "testset", "tst", "eval", "evaluation"), "test"),
}
# Folders of pictures that are no labelled photos.
_ASIDE = {
    *("doc", "docs", "documentation", "example", "examples", "sample", "samples", "demo", "demos"),
    *("asset", "assets", "figure", "figures", "fig", "figs", "plot", "plots", "result", "results"),
    *("output", "outputs", "screenshot", "screenshots", "readme", "static", "media", "icons"),
    *("pred", "preds", "predict", "prediction", "unlabeled", "unlabelled", "notebooks", "paper"),
    *("preview", "previews", "thumbnail", "thumbnails"),
}
# Folders of pictures that say what is where in a photo.
_MASKS = {
    *("mask", "masks", "label", "labels", "annotation", "annotations", "segmentation", "gt"),
    *("groundtruth", "trimap", "trimaps"),
}
# Folders that hold the class folders.
_WRAPPERS = {
    *("data", "dataset", "datasets", "image", "images", "img", "imgs", "photo", "photos"),
    *("picture", "pictures", "jpg", "jpeg", "png", "raw", "archive", "main", "master"),
}
# The same photos in several versions, side by side.
_VARIANTS = {
    *("color", "colour", "colored", "coloured", "rgb", "gray", "grey", "grayscale", "greyscale"),
    *("segmented", "cropped", "original", "originals", "augmented", "resized", "depth", "edges"),
    *("enhanced", "normalized", "normalised", "background", "nobackground", "bw", "infrared"),
}
_MAX_LEVEL = 8  # of folders looked at; what is deeper belongs to the folder at that level
_NEAR = 1.0  # points between two readings that are too near to choose
_UNLIKELY = -2.5  # points of a reading that is not taken unasked
_BASE_SHARE = 0.2  # of the photos, below a folder whose sub-folders may be the classes


class NoClassFolders(DataError):
    """Photos are in folders that are no classes: parts, wrappers, masks."""


class Place(NamedTuple):
    """The class and the part of a photo, and how deep its class folder is."""

    label: str
    part: str | None = None  # "train", "val" or "test"; None in class folders
    depth: int = 1  # of the class folder below the root of the tree: 1 is right inside


@dataclass(frozen=True)
class Levels:
    """What a user says of a tree that can be read in two ways."""

    classes_at: str | None = None  # a level, "2", or a pattern of class folders, "color/*"
    parts: Mapping[str, str] | None = None  # the part that a folder name means
    mixed: bool = False  # the photos of all parts are in none

    @classmethod
    def of(
        cls, classes_at: str | int | None = None, parts: Mapping[str, str] | Sequence[str] = ()
    ) -> "Levels":
        """From what is typed: a level or pattern, and pairs "NAME=train,NAME=test" or "none".

        Raises:
            WrongUsage: neither.
        """
        at = None if classes_at is None else str(classes_at)
        if isinstance(parts, Mapping):
            return cls(at, parts or None)
        pairs = [pair for text in parts for pair in text.split(",") if pair]
        if pairs == ["none"]:
            return cls(at, mixed=True)
        named = {}
        for pair in pairs:
            name, sign, part = pair.rpartition("=")
            if not sign:
                raise WrongUsage(
                    f"--parts {pair}: give the folder's name and its part, as in "
                    "--parts learn=train,exam=test, or none to mix the parts."
                )
            named[name] = part
        return cls(at, named or None)

    def __post_init__(self) -> None:
        for name, part in (self.parts or {}).items():
            if part not in PARTS:
                raise WrongUsage(f"--parts {name}={part}: a part is {listed(PARTS, 3)}.")
        if self.classes_at is not None and not self.classes_at.strip("/"):
            raise WrongUsage(
                "--classes-at takes the level of the class folders, such as 2, or a pattern of "
                "them, such as 'color/*'."
            )

    def part_of(self, name: str) -> str | None:
        """The part that a folder's name means by itself."""
        if self.parts is not None:
            return self.parts.get(name)
        return PART_WORDS.get(name.lower())

    def likely_part(self, name: str) -> str | None:
        """The part that a name means where other parts are beside it: seg_train, val2017."""
        if self.parts is not None:
            return self.parts.get(name)
        found = _parts_in(name)
        if found == {"train", "val"}:
            return "train"
        return found.pop() if len(found) == 1 else None


AS_FOUND = Levels()


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


def label_of(name: str) -> str:
    """The class that a folder's name means: names that look the same are one class.

    Unicode writes é as one character (NFC) or as two (NFD); macOS and archives made there do the
    second.
    """
    return unicodedata.normalize("NFC", name)


def part_named(folder: Folder) -> str:
    """The part that a photo's folders name, such as "train" in `train2017/`; else ""."""
    return next((part for name in folder if (part := AS_FOUND.likely_part(name))), "")


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
    tree = _Tree.of(photos)
    if not tree.total[()]:
        raise DataError(f"'{source}' holds no photos.")
    if levels.classes_at is not None:
        return _as_asked(tree, levels, source)
    readings = sorted(_readings(tree, levels), key=lambda reading: -reading.score)
    if not readings:
        raise DataError(f"'{source}' holds photos but no class folders.")
    best = readings[0]
    if not _can_be_classes(best.folders, levels):
        names = listed(sorted("/".join(folder) for folder in best.folders))
        raise NoClassFolders(
            f"'{source}' holds photos in {names}, but no class folders in them. "
            "If those are the classes: --classes-at 1."
        )
    _refuse_shards(tree, best, source, sidecars or {})
    others = [one for one in readings[1:] if best.score - one.score < _NEAR]
    if best.score < _UNLIKELY:
        others = [one for one in readings[1:3] if one.score > 2 * best.score]
    if others:
        raise _which(tree, source, [best, *others])
    return _answer(tree, best, levels)


# --- the tree -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Tree:
    direct: Counter[Folder]  # photos right in a folder
    total: Counter[Folder]  # with those of its sub-folders
    children: Mapping[Folder, list[Folder]]  # that have photos, sorted

    @classmethod
    def of(cls, photos: Mapping[Folder, int]) -> "_Tree":
        direct: Counter[Folder] = Counter()
        total: Counter[Folder] = Counter()
        for folder, n in photos.items():
            direct[folder[:_MAX_LEVEL]] += n
            for depth in range(min(len(folder), _MAX_LEVEL) + 1):
                total[folder[:depth]] += n
        children = defaultdict(list)
        for folder in sorted(folder for folder, n in total.items() if folder and n):
            children[folder[:-1]].append(folder)
        return cls(direct, total, children)

    def below(self, folder: Folder) -> list[Folder]:
        """The sub-folders, past folders that only repeat the name of the one around them."""
        return self.children.get(self.inner(folder), [])

    def inner(self, folder: Folder) -> Folder:
        """`seg_train/seg_train` for `seg_train`, `images` inside for a folder with that alone."""
        while not self.direct[folder] and len(self.children.get(folder, ())) == 1:
            (child,) = self.children[folder]
            if folder and not (
                child[-1].lower() == folder[-1].lower()
                or (PART_WORDS.get(child[-1].lower(), "") in _parts_in(folder[-1]))
                or child[-1].lower() in _WRAPPERS
            ):
                break
            folder = child
        return folder

    def outermost(self) -> Folder:
        """Past the folders around everything: one folder with more photos below it than in it."""
        folder: Folder = ()
        while not self.direct[folder] and len(self.children.get(folder, ())) == 1:
            (child,) = self.children[folder]
            if self.total[child] <= 2 * self.direct[child]:
                break
            folder = child
        return folder


def _words(name: str) -> list[str]:
    """The words of a folder's name in lower case, without numbers."""
    return [word for word in re.split(r"[^a-z]+", name.lower()) if word]


def _parts_in(name: str) -> set[str]:
    return {PART_WORDS[word] for word in _words(name) if word in PART_WORDS}


def _has(words: set[str], name: str) -> bool:
    return not words.isdisjoint(_words(name))


def are_numbered(names: Iterable[str]) -> bool:
    """Whether names differ by their numbers alone: 2023 and 2024, site1 and site2."""
    names = set(names)
    shapes = {re.sub(r"\d+", "0", name.lower()) for name in names}
    return len(names) > 1 and len(shapes) == 1 and "0" in shapes.pop()


def _can_be_classes(folders: Sequence[Folder], levels: Levels) -> bool:
    """Whether folders with photos right in them are not all parts, or wrappers and masks."""
    known = _ASIDE | _MASKS | _WRAPPERS
    names = [folder[-1] for folder in folders]
    if any(_part_above(folder, levels) for folder in folders):
        return True
    return not (
        all(levels.likely_part(name) for name in names)
        or (len(names) > 1 and all(name.lower() in known for name in names))
    )


# --- the readings -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reading:
    base: Folder  # the class folders are all in it
    folders: tuple[Folder, ...]
    score: float


def _readings(tree: _Tree, levels: Levels) -> Iterator[_Reading]:
    """Every set of folders that may be the class folders, with its score."""
    outermost = tree.outermost()
    seen = set()
    for base in _bases(tree, outermost):
        folders = tree.children.get(base, [])
        while folders:
            kept = _one_split(folders, levels)
            key = frozenset(kept)
            if key not in seen:
                seen.add(key)
                score = _score(tree, base, kept, levels)
                yield _Reading(base, tuple(kept), score - 0.1 * (len(base) - len(outermost)))
            folders = [child for folder in folders for child in tree.below(folder)]


def _bases(tree: _Tree, outermost: Folder) -> Iterator[Folder]:
    """The folders with a good share of the photos and more than one sub-folder."""
    yield outermost
    least = _BASE_SHARE * tree.total[()]
    for folder, children in tree.children.items():
        inside = len(folder) > len(outermost) and folder[: len(outermost)] == outermost
        whole = inside and not _parts_in(folder[-1])  # not one part of several
        if whole and len(children) > 1 and tree.total[folder] >= least:
            yield folder


def _one_split(folders: Sequence[Folder], levels: Levels) -> list[Folder]:
    """Without the folders in no part, where the others are in train and in a held-out part."""
    parts = {folder: _part_above(folder, levels) for folder in folders}
    if {"train"} < set(parts.values()) - {None}:
        return [folder for folder in folders if parts[folder]]
    return list(folders)


def _part_above(folder: Folder, levels: Levels) -> str | None:
    """The part that the folders around a class folder name."""
    return next((part for name in folder[:-1] if (part := levels.likely_part(name))), None)


def _score(tree: _Tree, base: Folder, folders: Sequence[Folder], levels: Levels) -> float:
    """How likely it is that these folders are the classes: 0 for the best, less for others.

    The weights are chosen by hand, on the trees of published datasets and of bug reports.
    """
    names = [folder[-1] for folder in folders]
    score = -8 * _left_out(tree, base, folders, levels) - 0.1 * (len(folders[0]) - len(base))
    nested = [folder for folder in folders if tree.below(folder)]
    if nested:
        parts = [part for name in names if (part := levels.likely_part(name))]
        if "train" in parts and (len(set(parts)) > 1 or len(parts) == len(names)):
            score -= 6 * len(parts) / len(names)
        known = _ASIDE | _MASKS | _WRAPPERS | _VARIANTS
        score -= 4 * _share(_has(known, name) for name in names)
        score -= 3 * are_numbered(names)
        score -= _subfolders(tree, folders, levels)
    if len(set(map(label_of, names))) < 2:
        score -= 2
    return score - _parents(base, folders, levels)


def _left_out(tree: _Tree, base: Folder, folders: Sequence[Folder], levels: Levels) -> float:
    """The share of the photos outside; those that a reader would leave out count little."""
    inside = set(folders)
    depths = {len(folder) for folder in folders}
    around = {folder[:depth] for folder in folders for depth in range(len(folder))}
    lost = 0.0
    for folder, n in tree.direct.items():
        if n and not any(folder[:depth] in inside for depth in depths):
            lost += n * _weight(tree, folder, around, levels)
    return lost / tree.total[()]


def _weight(tree: _Tree, folder: Folder, around: Set[Folder], levels: Levels) -> float:
    """How much a photo in a folder speaks against class folders elsewhere.

    Args:
        around: the folders around the class folders.
    """
    first = next((n for n in range(len(folder) + 1) if folder[:n] not in around), len(folder))
    stray = folder[first - 1 :] if first else folder
    if folder in around:
        return 0.3  # loose, beside the class folders
    if any(_has(_ASIDE | _MASKS, name) for name in stray):
        return 0.1
    if levels.likely_part(stray[0]) and not tree.below(folder[:first]):
        return 0.1  # a part without labels
    if first > 1 and folder[first - 1] == folder[first - 2]:
        return 0.1  # the tree once more inside itself
    return 0.1 if tree.total[folder[:first]] < 0.02 * tree.total[()] else 1.0


def _subfolders(tree: _Tree, folders: Sequence[Folder], levels: Levels) -> float:
    """What speaks against classes: photos in sub-folders, the same in one class as in others."""
    deep: Counter[str] = Counter()  # classes by sub-folder name
    photos = 0
    for folder in folders:
        below = tree.below(folder)
        photos += sum(tree.total[child] for child in below)
        deep.update({child[-1] for child in below})
    known = _ASIDE | _MASKS | _VARIANTS | _WRAPPERS
    told = [name for name in deep if not (levels.likely_part(name) or _has(known, name))]
    if not told or are_numbered(told):
        return 0.0
    shared = _share(deep[name] > 1 for name in told)
    of_all = photos / sum(tree.total[folder] for folder in folders)
    return float(of_all * (0.5 + 2 * shared))


def _parents(base: Folder, folders: Sequence[Folder], levels: Levels) -> float:
    """What speaks against classes that several folders hold, other than parts."""
    holders: dict[str, set[Folder]] = defaultdict(set)
    for folder in folders:
        between = folder[len(base) : -1]
        holders[label_of(folder[-1])].add(
            tuple(name for name in between if not levels.likely_part(name))
        )
    parents = set().union(*holders.values())
    if len(parents) < 2:
        return 0.0
    names = ["/".join(parent) for parent in parents]
    if any(_has(_VARIANTS | _ASIDE | _MASKS, name) for name in names):
        return 4.0
    if are_numbered(names):
        return 0.3
    return float(1.5 + 0.5 * _share(len(some) > 1 for some in holders.values()))


def _share(flags: Iterable[bool]) -> float:
    """The share of those that are true."""
    values = list(flags)
    return sum(values) / len(values)


# --- the answer ---------------------------------------------------------------------------------


def _places(tree: _Tree, reading: _Reading, levels: Levels) -> dict[Folder, Place]:
    """The places of the class folders; of their part folders, where the parts are inside them."""
    if levels.mixed:
        return {f: Place(label_of(f[-1]), None, len(f)) for f in reading.folders}
    parts = {folder: _part_above(folder, levels) for folder in reading.folders}
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
    tree: _Tree, folders: Sequence[Folder], levels: Levels
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


def _answer(tree: _Tree, reading: _Reading, levels: Levels) -> ClassFolders:
    masks = (
        child
        for folder in reading.folders
        if len(below := tree.below(folder)) > 1 or tree.direct[folder]
        for child in below
        if _has(_MASKS, child[-1])
    )
    found = ClassFolders(_places(tree, reading, levels), frozenset(masks))
    return replace(found, sign=_sign(tree, reading, found))


def _as_asked(tree: _Tree, levels: Levels, source: str) -> ClassFolders:
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
    return _answer(tree, _Reading((), tuple(sorted(folders)), 0), levels)


def _sign(tree: _Tree, reading: _Reading, found: ClassFolders) -> str:
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
        if not _has(_MASKS | _WRAPPERS, child[-1])
    }
    if len(told) > 1 and not are_numbered(told):
        return (
            f"Classes: {names}, each with its sub-folders ({listed(sorted(told), 3)}). If those "
            "are the classes: --classes-at 2."
        )
    return rest.strip() if found.masks else ""


def _outside(tree: _Tree, found: ClassFolders) -> str:
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


def _which(tree: _Tree, source: str, readings: Sequence[_Reading]) -> WrongUsage:
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
    tree: _Tree, reading: _Reading, source: str, sidecars: Mapping[Folder, int]
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
            "are the classes: --classes-at 1."
        )
