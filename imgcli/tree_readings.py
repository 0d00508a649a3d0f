"""The ways in which a tree of folders can be read, each with how likely it is.

A reading is a set of folders that may be the class folders: all at one level below a base, past
folders that only repeat a name. Each is scored by what real trees look like.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from imgcli.folder_names import (
    ASIDE,
    MASKS,
    PART_WORDS,
    VARIANTS,
    WRAPPERS,
    Folder,
    Levels,
    are_numbered,
    has_word,
    label_of,
    parts_in,
)

_MAX_LEVEL = 8  # of folders looked at; what is deeper belongs to the folder at that level
_BASE_SHARE = 0.2  # of the photos, below a folder whose sub-folders may be the classes


@dataclass(frozen=True)
class Tree:
    direct: Counter[Folder]  # photos right in a folder
    total: Counter[Folder]  # with those of its sub-folders
    children: Mapping[Folder, list[Folder]]  # that have photos, sorted

    @classmethod
    def of(cls, photos: Mapping[Folder, int]) -> "Tree":
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
                or (PART_WORDS.get(child[-1].lower(), "") in parts_in(folder[-1]))
                or child[-1].lower() in WRAPPERS
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

    def is_copy(self, folder: Folder) -> bool:
        """Whether it holds folders named as those beside it: the tree once more inside itself."""
        inside = {child[-1] for child in self.children.get(folder, ())} - {folder[-1]}
        return len(inside) > 1 and all((*folder[:-1], name) in self.total for name in inside)


@dataclass(frozen=True)
class Reading:
    base: Folder  # the class folders are all in it
    folders: tuple[Folder, ...]
    score: float


def readings(tree: Tree, levels: Levels) -> Iterator[Reading]:
    """Every set of folders that may be the class folders, with its score."""
    outermost = tree.outermost()
    seen = set()
    for base in _bases(tree, outermost):
        folders = tree.children.get(base, [])
        while folders := [folder for folder in folders if not tree.is_copy(folder)]:
            kept = _one_split(folders, levels)
            key = frozenset(kept)
            if key not in seen:
                seen.add(key)
                score = _score(tree, base, kept, levels)
                yield Reading(base, tuple(kept), score - 0.1 * (len(base) - len(outermost)))
            folders = [child for folder in folders for child in tree.below(folder)]


def can_be_classes(folders: Sequence[Folder], levels: Levels) -> bool:
    """Whether folders with photos right in them are not all parts, or wrappers and masks."""
    known = ASIDE | MASKS | WRAPPERS
    names = [folder[-1] for folder in folders]
    if any(part_above(folder, levels) for folder in folders):
        return True
    return not (
        all(levels.likely_part(name) for name in names)
        or (len(names) > 1 and all(name.lower() in known for name in names))
    )


def part_above(folder: Folder, levels: Levels) -> str | None:
    """The part that the folders around a class folder name."""
    return next((part for name in folder[:-1] if (part := levels.likely_part(name))), None)


def _bases(tree: Tree, outermost: Folder) -> Iterator[Folder]:
    """The folders with a good share of the photos and more than one sub-folder."""
    yield outermost
    least = _BASE_SHARE * tree.total[()]
    for folder, children in tree.children.items():
        inside = len(folder) > len(outermost) and folder[: len(outermost)] == outermost
        whole = inside and not parts_in(folder[-1])  # not one part of several
        if whole and len(children) > 1 and tree.total[folder] >= least:
            yield folder


def _one_split(folders: Sequence[Folder], levels: Levels) -> list[Folder]:
    """Without the folders in no part, where the others are in train and in a held-out part."""
    parts = {folder: part_above(folder, levels) for folder in folders}
    if {"train"} < set(parts.values()) - {None}:
        return [folder for folder in folders if parts[folder]]
    return list(folders)


def _score(tree: Tree, base: Folder, folders: Sequence[Folder], levels: Levels) -> float:
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
        known = ASIDE | MASKS | WRAPPERS | VARIANTS
        score -= 4 * _share(has_word(known, name) for name in names)
        score -= 3 * are_numbered(names)
        score -= _subfolders(tree, folders, levels)
    if len(set(map(label_of, names))) < 2:
        score -= 2
    return score - _parents(base, folders, levels)


def _left_out(tree: Tree, base: Folder, folders: Sequence[Folder], levels: Levels) -> float:
    """The share of the photos outside; those that a reader would leave out count little."""
    inside = set(folders)
    depths = {len(folder) for folder in folders}
    around = {folder[:depth] for folder in folders for depth in range(len(folder))}
    lost = 0.0
    for folder, n in tree.direct.items():
        if n and not any(folder[:depth] in inside for depth in depths):
            lost += n * _weight(tree, folder, around, levels)
    return lost / tree.total[()]


def _weight(tree: Tree, folder: Folder, around: Set[Folder], levels: Levels) -> float:
    """How much a photo in a folder speaks against class folders elsewhere.

    Args:
        around: the folders around the class folders.
    """
    first = next((n for n in range(len(folder) + 1) if folder[:n] not in around), len(folder))
    stray = folder[first - 1 :] if first else folder
    if folder in around:
        return 0.3  # loose, beside the class folders
    if any(has_word(ASIDE | MASKS, name) for name in stray):
        return 0.1
    if levels.likely_part(stray[0]) and not tree.below(folder[:first]):
        return 0.1  # a part without labels
    if tree.is_copy(folder[:first]):
        return 0.1
    return 0.1 if tree.total[folder[:first]] < 0.02 * tree.total[()] else 1.0


def _subfolders(tree: Tree, folders: Sequence[Folder], levels: Levels) -> float:
    """What speaks against classes: photos in sub-folders, the same in one class as in others."""
    deep: Counter[str] = Counter()  # classes by sub-folder name
    photos = 0
    for folder in folders:
        below = tree.below(folder)
        photos += sum(tree.total[child] for child in below)
        deep.update({child[-1] for child in below})
    known = ASIDE | MASKS | VARIANTS | WRAPPERS
    told = [name for name in deep if not (levels.likely_part(name) or has_word(known, name))]
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
    if any(has_word(VARIANTS | ASIDE | MASKS, name) for name in names):
        return 4.0
    if are_numbered(names):
        return 2.3 if are_numbered(holders) else 0.3
    return float(1.5 + 0.5 * _share(len(some) > 1 for some in holders.values()))


def _share(flags: Iterable[bool]) -> float:
    """The share of those that are true."""
    values = list(flags)
    return sum(values) / len(values)
