"""`imgcli check`: faults and outliers among the photos of a folder.

The folder is `root/<class>/<photo>`, or a dataset `root/{train,test[,val]}/<class>/<photo>`. It is
only read. Photos go through the pass that `split` makes, so what either has decoded, the other has
not to decode again.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from imgcli import provenance
from imgcli.class_folders import Place
from imgcli.folder_names import AS_FOUND, Levels
from imgcli.locations import Location, Where, as_listed, locations_of, size_of
from imgcli.photos.associations import Association, associations, in_bins, uneven
from imgcli.photos.decode import FORMATS
from imgcli.photos.first_reading import read_once
from imgcli.photos.grouping import names_of
from imgcli.photos.hashing import digests_by_path
from imgcli.photos.layout import Layout, find_photos
from imgcli.photos.likely_groups import each_sentence, likely_groups
from imgcli.photos.manifest import Manifest
from imgcli.photos.metadata import FLAGS, Metadata, read_metadata
from imgcli.photos.near_duplicates import FileFingerprints, StoredThumbnails, fingerprint_files
from imgcli.photos.quality import (
    Conflict,
    Group,
    Issue,
    conflicts,
    joined,
    placeholders,
    quality_issues,
)
from imgcli.photos.quarantine import Move
from imgcli.photos.shortcuts import find_shortcuts
from imgcli.records import FloatArray, IntArray
from imgcli.remote.uris import is_uri
from imgcli.runs import CACHE


@dataclass(frozen=True)
class Unreadable:
    """A file that gives no picture."""

    path: str
    stage: str  # how far it came: "read", "identify", "open", "limit", "decode", "convert"
    reason: str


@dataclass(frozen=True, eq=False)
class Checked:
    """What a check found."""

    root: Path
    places: Mapping[str, Place]  # of the photos that can be used, by path
    files: int  # in all
    unreadable: list[Unreadable]
    duplicates: list[Group]  # of equal bytes
    near_duplicates: list[Group]  # with two contents at least; copies of equal bytes among them
    conflicts: list[Conflict]
    issues: list[Issue]
    associations: list[Association]
    metadata: Mapping[str, int]  # photos that have it

    @property
    def classes(self) -> dict[str, int]:
        """Photos per class."""
        return dict(sorted(Counter(place.label for place in self.places.values()).items()))

    @property
    def parts(self) -> dict[str, int]:
        """Photos per part; of a folder of class folders, which has none, an empty one."""
        return dict(sorted(Counter(p.part for p in self.places.values() if p.part).items()))


def check_folder(root: Path, cache: Path = CACHE, levels: Levels = AS_FOUND) -> Checked:
    """Look at every photo under `root`.

    Raises:
        DataError: no such folder, or no photos in class folders.
        WrongUsage: it can be read in more than one way.
    """
    layout = find_photos(root, levels)
    places, made = layout.photos, layout.manifest
    paths = sorted(places)
    where = layout.where
    if layout.in_place and is_uri(layout.in_place.folder):
        where = as_listed(layout.in_place.locations, layout.in_place.folder)
        read_once(list(where.values()), cache)
    digests, unread = digests_by_path(where, paths, cache)
    unreadable = [Unreadable(item.path, "read", item.reason) for item in unread]
    photos = _Photos.look(where, digests, cache, unreadable)
    used = {path: places[path] for path in photos.paths}
    recorded, sources = _recorded(layout)
    exact, near = photos.groups()
    same = joined(exact, near)
    issues = [
        *(Issue("not-used", item.reason, item.path) for item in layout.rejected),
        *_changed(digests, recorded, made),
        *(Issue("range", sentence) for sentence in photos.found.ranges),
        *placeholders(same, used),
        *quality_issues(
            photos.paths,
            [used[path].label for path in photos.paths],
            photos.metadata,
            photos.found.fingerprints,
            photos.row,
        ),
    ]
    checked = Checked(
        root=root,
        places=used,
        files=len(paths),
        unreadable=sorted(unreadable, key=lambda item: item.path),
        duplicates=exact,
        near_duplicates=near,
        conflicts=list(conflicts(same, used)),
        issues=issues,
        associations=_associations(photos, used, sources),
        metadata={key: int(getattr(photos.metadata, key).sum()) for key in FLAGS},
    )
    if used:
        warnings = uneven({label: checked.classes.get(label, 0) for label in layout.classes})
        issues += (Issue("balance", what, label=label) for label, what in warnings.items())
    issues += (Issue(f"class-{a.attribute}", a.sentence) for a in checked.associations if a.tells)
    issues += _shortcuts(photos, used)
    issues += _likely_groups(photos, layout)
    return checked


# --- what they were when they came --------------------------------------------------------------


def _recorded(layout: Layout) -> tuple[dict[str, str], dict[str, str]]:
    """The SHA-256 that each path had when it was placed, and where each content came from."""
    made = layout.manifest
    lines: list[Mapping[str, Any]] = []
    with suppress(OSError):
        lines = list(provenance.read(layout.folders[-1]))
    sources = {line["sha256"]: str(line["source"]) for line in lines if line.get("source")}
    if made:
        return {photo.path: photo.sha256 for photo in made.photos}, sources
    return {line["path"]: line["sha256"] for line in lines}, sources


def _changed(
    digests: Mapping[str, str], recorded: Mapping[str, str], made: Manifest | None
) -> Iterator[Issue]:
    """Photos that are not what they were when they were collected or split."""
    when = "since the split" if made else "since it was collected"
    for path, digest in digests.items():
        if recorded.get(path, digest) != digest:
            yield Issue("changed", f"has changed {when}: its SHA-256 is another", path)
    for path in sorted(recorded.keys() - digests.keys()) if made else ():
        yield Issue("missing", f"is gone, or cannot be read, {when}", path)


# --- photos that show the same ------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Photos:
    """The N photos that can be decoded."""

    paths: list[str]
    locations: list[Location]
    digests: list[str]
    metadata: Metadata[FloatArray]
    found: FileFingerprints  # of all files, in the order of `file`
    file: IntArray  # (N,)
    group: IntArray  # (N,)

    @classmethod
    def look(
        cls, where: Where, digests: Mapping[str, str], cache: Path, unreadable: list[Unreadable]
    ) -> "_Photos":
        """Decode the files, or find what is kept of them; what gives no picture is added."""
        names, shas = list(digests), list(digests.values())
        files = locations_of(where, names)
        found = fingerprint_files(files, shas, cache)
        unreadable += (Unreadable(names[i], f.stage, f.sentence) for i, f in found.faults.items())
        good = np.flatnonzero(found.row >= 0)
        metadata = read_metadata([files[i] for i in good], [shas[i] for i in good], cache)
        return cls(
            paths=[names[i] for i in good],
            locations=[files[i] for i in good],
            digests=[shas[i] for i in good],
            metadata=metadata,
            found=found,
            file=good,
            group=found.groups()[good],
        )

    @property
    def row(self) -> IntArray:
        """(N,) of each photo's fingerprint."""
        return self.found.row[self.file]

    def groups(self) -> tuple[list[Group], list[Group]]:
        """Those of equal bytes, and those that show nearly the same."""
        exact: dict[str, list[int]] = defaultdict(list)
        near: dict[int, list[int]] = defaultdict(list)
        for i, (digest, group) in enumerate(zip(self.digests, self.group.tolist(), strict=True)):
            exact[digest].append(i)
            near[group].append(i)
        return (
            [self._group(members) for members in exact.values() if len(members) > 1],
            [
                self._group(members)
                for members in near.values()
                if len({self.digests[i] for i in members}) > 1
            ],
        )

    def _group(self, members: list[int]) -> Group:
        keep, *others = sorted(members, key=self._rank)
        distances = self.found.distances(int(self.file[keep]), self.file[others])
        return Group(
            tuple(self.paths[i] for i in (keep, *others)),
            (
                0.0,
                *(
                    0.0 if self.digests[i] == self.digests[keep] else round(float(d), 3)
                    for i, d in zip(others, distances, strict=True)
                ),
            ),
        )

    def _rank(self, i: int) -> tuple[float, int, str]:
        size = size_of(self.locations[i])
        return -min(self.metadata.width[i], self.metadata.height[i]), -size, self.paths[i]


# --- what a model could learn instead of the class ----------------------------------------------


def _associations(
    photos: _Photos, places: Mapping[str, Place], sources: Mapping[str, str]
) -> list[Association]:
    if not photos.paths:
        return []
    metadata = photos.metadata
    properties = {
        "size": in_bins(metadata.width * metadata.height / 1e6, "megapixels", 3),
        "shape": in_bins(metadata.width / metadata.height, "times as wide as high", 2),
        "format": [FORMATS[number] for number in metadata.format.astype(int).tolist()],
        "source": [f"from {sources.get(digest, 'elsewhere')}" for digest in photos.digests],
    }
    return associations([places[path].label for path in photos.paths], properties)


def _shortcuts(photos: _Photos, places: Mapping[str, Place]) -> Iterator[Issue]:
    """Classes that a mark at one place gives away, with the photos that have it."""
    labels = [places[path].label for path in photos.paths]
    pictures = StoredThumbnails(photos.found.fingerprints, photos.row)
    for one in find_shortcuts(pictures, labels, photos.group):
        some = tuple(photos.paths[i] for i in one.rows)
        yield Issue("shortcut", one.sentence, label=one.label, paths=some)


# --- photos that belong together ----------------------------------------------------------------


def _likely_groups(photos: _Photos, layout: Layout) -> Iterator[Issue]:
    """Signs that photos belong together, unless the dataset was split by groups."""
    root, made = layout.root, layout.manifest
    if not photos.paths or (made and made.recipe.group_by):
        return
    names = names_of(layout)[0]
    rows = [i for i, path in enumerate(photos.paths) if path in names]
    taken = [(str(photos.metadata.camera[i]), float(photos.metadata.taken[i])) for i in rows]
    creators: dict[str, str | None] = {}
    with suppress(OSError):
        lines = provenance.read(layout.folders[-1])
        creators = {line["sha256"]: line.get("creator") for line in lines}
    found = likely_groups(
        [names[photos.paths[i]] for i in rows],
        [layout.photos[photos.paths[i]].label for i in rows],
        [None if np.isnan(one[1]) else one for one in taken],
        [creators.get(photos.digests[i]) for i in rows],
    )
    folder = quote(str(root))
    command = f"imgcli split {folder}"
    if made:
        command = f"imgcli split {quote(made.source)} --out {folder} --force"
    elif layout.parts:
        command = f"imgcli train --arch ARCH --data {folder}"
    parts = [layout.photos[photos.paths[i]].part for i in rows]
    for one, sentence in each_sentence(found, command, parts):
        yield Issue("likely-groups", sentence, group_by=one.group_by)


# --- what --fix takes out -----------------------------------------------------------------------

Chosen = Iterator[tuple[str, str]]  # path and reason


def moves(checked: Checked, kinds: Iterable[str]) -> list[Move]:
    """What to move for these kinds of `KINDS`; each photo once, for the first that names it."""
    chosen: dict[str, Move] = {}
    for kind in kinds:
        for path, reason in KINDS[kind](checked):
            chosen.setdefault(path, Move(path, kind, reason))
    return list(chosen.values())


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
    "unreadable": lambda checked: ((item.path, item.reason) for item in checked.unreadable),
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
