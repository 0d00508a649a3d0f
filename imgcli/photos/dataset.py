"""A dataset folder becomes `Samples` and a `Split`: the one place where photos get their numbers.

dataset/
  train/cat/017.jpg      one folder per class in each part
  val/cat/...            may be absent; also called valid/ or validation/
  test/cat/...           may be absent
  split.json             of `imgcli split`; absent from a dataset made elsewhere
"""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

import numpy as np

from imgcli.class_folders import NoClassFolders, Place
from imgcli.config import NO_GROUP_BY, DataConfig, GroupBy
from imgcli.errors import DataError
from imgcli.folder_names import AS_FOUND, PARTS, Levels
from imgcli.locations import Where, locations_of
from imgcli.photos.grouping import Photos, check_group_by, join_groups
from imgcli.photos.hashing import digest_files, digests_by_path
from imgcli.photos.layout import (
    Layout,
    find_manifest,
    has_files,
    layout_of_manifest,
    not_usable,
    photos_under,
    read_layout,
)
from imgcli.photos.manifest import NAME, Manifest, user_files
from imgcli.photos.near_duplicates import duplicate_groups, groups_by_path
from imgcli.progress import note_once
from imgcli.records import IntArray, Rejected, Samples, Split
from imgcli.remote.uris import is_uri
from imgcli.runs import CACHE
from imgcli.staging import recover
from imgcli.text import count, listed

SEALED = "in the run's own test part"
TREE = "train/<class>/<photo> and test/<class>/<photo>"


@dataclass(frozen=True, eq=False)
class Dataset:
    """The photos, their parts, and what is not used."""

    samples: Samples
    split: Split
    rejected: tuple[Rejected, ...]  # by their paths in the dataset
    leaks: int  # groups with members both in test and in another part
    grouped_by: tuple[str, ...] = ()  # what joins photos into groups, beside duplicates


@dataclass(frozen=True)
class OtherTree:
    """How a folder is read that is not the dataset of a config: class folders are a train part."""

    levels: Levels  # which of its folders are the classes and the parts
    sealed: Set[str] = frozenset()  # the hashes of photos to leave out


def load_dataset(
    root: Path,
    cache: Path = CACHE,
    config: DataConfig | None = None,
    group_by: GroupBy | None = None,
    other: OtherTree | None = None,
) -> Dataset:
    """Read a dataset made by `imgcli split`, or any folder with `train/` and perhaps `test/`.

    Classes are those of the training photos; a part that lacks one shifts nothing, and photos of a
    class that no training photo has are left out, which is said. With `split.json`
    each photo is compared with what was split; without it near-duplicates are looked for here,
    which decodes every photo the first time.

    Args:
        config: which folders are the classes and the parts, and which photos belong together,
            where a user said it.
        group_by: in place of the config's: what joins photos, beside the groups of the split. Paths
            are taken inside the parts, "<class>/<photo>", so that no group depends on a part.
        other: of a dataset that is not the config's own.

    Raises:
        WrongUsage: a `group_by` that cannot be meant.
        DataError: no such dataset, fewer than two classes, or photos that changed or are gone since
            the split.
    """
    levels = other.levels if other else levels_of(config) if config else AS_FOUND
    if group_by is None:
        group_by = config.grouping if config else NO_GROUP_BY
    check_group_by(group_by)
    layout = read_layout(root, levels)
    undivided = other is not None and bool(layout.photos) and not layout.parts
    if not undivided:
        _check_layout(layout, levels)
    made, places = layout.manifest, layout.photos
    rejected = [item for item in layout.rejected if item.path not in layout.errors]
    where = layout.where
    digests, unread = _digests(layout, cache)
    groups, unused = (
        _as_split(root, made, digests) if made else groups_by_path(where, digests, "near", cache)
    )
    own = made.recipe.group_by if made else ()
    if own and group_by.only_duplicates:
        only = {path: digests[path] for path in groups}
        groups, _ = groups_by_path(where, only, made.recipe.duplicates if made else "near", cache)
        own = ()
    if group_by.specs:
        groups = _grouped(layout, groups, digests, group_by)
    if undivided:
        places = {path: place._replace(part="train") for path, place in places.items()}
    if other:
        unread += [Rejected(path, SEALED) for path in groups if digests[path] in other.sealed]
        groups = {path: g for path, g in groups.items() if digests[path] not in other.sealed}
    groups, unknown = _in_train(groups, places)
    rejected = sorted(rejected + unread + unused + unknown, key=lambda item: item.path)
    samples, parts = _numbered(layout, places, digests, groups)
    _check_usable(samples, parts, unread + unused)
    split = _split(parts, made)
    by = tuple(dict.fromkeys((*own, *group_by.specs)))
    return Dataset(samples, split, tuple(rejected), leaks(samples, split), by)


def _digests(layout: Layout, cache: Path) -> tuple[dict[str, str], list[Rejected]]:
    """SHA-256 of each photo, and the photos without one.

    Of objects behind URIs it is that of the split: no server is asked for what the cache has, and
    bytes that are read are compared with it.
    """
    if layout.manifest and layout.in_place and is_uri(layout.in_place.folder):
        return {photo.path: photo.sha256 for photo in layout.manifest.photos}, []
    return digests_by_path(layout.where, sorted(layout.photos), cache)


def _grouped(
    layout: Layout, groups: Mapping[str, int], digests: Mapping[str, str], group_by: GroupBy
) -> dict[str, int]:
    """The groups joined by what the user says belongs together; what they are is noted."""
    found = join_groups(groups, group_by, Photos.of(layout, digests))
    for sentence in found.notes:
        note_once(sentence)
    return found.groups


def restricted_to(dataset: Dataset, rows: IntArray) -> Dataset:
    """A dataset of some photos alone, all of them in its train part; their groups stay."""
    chosen = dataset.samples.at(rows)
    return Dataset(chosen, Split({"train": np.arange(len(rows))}), (), 0, dataset.grouped_by)


def refuse_missing(root: Path) -> None:
    """Refuse a dataset folder that is not there or holds no file, at once; `load_dataset` sees all.

    Raises:
        DataError: there is no dataset.
    """
    recover(root, user_files)
    if not has_files(root):
        raise _no_train(read_layout(root))


def manifest_samples(root: Path, made: Manifest) -> tuple[Samples, Split]:
    """The photos and parts of a manifest as they were split; no photo is read."""
    layout = layout_of_manifest(root, made)
    digests = {photo.path: photo.sha256 for photo in made.photos}
    groups = {photo.path: photo.group for photo in made.photos}
    samples, parts = _numbered(layout, layout.photos, digests, groups)
    return samples, _split(parts, made)


def grouped_by(root: Path, group_by: GroupBy = NO_GROUP_BY) -> tuple[str, ...]:
    """What joins the photos of a dataset into groups: its split's choices, and these.

    Raises:
        DataError: its manifest is damaged.
    """
    made = find_manifest(root)
    own = made.recipe.group_by if made and not group_by.only_duplicates else ()
    return tuple(dict.fromkeys((*own, *group_by.specs)))


def leaks(samples: Samples, split: Split) -> int:
    """The number of groups with photos both in the test part and in another part."""
    groups = {part: set(samples.groups[rows].tolist()) for part, rows in split.parts.items()}
    tested = groups.pop("test", set())
    return len(tested & set().union(*groups.values()))


def where_of(root: Path) -> Where:
    """Where the photos of a dataset are.

    Raises:
        DataError: its manifest is damaged.
    """
    made = find_manifest(root) if root.is_dir() else None
    folder = made.folder(root) if made else None
    return root if made is None or folder is None else made.locations(folder)


def listed_photos(root: Path, config: DataConfig) -> frozenset[str]:
    """The paths of the photos of a dataset, by its manifest or else in its parts.

    Empty if there is no dataset.

    Raises:
        DataError: its manifest is damaged.
    """
    layout = read_layout(root, levels_of(config))
    if layout.manifest:
        return frozenset(photo.path for photo in layout.manifest.photos)
    return frozenset(layout.photos if layout.parts else ())


def levels_of(config: DataConfig) -> Levels:
    """Which folders of a dataset are its classes and parts."""
    return Levels.of(config.classes_at, [config.parts or ""])


def _check_layout(layout: Layout, levels: Levels) -> None:
    """Refuse class folders, two folders of one part and, without a manifest, an empty part."""
    root, parts = layout.root, layout.parts
    if not layout.manifest and not parts:
        if isinstance(fault := layout.errors.get(""), NoClassFolders):
            raise fault
        raise _no_train(layout)
    for part in parts.values():
        same = sorted({_part_folder(name, levels) for name in parts if parts[name] == part})
        if len(same) > 1:
            raise DataError(
                f"'{root}' has {listed(same)}, which all mean {part}. Keep one of them."
            )
    if not layout.manifest:  # which would name the missing photos
        for error in layout.errors.values():
            raise error


def _part_folder(folder: str, levels: Levels) -> str:
    """The folder whose name is the part: "test" of the class folders in test/site1."""
    steps = folder.split("/")
    named = (i for i, step in enumerate(steps, 1) if levels.likely_part(step))
    return "/".join(steps[: next(named, len(steps))])


def _no_train(layout: Layout) -> DataError:
    root, classes = layout.root, layout.classes
    if not root.is_dir():
        return DataError(
            f"No dataset '{root}'. Make one from a folder of class folders with `imgcli split`, or "
            "name another with --data."
        )
    train = "a class called train, and no train/ part" if (root / "train").is_dir() else ""
    expected = f"'{root}' has {train or 'no train/ folder'}. A dataset is {TREE}"
    if not classes or (not train and (root / "test").is_dir()):
        return DataError(f"{expected}; make one with `imgcli split`.")
    return DataError(
        f"{expected}; this holds the class folders {listed(classes, 3)}: "
        f"run `imgcli split {quote(str(root))}` first."
    )


def _as_split(
    root: Path, made: Manifest, digests: Mapping[str, str]
) -> tuple[dict[str, int], list[Rejected]]:
    """The group of each photo according to the manifest, and the photos that it does not know.

    Raises:
        DataError: photos that it knows have changed or are gone.
    """
    again = f"imgcli split {quote(made.source)} --out {quote(str(root))} --update"
    known = {photo.path: photo for photo in made.photos}
    gone = [path for path in known if path not in digests]
    changed = [path for path, sha in digests.items() if path in known and known[path].sha256 != sha]
    faults = [
        f"In '{root}', of the photos that were split, {len(paths)} {what}: {listed(paths)}."
        for paths, what in ((changed, "changed"), (gone, "went missing or cannot be read"))
        if paths
    ]
    if faults:
        raise DataError(f"{' '.join(faults)} Put them back, or split again: {again}")
    reason = f"not in {NAME}: add it to '{made.source}' and run {again}"
    groups = {path: known[path].group for path in digests if path in known}
    return groups, [Rejected(path, reason) for path in digests if path not in known]


def _in_train(
    groups: Mapping[str, int], places: Mapping[str, Place]
) -> tuple[dict[str, int], list[Rejected]]:
    """The photos of classes that have training photos; the others, which nothing can predict.

    A class that the test part lacks is said too.
    """
    labels = {part: Counter[str]() for part in PARTS}
    for path in groups:
        labels[places[path].part or "train"][places[path].label] += 1
    train, test = labels["train"], labels["test"]
    if not train:
        return dict(groups), []
    for part in ("val", "test"):
        for label in sorted(labels[part].keys() - train.keys()):
            n = labels[part][label]
            note_once(
                f"Class '{label}' has no photo in train, so nothing can predict it: its "
                f"{count(n, f'{part} photo')} {'is' if n == 1 else 'are'} left out."
            )
    if test and (untested := sorted(train.keys() - test.keys())):
        note_once(f"No test photo of class {listed(untested)}: the test says nothing about it.")
    unknown = [path for path in groups if places[path].label not in train]
    kept = {path: group for path, group in groups.items() if places[path].label in train}
    return kept, [
        Rejected(path, f"its class '{places[path].label}' has no photo in train")
        for path in unknown
    ]


def _numbered(
    layout: Layout,
    places: Mapping[str, Place],
    digests: Mapping[str, str],
    groups: Mapping[str, int],
) -> tuple[Samples, dict[str, IntArray]]:
    """Give each photo that has a group its row, in the order of paths; and the rows per part."""
    paths = sorted(groups)
    classes = sorted({places[path].label for path in paths})
    parts = {
        part: np.array([i for i, path in enumerate(paths) if places[path].part == part], np.int64)
        for part in PARTS
    }
    position = {name: i for i, name in enumerate(classes)}
    samples = Samples(
        root=layout.root,
        paths=tuple(paths),
        targets=np.array([position[places[path].label] for path in paths], np.int64),
        groups=np.array([groups[path] for path in paths], np.int64),
        digests=tuple(digests[path] for path in paths),
        classes=tuple(classes),
        locations=tuple(locations_of(layout.where, paths)) if layout.in_place else None,
    )
    return samples, {part: rows for part, rows in parts.items() if len(rows)}


def _check_usable(
    samples: Samples, parts: Mapping[str, IntArray], unreadable: Sequence[Rejected]
) -> None:
    """Refuse fewer than two classes, and no photo to train on."""
    root, classes = samples.root, samples.classes
    lost = not_usable(unreadable)
    if len(classes) < 2:
        have = f"one class only, {listed(classes)}" if classes else "no photo that can be used"
        raise DataError(
            f"'{root}' has {have}; a classifier needs two classes, each in a folder of its own: "
            f"{TREE}.{lost}"
        )
    if "train" not in parts:
        raise DataError(
            f"No photo in '{root / 'train'}' can be used. Add some, or split again.{lost}"
        )


def _split(parts: Mapping[str, IntArray], made: Manifest | None) -> Split:
    return Split(parts, made.recipe.seed, made.recipe.ratio) if made else Split(parts)


# --- photos without labels ----------------------------------------------------------------------


def with_unlabelled(
    dataset: Dataset, folder: Path, cache: Path = CACHE
) -> tuple[Dataset, IntArray]:
    """The dataset with the photos under a folder as further rows, in no part and of no class.

    A photo that the dataset has already, or nearly, is left out: its label is known, or must not
    be. So is one that comes twice.

    Returns:
        The dataset, and the new rows.

    Raises:
        DataError: no such folder, or no photo in it that is new.
    """
    names, refused = photos_under(folder)
    if not names:
        raise DataError(f"No photo in '{folder}'. Name a folder of photos with --pseudo-label.")
    samples = dataset.samples
    known = set(samples.digests)
    paths, digests = [], []
    for name, found in zip(names, digest_files([Path(name) for name in names], cache), strict=True):
        if isinstance(found, Rejected):
            refused.append(Rejected(name, found.reason))
        elif found not in known:
            known.add(found)
            paths.append(str(Path(name).absolute()))
            digests.append(found)
    files = [*samples.files(), *paths]
    groups, _ = duplicate_groups(files, [*samples.digests, *digests], "near", cache)
    old, new = np.split(groups, [len(samples)])
    fresh = np.flatnonzero(~np.isin(new, old)).tolist()
    rows = np.arange(len(samples), len(samples) + len(fresh))
    if not fresh:
        raise DataError(
            f"None of the {len(names)} photos in '{folder}' is new: the dataset has them all, or "
            "nearly, or they cannot be read. Name a folder of other photos with --pseudo-label."
        )
    joined = replace(
        samples,
        paths=samples.paths + tuple(paths[i] for i in fresh),
        targets=np.concatenate([samples.targets, np.full(len(fresh), -1)]),
        groups=np.concatenate([samples.groups, samples.groups.max(initial=0) + 1 + new[fresh]]),
        digests=samples.digests + tuple(digests[i] for i in fresh),
        locations=samples.locations and samples.locations + tuple(paths[i] for i in fresh),
    )
    return replace(dataset, samples=joined, rejected=(*dataset.rejected, *refused)), rows
