"""Photos that belong together: of one patient, one photographer, one burst, one camera.

    --group-by '(p\\d+)_'              what a pattern finds in the path
    --group-by column:patient         a column of a table beside or inside the folder
    --group-by provenance:creator     a field of provenance.jsonl
    --group-by exif:burst=30          one camera, each photo within 30 seconds of another

Several may be given, and near-duplicates belong together anyway: photos that any of them joins are
of one group, and so are those that they join in turn. A photo that a choice says nothing about is
alone by it. Groups follow from what is asked and from the photos, never from their parts.
"""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from imgcli import parquet_tables, provenance
from imgcli.class_folders import Place
from imgcli.config import GroupBy
from imgcli.errors import DataError, Refused, WrongUsage
from imgcli.locations import Where, locations_of, name_of
from imgcli.photo_files import Ambiguous, PhotoFiles, photo_column
from imgcli.photos.layout import Layout
from imgcli.photos.metadata import taken_of
from imgcli.records import Rejected
from imgcli.tables import SUFFIXES, column, table_rows
from imgcli.text import count, listed, percent

BURST = 10.0  # seconds
_EXAMPLES = {"column": "column:patient", "provenance": "provenance:creator"}
_TABLES = (*SUFFIXES, parquet_tables.SUFFIX, ".json")
_SAMPLE = 1000  # rows of a table that tell which column names the photos
_MOST = 0.5  # share of all photos in one group that is worth a sentence

Keys = dict[str, list[Hashable]]  # what each photo shares with others of its group, by path


@dataclass(frozen=True, eq=False)
class Photos:
    """The photos to be grouped, and where what is known of them is."""

    name: str  # of their folder, for messages
    names: Mapping[str, str]  # what a pattern sees of each, "<class>/<photo>", by path
    sources: Mapping[str, str]  # where each was in the folder that it came from, by path
    digests: Mapping[str, str]  # SHA-256 of each, by path
    folders: tuple[Path, ...]  # that the photos came from, with tables and provenance
    where: Where

    @classmethod
    def of(cls, layout: Layout, digests: Mapping[str, str]) -> "Photos":
        names, sources = names_of(layout)
        return cls(layout.name, names, sources, digests, layout.folders, layout.where)


def names_of(layout: Layout) -> tuple[dict[str, str], dict[str, str]]:
    """What a pattern sees of each photo, and where it came from, by path.

    Paths begin at the class folder, without the part, so that no group depends on one; of a
    dataset of `imgcli split` they are those of the folder that was split. Of photos in place they
    are made of the class and of the path in a shard or table.
    """
    if layout.in_place:
        return _names_in_place(layout.photos, layout.in_place.sources)
    if layout.manifest:
        sources = {photo.path: photo.source for photo in layout.manifest.photos}
        return sources, sources
    names = {
        path: "/".join(path.split("/")[place.depth - 1 :]) if place.part else path
        for path, place in layout.photos.items()
    }
    return names, {path: path for path in layout.photos}


def _names_in_place(
    photos: Mapping[str, Place], sources: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    inner = {path: name_of(source) for path, source in sources.items()}
    if len(set(inner.values())) < len(inner):  # one name in two shards
        inner = dict(sources)
    labels = {path: place.label for path, place in photos.items()}
    names = {path: f"{labels[path]}/{name.removeprefix(f'{labels[path]}/')}"
             for path, name in inner.items()}  # fmt: skip
    return names, inner


@dataclass(frozen=True)
class Grouped:
    """Groups by path, and sentences about them."""

    groups: dict[str, int]
    notes: tuple[str, ...] = ()


def check_group_by(asked: GroupBy) -> None:
    """Refuse what cannot be meant, before any photo is read.

    Raises:
        WrongUsage: no pattern, a pattern without a group, an unknown source, or a table for none.
    """
    for spec in asked.specs:
        kind, colon, what = spec.partition(":")
        if colon and kind == "exif":
            _burst_seconds(spec)
        elif colon and kind in _EXAMPLES:
            if not what.strip():
                raise WrongUsage(f"--group-by {spec} lacks a name, such as {_EXAMPLES[kind]}.")
        else:
            _pattern(spec)
    if asked.table is not None and not any(spec.startswith("column:") for spec in asked.specs):
        raise WrongUsage(
            f"--group-table {asked.table} goes with --group-by column:NAME, the column that names "
            "the groups."
        )


def join_groups(duplicates: Mapping[str, int], asked: GroupBy, photos: Photos) -> Grouped:
    """Groups of duplicates joined by what the user says belongs together.

    Args:
        duplicates: the group of each photo, by path; only these photos are grouped.

    Returns:
        The group of each photo, numbered from 0 in the order of `duplicates`.

    Raises:
        WrongUsage: as `check_group_by`.
        DataError: a choice joins nothing, or all photos; no such table, column or field.
    """
    check_group_by(asked)
    if not asked.specs:
        return Grouped(dict(duplicates))
    paths, specs = list(duplicates), dict.fromkeys(asked.specs)
    keys = {spec: _keys(spec, asked.table, paths, photos) for spec in specs}
    links: list[Keys] = [{path: [number] for path, number in duplicates.items()}, *keys.values()]
    groups = _joined(paths, links)
    notes = [_described(spec, len(duplicates), found) for spec, found in keys.items()]
    sizes = Counter(groups.values())
    if len(sizes) == 1 and len(groups) > 1:
        raise DataError(
            f"--group-by {listed(list(keys))} joins all "
            f"{count(len(groups), 'photo')} into one group, and no part may have a share of a "
            "group. Name what tells groups apart."
        )
    largest = max(sizes.values(), default=0)
    together = sum(size > 1 for size in sizes.values())
    without_duplicates = set(_joined(paths, keys.values()).values())
    if len(keys) > 1 or len(sizes) < len(without_duplicates):
        notes.append(
            f"Duplicates and groups joined: {count(len(sizes), 'group')}, {together:,} of them of "
            "two photos or more."
        )
    if largest > _MOST * len(groups):
        notes.append(f"The largest group has {percent(largest / len(groups))} of all photos.")
    return Grouped(groups, tuple(notes))


def _joined(paths: Sequence[str], links: Iterable[Keys]) -> dict[str, int]:
    """The groups of photos that share a key, or share one with a photo that does (union-find)."""
    row = {path: i for i, path in enumerate(paths)}
    parent = list(range(len(paths)))

    def top(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for keys in links:
        first: dict[Hashable, int] = {}
        for path, shared in keys.items():
            for key in shared:
                one, other = top(first.setdefault(key, row[path])), top(row[path])
                parent[max(one, other)] = min(one, other)
    seen: dict[int, int] = {}
    return {path: seen.setdefault(top(i), len(seen)) for path, i in row.items()}


def _described(spec: str, photos: int, keys: Keys) -> str:
    """The groups that one choice makes, in a sentence."""
    sizes = Counter(_joined(list(keys), [keys]).values()).values()
    low, high = min(sizes), max(sizes)
    each = f"{low:,} each" if low == high else f"{low:,} to {high:,} each"
    sentence = (
        f"--group-by '{spec}': {count(sum(sizes), 'photo')} in {count(len(sizes), 'group')}, {each}"
    )
    if high == 1:
        sentence += "; no two photos share one"
    if alone := photos - len(keys):
        sentence += f"; {count(alone, 'photo')} without one, each a group of its own"
    return f"{sentence}."


def _keys(spec: str, table: str | None, paths: Sequence[str], photos: Photos) -> Keys:
    kind, _, what = spec.partition(":")
    if spec.startswith("column:"):
        return _by_column(what.strip(), table, paths, photos)
    if spec.startswith("provenance:"):
        return _by_provenance(what.strip(), paths, photos)
    if kind == "exif":
        return _by_burst(spec, paths, photos)
    return _by_pattern(spec, paths, photos)


# --- paths --------------------------------------------------------------------------------------


def _by_pattern(spec: str, paths: Sequence[str], photos: Photos) -> Keys:
    pattern = _pattern(spec)
    keys: Keys = {}
    for path in paths:
        found = pattern.search(photos.names[path])
        if found and (key := _matched(found)):
            keys[path] = [key]
    if not keys:
        raise DataError(
            f"--group-by '{spec}' matches none of the {count(len(paths), 'path')} in "
            f"'{photos.name}', such as '{photos.names[paths[0]]}'."
        )
    return keys


def _matched(found: re.Match[str]) -> str | None:
    """The text of the group called "group", or else of the first that took part."""
    if "group" in found.re.groupindex:
        return found["group"]
    return next((text for text in found.groups() if text), None)


def _pattern(spec: str) -> re.Pattern[str]:
    """The regular expression of a choice.

    Raises:
        WrongUsage: it is none, or has no group.
    """
    try:
        pattern = re.compile(spec)
    except re.error as error:
        raise WrongUsage(
            f"--group-by '{spec}' is no regular expression ({error}). Write one such as "
            "'(p\\d+)_', or column:NAME, provenance:FIELD or exif:burst."
        ) from None
    if not pattern.groups:
        raise WrongUsage(
            f"--group-by '{spec}' has no group in parentheses, whose text would name the photos' "
            f"group; write '({spec})', say, or column:NAME, provenance:FIELD or exif:burst."
        )
    return pattern


# --- tables -------------------------------------------------------------------------------------


def _by_column(name: str, table: str | None, paths: Sequence[str], photos: Photos) -> Keys:
    tables = [Path(table)] if table else _tables(photos.folders)
    heads = {file: _columns(file, named=table is not None) for file in tables}
    having = [
        (file, own) for file, names in heads.items() if (own := column(names, [name.lower()]))
    ]
    if not having:
        raise DataError(_no_column(name, table, heads, photos))
    path_of = {photos.sources[path]: path for path in paths}
    files = PhotoFiles(Path(), names=path_of.keys())
    found = [(file, _of_rows(file, own, files, path_of)) for file, own in having]
    file, keys = max(found, key=lambda one: len(one[1]))
    if not keys:
        raise DataError(
            f"No row of '{file}' names a photo of '{photos.name}' and its '{name}'. A column is to "
            f"hold paths, file names or ids of photos such as '{photos.sources[paths[0]]}'."
        )
    same = [other for other, theirs in found if other != file and len(theirs) == len(keys)]
    if any(theirs != keys for other, theirs in found if other in same):
        raise DataError(
            f"{listed([file, *same])} all have a column '{name}', and differ. Name one with "
            "--group-table."
        )
    return keys


def _tables(folders: Iterable[Path]) -> list[Path]:
    """The tables inside the folders and beside them."""
    around = [place for folder in folders for place in (folder, folder.absolute().parent)]
    found = {
        file.resolve(): file
        for place in around
        if place.is_dir()
        for file in sorted(place.iterdir())
        if file.suffix.lower() in _TABLES and file.is_file() and file.name != provenance.NAME
    }
    return list(found.values())


def _columns(file: Path, *, named: bool) -> list[str]:
    """The columns of a table; none of one that cannot be read, unless the user named it.

    Raises:
        DataError: the table that the user named cannot be read.
    """
    try:
        rows = [row for _, row in islice(table_rows(file), 1) if not isinstance(row, Rejected)]
    except (OSError, Refused) as error:
        if named:
            reason = error.strerror if isinstance(error, OSError) else error
            raise DataError(f"--group-table '{file}' cannot be read ({reason}).") from None
        rows = []
    return list(rows[0]) if rows else []


def _no_column(
    name: str, table: str | None, heads: Mapping[Path, Sequence[str]], photos: Photos
) -> str:
    have = [f"'{file}' has {listed(names, 12)}" for file, names in heads.items() if names]
    if table:
        return f"--group-by column:{name}: {have[0] if have else f'{table!r} has no rows'}."
    if not have:
        return (
            f"--group-by column:{name}: no table inside or beside '{photos.name}'. Name one with "
            "--group-table FILE."
        )
    return f"--group-by column:{name}: {'; '.join(have[:3])}. Name another with --group-table FILE."


def _of_rows(file: Path, own: str, files: PhotoFiles, path_of: Mapping[str, str]) -> Keys:
    """What a column says of each photo; of a photo in several rows, all of them.

    Raises:
        DataError: a row may mean several photos.
    """
    rows = [row for _, row in table_rows(file) if not isinstance(row, Rejected)]
    others = [name for name in rows[0] if name != own] if rows else []
    photo = photo_column(others, rows[:_SAMPLE], files) if others else None
    if photo is None:
        return {}
    keys: Keys = defaultdict(list)
    for row in rows:
        value, named = _text(row.get(own)), _text(row.get(photo))
        if not value or not named:
            continue
        try:
            found = files.find(named, row)
            path = path_of.get(found) or path_of.get(os.path.normpath(found))
        except Ambiguous as error:
            raise DataError(
                f"'{file}' names '{named}', and {error}. Give paths with their folders."
            ) from None
        if path is not None:
            keys[path].append(value)
    return dict(keys)


def _text(value: Any) -> str:
    """A cell as text; empty for none, and 3 for the 3.0 of a column with gaps."""
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip()
    return "" if text.lower() in ("nan", "none", "null", "n/a", "na") else text


# --- provenance ---------------------------------------------------------------------------------


def _by_provenance(field: str, paths: Sequence[str], photos: Photos) -> Keys:
    lines = [line for folder in photos.folders for line in _lines(folder)]
    if not lines:
        raise DataError(
            f"--group-by provenance:{field}: no {provenance.NAME} in "
            f"{listed(photos.folders)}. It is there where photos came by `imgcli scrape` or "
            "`imgcli import`."
        )
    if not any(field in line for line in lines):
        known = sorted({key for line in lines for key in line} - {"path", "sha256", "size"})
        raise DataError(f"--group-by provenance:{field}: the lines have {listed(known, 20)}.")
    by_path = {line["path"]: _text(line.get(field)) for line in lines}
    by_content = {line["sha256"]: _text(line.get(field)) for line in lines}
    found = {
        path: by_path.get(photos.sources[path]) or by_content.get(photos.digests.get(path, ""))
        for path in paths
    }
    keys: Keys = {path: [value] for path, value in found.items() if value}
    if not keys:
        raise DataError(f"--group-by provenance:{field}: no photo of '{photos.name}' has one.")
    return keys


def _lines(folder: Path) -> Iterator[Mapping[str, Any]]:
    try:
        yield from provenance.read(folder)
    except OSError:
        return


# --- EXIF ---------------------------------------------------------------------------------------


def _by_burst(spec: str, paths: Sequence[str], photos: Photos) -> Keys:
    taken = taken_of(locations_of(photos.where, paths))
    known = {path: one for path, one in zip(paths, taken, strict=True) if one is not None}
    if not known:
        raise DataError(
            f"--group-by {spec}: no photo of '{photos.name}' says in its EXIF when it was taken."
        )
    numbers = bursts(list(known.values()), _burst_seconds(spec))
    return {path: [number] for path, number in zip(known, numbers, strict=True)}


def bursts(taken: Sequence[tuple[str, float]], seconds: float = BURST) -> list[int]:
    """The burst of each photo: one camera, and no longer than that from one photo to the next.

    Args:
        taken: camera and time in seconds.
    """
    order = sorted(range(len(taken)), key=lambda i: taken[i])
    numbers, number = [0] * len(taken), 0
    for before, i in zip([None, *order], order, strict=False):
        if before is not None:
            (camera, then), (other, now) = taken[before], taken[i]
            number += camera != other or now - then > seconds
        numbers[i] = number
    return numbers


def _burst_seconds(spec: str) -> float:
    """The seconds of exif:burst or exif:burst=SECONDS.

    Raises:
        WrongUsage: it is neither.
    """
    name, equals, text = spec.removeprefix("exif:").partition("=")
    try:
        seconds = float(text) if equals else BURST
    except ValueError:
        seconds = -1.0
    if name != "burst" or not 0 <= seconds < float("inf"):
        raise WrongUsage(
            f"--group-by {spec} is not known; use exif:burst, for one camera's photos within "
            f"{BURST:g} seconds of each other, or exif:burst=SECONDS."
        )
    return seconds
