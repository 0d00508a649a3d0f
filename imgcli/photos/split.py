"""`raw/` becomes `dataset/`: photos dealt into train, test and, where asked for, validation."""

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
from imgcli.errors import DataError, StorageError, WrongUsage
from imgcli.photos import manifest
from imgcli.photos.assign import choose_parts
from imgcli.photos.hashing import digest_files, remember
from imgcli.photos.layout import RENAME_CLASSES, find_manifest, part_folders, scan
from imgcli.photos.manifest import Duplicates, Link, Manifest, PlacedPhoto, Recipe
from imgcli.photos.near_duplicates import duplicate_groups
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
    classes: tuple[str, ...]  # (K,) sorted
    targets: IntArray  # (N,)
    groups: IntArray  # (N,)
    digests: list[str]  # (N,)


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
    cache: Path = CACHE,
) -> SplitResult:
    """Make `out/{train,test[,val]}/<class>/<photo>` from `raw/<class>/<photo>`.

    Nothing under `raw` changes. A choice that is None is as in `Recipe` or, with `update`, as the
    dataset was split before. Stopped half way, by Ctrl-C or a full disk, it leaves no `out`, or the
    old one as it was.

    Args:
        update: keep every photo that `out` holds in its part and deal only the new ones.
        force: replace an `out` that exists.

    Raises:
        WrongUsage: shares that cannot be meant, or `update` with `force`.
        DataError: the photos, their classes or the old `split.json` cannot serve.
        StorageError: `out` exists, lies inside `raw` or around it, or the disk is too small.
    """
    if update and force:
        raise WrongUsage("--update keeps what the dataset holds, --force replaces it. Use one.")
    user_files = partial(manifest.user_files, cache=cache)
    staging.recover(out, user_files)
    old = _old_manifest(out) if update else None
    recipe = (old.recipe if old else Recipe()).with_(
        ratio=ratio, val=val, seed=seed, duplicates=duplicates, link=link
    )
    shares = recipe.shares()
    _check_places(raw, out)
    _refuse_split(raw)
    scanned, rejected = scan(raw)
    _check_classes(raw, scanned)
    began = time.time_ns()
    if not (force or update) and staging.is_occupied(out):
        photos, unreadable, placed = _found_done(out, raw, scanned, recipe, cache)
        copied, said = 0, f"'{out}' is this very split already; nothing was changed."
    else:
        replace = force or update
        with staging.staged_folder(out, replace=replace, user_files=user_files) as staged:
            _refuse_changed(out, old)
            photos, unreadable = _readable(raw, scanned, recipe.duplicates, cache)
            placed = _layout(raw, photos, _parts(photos, recipe, old))
            copied = manifest.place_photos(placed, raw, out, staged.folder, recipe.link)
            Manifest(recipe, str(raw), photos.classes, placed).write(staged.folder)
        said = staged.kept or ""
        _remember(recipe, raw, out, placed, copied, began, cache)

    counts = Counter((photo.label, photo.part) for photo in placed)
    notes = [_what_changed(old, photos, raw)] if old else []
    notes += _oddities(scanned, photos, placed)
    if copied:
        notes.append(f"Copied: {copied}, since hard links from '{raw}' do not reach '{out}'.")
    if said:
        notes.append(said)
    return SplitResult(
        out=out,
        seed=recipe.seed,
        ratio=recipe.ratio,
        classes={name: {part: counts[name, part] for part in shares} for name in photos.classes},
        groups_kept_together=int((np.bincount(photos.groups) > 1).sum()),
        rejected=tuple(sorted(rejected + unreadable, key=lambda item: item.path)),
        notes=tuple(notes),
    )


def _old_manifest(out: Path) -> Manifest:
    old = manifest.read_manifest(out)
    if old is not None:
        return old
    missing = f"There is nothing to update: no '{out / manifest.NAME}'."
    kept = [path for path in aside.set_aside_of(out) if (path / manifest.NAME).is_file()]
    if kept and not staging.is_occupied(out):  # splitting anew could bring test photos into train
        move = f"mv {shlex.quote(str(kept[-1]))} {shlex.quote(str(out))}"
        raise DataError(f"{missing} '{kept[-1]}' beside it holds a split: bring it back, `{move}`")
    raise DataError(f"{missing} Split without --update.")


def _refuse_changed(out: Path, old: Manifest | None) -> None:
    """Refuse to update a dataset that another imgcli has updated since its manifest was read."""
    if old is not None and manifest.read_manifest(out) != old:
        raise StorageError(f"'{out}' was split again by another imgcli. Run this again.")


def _refuse_split(raw: Path) -> None:
    """Refuse to split a dataset."""
    if parts := part_folders(raw, find_manifest(raw)):
        raise DataError(
            f"'{raw}' is split already, into {listed(sorted(parts))}. Give it to the later "
            f"commands as it is, with `--data {raw}`. {RENAME_CLASSES}"
        )


def _found_done(
    out: Path, raw: Path, scanned: Sequence[tuple[str, str]], recipe: Recipe, cache: Path
) -> tuple[_Photos, list[Rejected], tuple[PlacedPhoto, ...]]:
    """Find that `out` holds exactly what this split would make.

    Raises:
        StorageError: it holds anything else.
    """
    made = manifest.read_manifest(out)
    sources = {path for path, _ in scanned}
    # These are quickly seen, before all photos are read.
    if made is None or (made.recipe, made.source) != (recipe, str(raw)):
        raise staging.occupied(out)
    if not sources.issuperset(photo.source for photo in made.photos):
        raise staging.occupied(out)
    photos, unreadable = _readable(raw, scanned, recipe.duplicates, cache)
    placed = _layout(raw, photos, _parts(photos, recipe, None))
    whole = {manifest.NAME, *(photo.path for photo in placed)} == set(aside.files_in(out))
    if Manifest(recipe, str(raw), photos.classes, placed) != made or not whole:
        raise staging.occupied(out)
    if manifest.user_files(out, cache):
        raise staging.occupied(out)
    return photos, unreadable, placed


def _parts(photos: _Photos, recipe: Recipe, old: Manifest | None) -> dict[str, IntArray]:
    """The rows of each part; what the old dataset holds stays in its part."""
    before = old.parts_of(photos.digests, photos.sources) if old else {}
    return choose_parts(
        photos.targets, photos.groups, photos.digests, recipe.shares(), recipe.seed, before
    )


def _remember(
    recipe: Recipe,
    raw: Path,
    out: Path,
    placed: Sequence[PlacedPhoto],
    copied: int,
    began: int,
    cache: Path,
) -> None:
    """Remember the digests under all names that the photos have now."""
    # A hard link changes the times of its file; what was just hashed need not be hashed again.
    digests = [photo.sha256 for photo in placed]
    names = [(f"{raw}/{photo.source}", f"{out}/{photo.path}") for photo in placed]
    if copied or recipe.link == "copy":  # two files, where a link is another name of one
        remember([(source,) for source, _ in names], digests, began, cache)
        remember([(target,) for _, target in names], digests, began, cache)
    else:
        remember(names, digests, began, cache)


def _check_places(raw: Path, out: Path) -> None:
    source, target = raw.resolve(), out.resolve()
    if target.is_relative_to(source):
        raise StorageError(
            f"--out '{out}' lies inside '{raw}', where nothing is written. Name a place outside."
        )
    if source.is_relative_to(target):
        raise StorageError(
            f"'{raw}' lies inside --out '{out}', which is made anew. Name another --out."
        )


def _check_classes(
    raw: Path, photos: Sequence[tuple[str, str]], unreadable: Sequence[Rejected] = ()
) -> None:
    """Refuse classes that cannot be split; before the photos are read, and again after."""
    counts = Counter(label for _, label in photos)
    lost = ""
    if unreadable:
        lost = f" Not usable: {listed([item.path for item in unreadable], 3)}"
        lost += f" ({unreadable[0].reason})."
    if not counts:
        raise DataError(f"No photo in '{raw}' can be used.{lost}")
    if len(counts) == 1:
        (only,) = counts
        wrapped = len({path.split("/")[1] for path, _ in photos if path.count("/") > 1}) > 1
        remedy = f" If its folders are the classes, split '{raw / only}'." if wrapped else ""
        raise DataError(
            f"'{raw}' has one class only, '{only}'; a classifier needs two, each in a folder of "
            f"its own.{remedy}{lost}"
        )
    single = sorted(label for label, n in counts.items() if n == 1)
    if single:
        which = f"Class {listed(single)} has" if len(single) == 1 else f"{listed(single)} have"
        raise DataError(
            f"{which} one photo in '{raw}'; a class needs two, one to train and one to test on. "
            f"Add photos, merge the class into another, or move its folder out.{lost}"
        )


def _readable(
    raw: Path, scanned: Sequence[tuple[str, str]], duplicates: Duplicates, cache: Path
) -> tuple[_Photos, list[Rejected]]:
    """Read every photo: its digest and its group, or why it cannot be used."""
    files = [f"{raw}/{path}" for path, _ in scanned]  # a Path for each takes a second for 100,000
    found = dict(enumerate(digest_files(files, cache)))
    reasons = {row: what.reason for row, what in found.items() if isinstance(what, Rejected)}
    digests = {row: what for row, what in found.items() if isinstance(what, str)}
    rows = list(digests)
    groups, faults = duplicate_groups(
        [files[row] for row in rows], list(digests.values()), duplicates, cache
    )
    group_of = dict(zip(rows, groups.tolist(), strict=True))
    reasons |= {rows[index]: reason for index, reason in faults}

    good = [row for row in rows if row not in reasons]
    rejected = [Rejected(scanned[row][0], reason) for row, reason in sorted(reasons.items())]
    _check_classes(raw, [scanned[row] for row in good], rejected)
    classes = tuple(sorted({scanned[row][1] for row in good}))
    position = {name: i for i, name in enumerate(classes)}
    photos = _Photos(
        sources=[scanned[row][0] for row in good],
        classes=classes,
        targets=np.array([position[scanned[row][1]] for row in good]),
        groups=np.array([group_of[row] for row in good]),
        digests=[digests[row] for row in good],
    )
    return photos, rejected


def _layout(raw: Path, photos: _Photos, parts: Mapping[str, IntArray]) -> tuple[PlacedPhoto, ...]:
    """Where each photo goes, sorted by path."""
    names = manifest.flat_names(photos.sources)
    labels = [photos.classes[target] for target in photos.targets.tolist()]
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


def _what_changed(old: Manifest, photos: _Photos, raw: Path) -> str:
    before, now = Counter(photo.sha256 for photo in old.photos), Counter(photos.digests)
    kept = (before & now).total()
    return (
        f"Updated: {now.total() - kept} added, {before.total() - kept} dropped that '{raw}' no "
        f"longer holds, {kept} left in their parts."
    )


def _oddities(
    scanned: Sequence[tuple[str, str]], photos: _Photos, placed: Sequence[PlacedPhoto]
) -> Iterator[str]:
    """Sentences about classes and groups that could not be treated like the others."""
    lost = {label for _, label in scanned} - set(photos.classes)
    if lost:
        yield f"Left out, since none of its photos can be used: class {listed(sorted(lost))}."
    untested = set(photos.classes) - {photo.label for photo in placed if photo.part == "test"}
    if untested:
        yield (
            f"No test photo of class {listed(sorted(untested))}: its photos are duplicates, which "
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
            "bring them together, split anew with --force."
        )
