"""`raw/` becomes `dataset/`: photos assigned to train, test and, if asked for, validation."""

import os
import shlex
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from imgcli import aside, staging
from imgcli.class_folders import Place
from imgcli.errors import DataError, StorageError, WrongUsage
from imgcli.folder_names import AS_FOUND, Levels
from imgcli.photos import manifest
from imgcli.photos.assign import choose_parts
from imgcli.photos.hashing import digests_by_path, remember
from imgcli.photos.layout import ARE_CLASSES, Layout, read_layout
from imgcli.photos.manifest import Duplicates, Link, Manifest, PlacedPhoto, Recipe
from imgcli.photos.near_duplicates import groups_by_path
from imgcli.records import IntArray, Rejected
from imgcli.runs import CACHE
from imgcli.text import listed


@dataclass(frozen=True)
class SplitResult:
    """What a split did."""

    out: Path
    seed: int
    ratio: float
    classes: Mapping[str, Mapping[str, int]]  # class: photos per part
    groups_kept_together: int  # groups of two photos or more
    rejected: tuple[Rejected, ...]  # by their paths in the raw folder
    notes: tuple[str, ...]  # sentences about whatever is out of the ordinary


@dataclass(frozen=True, eq=False)
class _Photos:
    """The photos of the raw folder that can be used."""

    sources: list[str]  # (N,) relative to the raw folder, sorted
    inner: list[str]  # (N,) relative to the class folder
    classes: tuple[str, ...]  # (K,) sorted
    targets: IntArray  # (N,)
    groups: IntArray  # (N,)
    digests: list[str]  # (N,)


@dataclass(frozen=True, eq=False)
class SplitPlan:
    """Where each photo goes."""

    raw: Path
    old: Manifest | None  # of the dataset that is updated
    manifest: Manifest  # of the dataset that is to be made
    rejected: tuple[Rejected, ...]  # by their paths in `raw`, sorted
    lost: tuple[str, ...]  # classes none of whose photos can be used


def split_folder(
    raw: Path,
    out: Path = Path("dataset"),
    *,
    ratio: float | None = None,
    val: float | None = None,
    seed: int | None = None,
    duplicates: Duplicates | None = None,
    link: Link | None = None,
    update: bool = False,
    force: bool = False,
    levels: Levels = AS_FOUND,
    cache: Path = CACHE,
) -> SplitResult:
    """Make `out/{train,test[,val]}/<class>/<photo>` from `raw/<class>/<photo>`.

    Nothing under `raw` changes. A choice that is None is as in `Recipe` or, with `update`, as the
    dataset was split before. Stopped half way, by Ctrl-C or a full disk, it leaves no `out`, or the
    old one as it was.

    Args:
        update: keep every photo that `out` holds in its part and assign only the new ones.
        force: replace an `out` that exists.
        levels: which folders of `raw` are the classes.

    Raises:
        WrongUsage: shares that cannot be meant, `update` with `force`, or a tree that can be read
            in more than one way.
        DataError: the photos, their classes or the old `split.json` cannot serve.
        StorageError: `out` exists, is inside `raw` or around it, or the disk is too small.
    """
    if update and force:
        raise WrongUsage("--update keeps what the dataset holds, --force replaces it. Use one.")
    user_files = partial(manifest.user_files, cache=cache)
    staging.recover(out, user_files)
    old = _old_manifest(out) if update else None
    recipe = (old.recipe if old else Recipe()).with_(
        ratio=ratio, val=val, seed=seed, duplicates=duplicates, link=link
    )
    recipe.shares()  # refuses wrong ones
    _check_places(raw, out)
    layout = _class_folders(raw, levels)
    began = time.time_ns()
    if not (force or update) and staging.is_occupied(out):
        plan = _plan_made(layout, recipe, out, cache)
        return describe(plan, out, note=f"'{out}' is this very split already; nothing was changed.")
    with staging.staged_folder(out, replace=force or update, user_files=user_files) as staged:
        if old is not None and manifest.read_manifest(out) != old:
            raise StorageError(f"'{out}' was split again by another imgcli. Run this again.")
        plan = plan_split(layout, recipe, old, cache)
        copied = write_split(plan, out, staged.folder)
    _remember(plan, out, copied, began, cache)
    return describe(plan, out, copied, staged.kept)


def plan_split(
    layout: Layout, recipe: Recipe, old: Manifest | None = None, cache: Path = CACHE
) -> SplitPlan:
    """Read every photo, find duplicates and assign each photo to a part.

    Args:
        old: keeps the parts of the photos in it.
    """
    raw = layout.root
    photos, unreadable = _readable(layout, recipe.duplicates, cache)
    before = old.parts_of(photos.digests, photos.sources) if old else {}
    parts = choose_parts(
        photos.targets, photos.groups, photos.digests, recipe.shares(), recipe.seed, before
    )
    return SplitPlan(
        raw=raw,
        old=old,
        manifest=Manifest(recipe, str(raw), photos.classes, _placed(raw, photos, parts)),
        rejected=tuple(sorted(layout.rejected + unreadable, key=lambda item: item.path)),
        lost=tuple(sorted(set(layout.classes) - set(photos.classes))),
    )


def write_split(plan: SplitPlan, out: Path, folder: Path) -> int:
    """Fill `folder`, which is to become `out`.

    Returns:
        How many photos had to be copied though links were asked for.
    """
    made = plan.manifest
    copied = manifest.place_photos(made.photos, plan.raw, out, folder, made.recipe.link)
    made.write(folder)
    return copied


def describe(plan: SplitPlan, out: Path, copied: int = 0, note: str | None = None) -> SplitResult:
    """What a split did, with a sentence about whatever is out of the ordinary."""
    made = plan.manifest
    counts = Counter((photo.label, photo.part) for photo in made.photos)
    sizes = Counter(photo.group for photo in made.photos)
    notes = [_what_changed(plan.old, made, plan.raw)] if plan.old else []
    notes += _warnings(plan)
    if copied:
        notes.append(f"Copied: {copied}, since hard links from '{plan.raw}' do not reach '{out}'.")
    return SplitResult(
        out=out,
        seed=made.recipe.seed,
        ratio=made.recipe.ratio,
        classes={
            name: {part: counts[name, part] for part in made.recipe.shares()}
            for name in made.classes
        },
        groups_kept_together=sum(size > 1 for size in sizes.values()),
        rejected=plan.rejected,
        notes=(*notes, note) if note else tuple(notes),
    )


def _old_manifest(out: Path) -> Manifest:
    old = manifest.read_manifest(out)
    if old is not None:
        return old
    missing = f"There is nothing to update: no '{out / manifest.NAME}'."
    kept = [path for path in aside.set_aside_of(out) if (path / manifest.NAME).is_file()]
    if kept and not staging.is_occupied(out):  # splitting again could bring test photos into train
        move = f"mv {shlex.quote(str(kept[-1]))} {shlex.quote(str(out))}"
        raise DataError(f"{missing} '{kept[-1]}' beside it holds a split: bring it back, `{move}`")
    raise DataError(f"{missing} Split without --update.")


def _class_folders(raw: Path, levels: Levels) -> Layout:
    """The layout of a folder to be split; a dataset, or one without photos, is refused."""
    layout = read_layout(raw, levels)
    if layout.parts:
        raise DataError(
            f"'{raw}' is split already, into {listed(sorted(layout.parts))}. Give it to the later "
            f"commands as it is, with `--data {raw}`. {ARE_CLASSES}"
        )
    if "" in layout.errors:
        raise layout.errors[""]
    _check_classes(raw, layout.photos)
    return layout


def _plan_made(layout: Layout, recipe: Recipe, out: Path, cache: Path) -> SplitPlan:
    """The plan of a split that `out` holds exactly.

    Raises:
        StorageError: it holds anything else.
    """
    made = manifest.read_manifest(out)
    # These are quickly seen, before all photos are read.
    if made is None or (made.recipe, made.source) != (recipe, str(layout.root)):
        raise staging.occupied(out)
    if not layout.photos.keys() >= {photo.source for photo in made.photos}:
        raise staging.occupied(out)
    plan = plan_split(layout, recipe, cache=cache)
    whole = {manifest.NAME, *(photo.path for photo in made.photos)} == set(aside.files_in(out))
    if plan.manifest != made or not whole or manifest.user_files(out, cache):
        raise staging.occupied(out)
    return plan


def _remember(plan: SplitPlan, out: Path, copied: int, began: int, cache: Path) -> None:
    """Remember the digests under all names that the photos have now."""
    # A hard link changes the times of its file; what was just hashed need not be hashed again.
    placed = plan.manifest.photos
    digests = [photo.sha256 for photo in placed]
    names = [(f"{plan.raw}/{photo.source}", f"{out}/{photo.path}") for photo in placed]
    if copied or plan.manifest.recipe.link == "copy":  # two files, no link with two names
        remember([(source,) for source, _ in names], digests, began, cache)
        remember([(target,) for _, target in names], digests, began, cache)
    else:
        remember(names, digests, began, cache)


def _check_places(raw: Path, out: Path) -> None:
    source, target = raw.resolve(), out.resolve()
    if target.is_relative_to(source):
        raise StorageError(
            f"--out '{out}' is inside '{raw}', where nothing is written. Name a place outside."
        )
    if source.is_relative_to(target):
        raise StorageError(
            f"'{raw}' is inside --out '{out}', which is made again. Name another --out."
        )


def _check_classes(
    raw: Path, photos: Mapping[str, Place], unreadable: Sequence[Rejected] = ()
) -> None:
    """Refuse classes that cannot be split; before the photos are read, and again after."""
    counts = Counter(place.label for place in photos.values())
    lost = ""
    if unreadable:
        lost = f" Not usable: {listed([item.path for item in unreadable], 3)}"
        lost += f" ({unreadable[0].reason})."
    if not counts:
        raise DataError(f"No photo in '{raw}' can be used.{lost}")
    if len(counts) == 1:
        (only,) = counts
        raise DataError(
            f"'{raw}' has one class only, '{only}'; a classifier needs two, each in a folder of "
            f"its own.{lost}"
        )
    single = sorted(label for label, n in counts.items() if n == 1)
    if single:
        which = f"Class {listed(single)} has" if len(single) == 1 else f"{listed(single)} have"
        raise DataError(
            f"{which} one photo in '{raw}'; a class needs two, one to train and one to test on. "
            f"Add photos, merge the class into another, or move its folder out.{lost}"
        )


def _readable(
    layout: Layout, duplicates: Duplicates, cache: Path
) -> tuple[_Photos, list[Rejected]]:
    """Read every photo: its digest and its group, or why it cannot be used."""
    raw = layout.root
    digests, unread = digests_by_path(raw, list(layout.photos), cache)
    groups, undecodable = groups_by_path(raw, digests, duplicates, cache)
    rejected = sorted(unread + undecodable, key=lambda item: item.path)
    used = {path: layout.photos[path] for path in groups}
    _check_classes(raw, used, rejected)
    classes = tuple(sorted({place.label for place in used.values()}))
    position = {name: i for i, name in enumerate(classes)}
    photos = _Photos(
        sources=list(used),
        inner=[layout.inner(path) for path in used],
        classes=classes,
        targets=np.array([position[place.label] for place in used.values()]),
        groups=np.array(list(groups.values())),
        digests=[digests[path] for path in used],
    )
    return photos, rejected


def _placed(raw: Path, photos: _Photos, parts: Mapping[str, IntArray]) -> tuple[PlacedPhoto, ...]:
    """Where each photo goes, sorted by path."""
    labels = [photos.classes[target] for target in photos.targets.tolist()]
    inner = zip(labels, photos.inner, strict=True)
    names = manifest.flat_names(dict(zip(photos.sources, inner, strict=True)))
    groups = photos.groups.tolist()
    placed = []
    for part, rows in parts.items():
        for row in rows.tolist():
            source = photos.sources[row]
            placed.append(
                PlacedPhoto(
                    path=f"{part}/{labels[row]}/{names[source]}",
                    source=source,
                    size=os.stat(f"{raw}/{source}").st_size,
                    sha256=photos.digests[row],
                    group=groups[row],
                    part=part,
                )
            )
    return tuple(sorted(placed, key=lambda photo: photo.path))


def _what_changed(old: Manifest, new: Manifest, raw: Path) -> str:
    before, now = (Counter(photo.sha256 for photo in made.photos) for made in (old, new))
    kept = (before & now).total()
    return (
        f"Updated: {now.total() - kept} added, {before.total() - kept} dropped that '{raw}' no "
        f"longer holds, {kept} left in their parts."
    )


def _warnings(plan: SplitPlan) -> Iterator[str]:
    """Sentences about classes and groups that could not be treated like the others."""
    placed = plan.manifest.photos
    if plan.lost:
        yield f"Left out, since none of its photos can be used: class {listed(plan.lost)}."
    tested = {photo.label for photo in placed if photo.part == "test"}
    if untested := sorted(set(plan.manifest.classes) - tested):
        yield (
            f"No test photo of class {listed(untested)}: its photos are duplicates, which "
            "stay together. Add other photos, or see --duplicates."
        )
    first: dict[int, PlacedPhoto] = {}
    torn = {}
    for photo in placed:
        if first.setdefault(photo.group, photo).part != photo.part:
            torn[photo.group] = photo
    if torn:
        one = next(iter(torn.values()))
        yield (
            f"In two parts: {len(torn)} of the groups of duplicates, as "
            f"{listed([first[one.group].path, one.path])}. What was placed before is not moved; to "
            "bring them together, split again with --force."
        )
