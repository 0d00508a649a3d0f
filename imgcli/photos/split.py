"""`raw/` becomes `dataset/`: photos assigned to train, test and, if asked for, validation."""

import os
import shlex
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np

from imgcli import aside, staging
from imgcli.class_folders import Place
from imgcli.errors import DataError, StorageError, WrongUsage
from imgcli.files import refuse_case_twins
from imgcli.folder_names import AS_FOUND, Levels
from imgcli.locations import Member, as_words, locations_of
from imgcli.photos import grouping, manifest
from imgcli.photos.assign import DEFAULT_FOLDS, choose_parts, suggested_folds
from imgcli.photos.first_reading import read_once
from imgcli.photos.grouping import check_group_by, join_groups
from imgcli.photos.hashing import by_path, hash_files, remember
from imgcli.photos.layout import ARE_CLASSES, Layout, layout_in_place, not_usable, read_layout
from imgcli.photos.manifest import Duplicates, Link, Manifest, PlacedPhoto, Recipe
from imgcli.photos.near_duplicates import groups_by_path
from imgcli.records import IntArray, PhotosInPlace, Rejected
from imgcli.remote.uris import is_uri
from imgcli.runs import CACHE
from imgcli.text import count, listed


@dataclass(frozen=True)
class SplitResult:
    """What a split did."""

    out: Path
    seed: int
    ratio: float
    classes: Mapping[str, Mapping[str, int]]  # class: photos per part
    groups_kept_together: int  # groups of two photos or more
    groups: int  # in all
    grouped_by: tuple[str, ...]
    left_out: Mapping[str, int]  # class: photos, of those with fewer than min_photos
    rejected: tuple[Rejected, ...]  # by their paths in the raw folder
    notes: tuple[str, ...]  # sentences about whatever is out of the ordinary


@dataclass(frozen=True, eq=False)
class _Photos:
    """The photos of the raw folder that can be used."""

    paths: list[str]  # (N,) relative to the raw folder, sorted
    sources: list[str]  # (N,) the same, or where those in place are
    inner: list[str]  # (N,) relative to the class folder
    classes: tuple[str, ...]  # (K,) sorted
    targets: IntArray  # (N,)
    groups: IntArray  # (N,)
    digests: list[str]  # (N,)
    sizes: list[int]  # (N,) bytes
    left_out: dict[str, int]  # class: photos, of those with fewer than min_photos
    notes: tuple[str, ...]  # about groups


@dataclass(frozen=True, eq=False)
class SplitPlan:
    """Where each photo goes."""

    raw: str  # the folder, the shards or the table, as it was typed
    old: Manifest | None  # of the dataset that is updated
    manifest: Manifest  # of the dataset that is to be made
    rejected: tuple[Rejected, ...]  # by their paths in `raw`, sorted
    lost: tuple[str, ...]  # classes none of whose photos can be used
    left_out: Mapping[str, int]  # class: photos, of those with fewer than min_photos
    grouped: tuple[str, ...] = ()  # sentences about groups


def split_folder(
    raw: Path | PhotosInPlace,
    out: Path = Path("dataset"),
    *,
    ratio: float | None = None,
    val: float | None = None,
    seed: int | None = None,
    duplicates: Duplicates | None = None,
    link: Link | None = None,
    group_by: Sequence[str] | None = None,
    group_table: str | None = None,
    min_photos: int | None = None,
    update: bool = False,
    force: bool = False,
    levels: Levels = AS_FOUND,
    cache: Path = CACHE,
) -> SplitResult:
    """Make `out/{train,test[,val]}/<class>/<photo>` from `raw/<class>/<photo>`.

    Of photos in place, which a shard or table names, `out` has `split.json` alone.
    Nothing under `raw` changes. A choice that is None is as in `Recipe` or, with `update`, as the
    dataset was split before. Stopped half way, by Ctrl-C or a full disk, it leaves no `out`, or the
    old one as it was.

    Args:
        update: keep every photo that `out` holds in its part and assign only the new ones.
        group_by: what joins photos into groups beside duplicates; see `photos.grouping`.
        min_photos: of a class; smaller classes are left out.
        force: replace an `out` that exists.
        levels: which folders of `raw` are the classes.

    Raises:
        WrongUsage: choices that cannot be meant, `update` with `force`, or a tree that can be read
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
        ratio=ratio,
        val=val,
        seed=seed,
        duplicates=duplicates,
        link=link,
        group_by=tuple(group_by) if group_by else None,
        group_table=group_table,
        min_photos=min_photos,
    )
    recipe.shares()  # refuses wrong ones
    check_group_by(recipe.grouping)
    if recipe.min_photos < 1:
        raise WrongUsage(f"--min-photos {recipe.min_photos} must be at least 1.")
    _check_places(raw, out)
    layout = _class_folders(raw, levels)
    if layout.in_place and recipe.link != "auto":
        raise WrongUsage(
            f"--link {recipe.link} places photos, and those of '{layout.name}' are read where "
            "they are. Leave it out; to have files, import them: imgcli import "
            f"{as_words(layout.name)}"
        )
    began = time.time_ns()
    if not (force or update) and staging.is_occupied(out):
        plan = _plan_made(layout, recipe, out, cache)
        return describe(plan, out, note=f"'{out}' is this very split already; nothing was changed.")
    with staging.staged_folder(out, replace=force or update, user_files=user_files) as staged:
        if old is not None and manifest.read_manifest(out) != old:
            raise StorageError(f"'{out}' was split again by another imgcli. Run this again.")
        plan = plan_split(layout, recipe, out, old, cache)
        copied = write_split(plan, out, staged.folder)
    if not layout.in_place:
        _remember(plan, out, copied, began, cache)
    return describe(plan, out, copied, staged.kept)


def plan_split(
    layout: Layout, recipe: Recipe, out: Path, old: Manifest | None = None, cache: Path = CACHE
) -> SplitPlan:
    """Read every photo, find duplicates and assign each photo to a part.

    Args:
        out: the dataset folder.
        old: keeps the parts of the photos in it.
    """
    photos, unreadable = _readable(layout, recipe, cache)
    before = old.parts_of(photos.digests, photos.sources) if old else {}
    parts = choose_parts(
        photos.targets,
        photos.groups,
        photos.digests,
        recipe.shares(),
        recipe.seed,
        before,
        large_groups=bool(recipe.group_by),
    )
    placed = _placed(layout, photos, parts)
    return SplitPlan(
        raw=layout.name,
        old=old,
        manifest=Manifest(recipe, layout.name, photos.classes, placed, _read_from(layout, out)),
        rejected=tuple(sorted(layout.rejected + unreadable, key=lambda item: item.path)),
        lost=tuple(sorted(set(layout.classes) - {*photos.classes, *photos.left_out})),
        left_out=photos.left_out,
        grouped=photos.notes,
    )


def write_split(plan: SplitPlan, out: Path, folder: Path) -> int:
    """Fill `folder`, which is to become `out`.

    Returns:
        How many photos had to be copied though links were asked for.
    """
    made = plan.manifest
    if made.read_from is not None:
        made.write(folder)
        return 0
    refuse_case_twins([photo.path for photo in made.photos], out, folder)
    copied = manifest.place_photos(made.photos, Path(plan.raw), out, folder, made.recipe.link)
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
        groups=len(sizes),
        grouped_by=made.recipe.group_by,
        left_out=plan.left_out,
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


def _class_folders(raw: Path | PhotosInPlace, levels: Levels) -> Layout:
    """The layout of a folder to be split; a dataset, or one without photos, is refused."""
    layout = read_layout(raw, levels) if isinstance(raw, Path) else layout_in_place(raw)
    if layout.parts:
        raise DataError(
            f"'{raw}' is split already, into {listed(sorted(layout.parts))}. Give it to the later "
            f"commands as it is, with `--data {raw}`. {ARE_CLASSES}"
        )
    if "" in layout.errors:
        raise layout.errors[""]
    _check_classes(layout.name, layout.photos, layout.rejected if layout.in_place else ())
    return layout


def _plan_made(layout: Layout, recipe: Recipe, out: Path, cache: Path) -> SplitPlan:
    """The plan of a split that `out` holds exactly.

    Raises:
        StorageError: it holds anything else.
    """
    made = manifest.read_manifest(out)
    # These are quickly seen, before all photos are read.
    if made is None or (made.recipe, made.source) != (recipe, layout.name):
        raise staging.occupied(out)
    if not set(map(layout.source, layout.photos)) >= {photo.source for photo in made.photos}:
        raise staging.occupied(out)
    plan = plan_split(layout, recipe, out, cache=cache)
    placed = () if layout.in_place else (photo.path for photo in made.photos)
    whole = {manifest.NAME, *placed} == set(aside.files_in(out))
    if plan.manifest != made or not whole or manifest.user_files(out, cache):
        raise staging.occupied(out)
    return plan


def _remember(plan: SplitPlan, out: Path, copied: int, began: int, cache: Path) -> None:
    """Remember the digests of the photos as they are now."""
    # A hard link changes the times of its file; what was just hashed need not be hashed again.
    # Copies, and the photos that were copied, are known already or too young to be remembered.
    placed = plan.manifest.photos
    if plan.manifest.recipe.link in ("auto", "hard") and copied < len(placed):
        digests = [photo.sha256 for photo in placed]
        remember([f"{plan.raw}/{photo.source}" for photo in placed], digests, began, cache)


def _check_places(raw: Path | PhotosInPlace, out: Path) -> None:
    if isinstance(raw, PhotosInPlace):
        if is_uri(raw.name):
            return
        raw = Path(raw.name)
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
    raw: str,
    photos: Mapping[str, Place],
    unreadable: Sequence[Rejected] = (),
    left_out: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Refuse classes that cannot be split; before the photos are read, and again after."""
    counts = Counter(place.label for place in photos.values())
    lost = not_usable(unreadable)
    if left_out and len(counts) < 2:
        raise DataError(
            f"--min-photos leaves {count(len(counts), 'class', 'classes')} of '{raw}', and a "
            f"classifier needs two. Left out: {_with_numbers(left_out)}."
        )
    if not counts:
        raise DataError(f"No photo in '{raw}' can be used.{lost}")
    if len(counts) == 1:
        (only,) = counts
        raise DataError(
            f"'{raw}' has one class only, '{only}'; a classifier needs two, each in a folder of "
            f"its own.{lost}"
        )


def _readable(layout: Layout, recipe: Recipe, cache: Path) -> tuple[_Photos, list[Rejected]]:
    """Read every photo: its digest and its group, or why it cannot be used."""
    if layout.in_place and recipe.duplicates == "near":
        read_once(list(layout.in_place.locations.values()), cache)
    paths = list(layout.photos)
    hashed = hash_files(locations_of(layout.where, paths), cache)
    digests, unread = by_path(paths, hashed.digests)
    bytes_of = dict(zip(paths, hashed.sizes.tolist(), strict=True))
    duplicates, undecodable = groups_by_path(layout.where, digests, recipe.duplicates, cache)
    rejected = sorted(unread + undecodable, key=lambda item: item.path)
    if layout.in_place:
        rejected = [Rejected(layout.source(item.path), item.reason) for item in rejected]
    sizes = Counter(layout.photos[path].label for path in duplicates)
    left_out = {label: n for label, n in sorted(sizes.items()) if n < recipe.min_photos}
    kept = {path: n for path, n in duplicates.items() if layout.photos[path].label not in left_out}
    used = {path: layout.photos[path] for path in kept}
    _check_classes(layout.name, used, rejected, left_out)
    found = join_groups(kept, recipe.grouping, grouping.Photos.of(layout, digests))
    groups = found.groups
    classes = tuple(sorted({place.label for place in used.values()}))
    position = {name: i for i, name in enumerate(classes)}
    photos = _Photos(
        paths=list(used),
        sources=[layout.source(path) for path in used],
        inner=[layout.inner(path) for path in used],
        classes=classes,
        targets=np.array([position[place.label] for place in used.values()]),
        groups=np.array(list(groups.values())),
        digests=[digests[path] for path in used],
        sizes=[bytes_of[path] for path in used],
        left_out=left_out,
        notes=found.notes,
    )
    return photos, rejected


def _placed(
    layout: Layout, photos: _Photos, parts: Mapping[str, IntArray]
) -> tuple[PlacedPhoto, ...]:
    """Where each photo goes, sorted by path."""
    labels = [photos.classes[target] for target in photos.targets.tolist()]
    inner = zip(labels, photos.inner, strict=True)
    names = manifest.flat_names(dict(zip(photos.paths, inner, strict=True)))
    offsets = [
        location.offset if isinstance(location, Member) else None
        for location in (locations_of(layout.where, photos.paths) if layout.in_place else ())
    ] or [None] * len(photos.paths)
    groups = photos.groups.tolist()
    placed = []
    for part, rows in parts.items():
        for row in rows.tolist():
            placed.append(
                PlacedPhoto(
                    path=f"{part}/{labels[row]}/{names[photos.paths[row]]}",
                    source=photos.sources[row],
                    size=photos.sizes[row],
                    sha256=photos.digests[row],
                    group=groups[row],
                    part=part,
                    offset=offsets[row],
                )
            )
    return tuple(sorted(placed, key=lambda photo: photo.path))


def _read_from(layout: Layout, out: Path) -> str | None:
    """The folder of photos in place, as the dataset names it: relative, where it was typed so."""
    if layout.in_place is None:
        return None
    folder = layout.in_place.folder
    if is_uri(folder):
        return folder
    if os.path.isabs(layout.name):
        return os.path.abspath(folder)
    return os.path.relpath(os.path.realpath(folder), out.parent.resolve() / out.name)


def _what_changed(old: Manifest, new: Manifest, raw: str) -> str:
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
    yield from plan.grouped
    if plan.left_out:
        least = plan.manifest.recipe.min_photos
        yield f"Left out, with fewer than {least} photos: {_with_numbers(plan.left_out)}."
    yield from _rare_classes(plan.manifest)
    first: dict[int, PlacedPhoto] = {}
    torn = {}
    for photo in placed:
        if first.setdefault(photo.group, photo).part != photo.part:
            torn[photo.group] = photo
    if torn:
        one = next(iter(torn.values()))
        yield (
            f"In two parts: {len(torn)} of the groups of {_of_what(plan.manifest)}, as "
            f"{listed([first[one.group].path, one.path])}. What was placed before is not moved; to "
            "bring them together, split again with --force."
        )


def _rare_classes(made: Manifest) -> Iterator[str]:
    """Sentences about classes that cannot be judged, and those that ten folds cannot hold out."""
    groups: dict[str, set[int]] = {name: set() for name in made.classes}
    trained: dict[str, set[int]] = {name: set() for name in made.classes}
    photos = Counter(labels := [photo.label for photo in made.photos])
    tested = set()
    for label, photo in zip(labels, made.photos, strict=True):
        groups[label].add(photo.group)
        if photo.part == "train":
            trained[label].add(photo.group)
        elif photo.part == "test":
            tested.add(label)
    untested = [name for name in made.classes if name not in tested]
    if single := [name for name in untested if photos[name] == 1]:
        yield (
            f"One photo only, in train: class {listed(single)}. How well it is recognised cannot "
            "be judged. Add photos, merge it into another, or leave it out: --min-photos 2"
        )
    if together := [name for name in untested if photos[name] > 1 == len(groups[name])]:
        yield (
            f"No test photo of class {listed(together)}: all its photos are one group of "
            f"{_of_what(made)}, which stays together, in train. How well it is recognised cannot "
            f"be judged. Add other photos, or see "
            f"{'--group-by' if made.recipe.group_by else '--duplicates'}."
        )
    if rest := [name for name in untested if name not in {*single, *together}]:
        yield (
            f"No test photo of class {listed(rest)}: too few of its groups of {_of_what(made)} "
            "can leave train. Add other photos, or use another --seed."
        )
    few = {name: n for name in made.classes if 1 < (n := len(trained[name])) < DEFAULT_FOLDS}
    if few:
        what = "groups" if made.recipe.group_by else "independent photos"
        k = suggested_folds([len(of_class) for of_class in trained.values()])
        then = "for cross-validation use" if k < DEFAULT_FOLDS else "each is in as many folds of"
        yield (
            f"Fewer than {DEFAULT_FOLDS} {what} to train on: {_with_numbers(few)}; {then} "
            f"`imgcli evaluate --folds {k}`."
        )
    if once := [name for name in made.classes if len(trained[name]) == 1 and name in tested]:
        yield (
            f"One {'group' if made.recipe.group_by else 'independent photo'} only to train on, "
            f"which no fold can hold out: class {listed(once)}."
        )


def _of_what(made: Manifest) -> str:
    return "--group-by and duplicates" if made.recipe.group_by else "duplicates"


def _with_numbers(classes: Mapping[str, int]) -> str:
    """Classes with a number each, the smallest first: "'owl' (1), 'elk' (2) and 7 more"."""
    ordered = sorted(classes, key=lambda name: (classes[name], name))
    shown = ", ".join(f"{listed([name])} ({classes[name]:,})" for name in ordered[:5])
    return f"{shown} and {len(ordered) - 5} more" if len(ordered) > 5 else shown
