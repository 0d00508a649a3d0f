"""The relabel plan: photos that are to have another label, in a table that the user edits.

    accept,folder,path,label,new_label,score,reason,sha256
    yes,raw,cat/017.jpg,cat,dog,0.9871,"Out-of-fold probability 98.7 % for …",9f2c…

A row that is not accepted, or whose new label is its label or empty, leaves the photo as it is. A
text that begins with an apostrophe is protected from spreadsheets, as by `text.csv_text`. The
columns `folder`, `score`, `reason` and `sha256` may be missing; without `accept`, as in a table of
one's own, all rows are accepted. Nothing is moved before every row has been understood and every
photo found to be the one that was looked at.
"""

import csv
import difflib
import io
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from imgcli.class_folders import Place
from imgcli.errors import DataError, StorageError
from imgcli.files import write_atomic
from imgcli.folder_names import AS_FOUND, Levels
from imgcli.locations import Where, as_words, name_of
from imgcli.photos.hashing import digests_by_path
from imgcli.photos.layout import Layout, find_manifest, find_photos
from imgcli.photos.quarantine import Move, refuse_split
from imgcli.reading import read_regular
from imgcli.text import csv_text, free_suffixes, from_cell, listed

PLAN = Path("relabel.csv")
ACCEPT = "accept"
ACCEPTED = ("yes", "y", "x", "1", "true")  # what a user may write there
COLUMNS = (ACCEPT, "folder", "path", "label", "new_label", "score", "reason", "sha256")
NEEDED = ("path", "label", "new_label")
TOLD = ("folder", *NEEDED, "sha256")


@dataclass(frozen=True)
class Origin:
    """Where a photo of a dataset was collected."""

    path: str  # relative to the folder that was split; of a dataset made elsewhere, to itself
    sha256: str


def origins(data: Path, paths: Sequence[str]) -> tuple[Path, list[Origin]]:
    """The folder that a dataset was made of, and the paths of its photos in it.

    Raises:
        DataError: the dataset does not have one of them.
    """
    made = find_manifest(data)
    where: Where = data
    if made:
        if (folder := made.folder(data)) is not None:
            where = made.locations(folder)
        known = {photo.path: photo.source for photo in made.photos}
    else:
        known = {path: path for path in (find_photos(data).photos if data.is_dir() else ())}
    # Only what the dataset has is opened: the paths come from a file.
    digests, _ = digests_by_path(where, [path for path in paths if path in known])
    found = []
    for path in paths:
        if path not in digests:
            raise DataError(
                f"'{path}' is not in '{data}' any more: the run was evaluated on another dataset, "
                "or on this one before it was split again. Evaluate it again: imgcli evaluate "
                "--folds 10"
            )
        found.append(Origin(known[path], digests[path]))
    return Path(made.source) if made else data, found


# --- writing ------------------------------------------------------------------------------------


def write_plan(
    file: Path | None,
    folder: Path,
    origins: Sequence[Origin],
    issues: Sequence[Mapping[str, Any]],
) -> Path:
    """Write a plan; one that exists, and may have been edited, stays as it is.

    Args:
        file: None stands for `relabel.csv`, or the first of `relabel-2.csv`, … that is free.
        issues: the photos of `origins`, each with "label", "suggestion", "score" and "reason".

    Raises:
        StorageError: `file` exists, and holds something else.
    """
    rows: list[tuple[object, ...]] = [COLUMNS]
    for origin, issue in zip(origins, issues, strict=True):
        advice = (issue["suggestion"], f"{issue['score']:.4f}", issue["reason"])
        rows.append(("", folder, origin.path, issue["label"], *advice, origin.sha256))
    data = csv_text(rows).encode()
    free = (PLAN.with_stem(PLAN.stem + suffix) for suffix in free_suffixes())
    for place in [file] if file else free:
        if not os.path.lexists(place):
            write_atomic(place, data)
            return place
        if place.is_file() and place.read_bytes() == data:
            return place
    raise StorageError(
        f"'{file}' exists and holds something else, such as an edited plan. Name another --plan."
    )


# --- reading ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Row:
    where: str  # for messages: the line
    folder: str
    path: str
    label: str
    new_label: str
    sha256: str


def planned(
    file: Path, folder: Path | None, default: Path, levels: Levels = AS_FOUND
) -> tuple[Path, list[Move]]:
    """The folder that a plan, as the user left it, is about, and what is to be moved in it.

    Args:
        folder: in place of the one that the plan names.
        default: where neither names one.

    Raises:
        DataError: the plan cannot be read or meant, or is not about the photos there; the
            message names the line.
    """
    rows = _read(file)
    named = list(dict.fromkeys(row.folder for row in rows if row.folder))
    if len(named) > 1:
        raise DataError(f"The plan '{file}' is about {listed(named)}. Keep the rows of one folder.")
    root = folder or Path(named[0] if named else default)
    if not rows:
        return root, []
    refuse_split(root)
    if root.is_file() or any(name_of(row.path) != row.path for row in rows):
        raise DataError(
            f"The plan '{file}' is about photos that are read in place, and imgcli changes nothing "
            f"in '{root}'. Correct the labels there, then imgcli split {quote(str(root))} "
            f"--update; or make files of them: imgcli import {as_words(str(root))}"
        )
    layout = find_photos(root, levels)
    places = layout.photos
    for row in rows:
        _check_place(row, places.get(row.path), root)
    digests, _ = digests_by_path(root, [row.path for row in rows])
    for row in rows:
        _check_photo(row, digests.get(row.path), root)
    destinations, taken = Destinations.of(layout, root), set[str]()
    moves = []
    for row in rows:
        label = _known(row, layout.classes)
        moves.append(destinations.move(row.path, row.label, label, digests[row.path], taken))
    return root, moves


@dataclass(frozen=True, eq=False)
class Destinations:
    """Where in a folder of class folders a photo of another class goes."""

    root: Path
    layout: Layout
    spelt: Mapping[tuple[str, str], str]  # a class's folder as it is on disk, by part and class

    @classmethod
    def of(cls, layout: Layout, root: Path) -> "Destinations":
        spelt = {
            (layout.around(path), place.label): path.split("/")[place.depth - 1]
            for path, place in layout.photos.items()
        }
        return cls(root, layout, spelt)

    def move(self, path: str, old: str, label: str, sha256: str, taken: set[str]) -> Move:
        """The move of a photo of class `old` into the folder of `label`, in the same part.

        Args:
            taken: paths that other moves are about to take, in lower case; gets this one's.
        """
        around = self.layout.around(path)
        folder = f"{around}{self.spelt.get((around, label), label)}"
        to = _free(self.root, folder, path.split("/")[-1], sha256, taken)
        return Move(path, "label", f"is {label}, not {old}", to, sha256)


def _read(file: Path) -> list[_Row]:
    """The rows of a plan that ask for something."""
    try:
        text = read_regular(file).decode("utf-8", "surrogateescape").removeprefix("\ufeff")
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
        lines = [(reader.line_num, line) for line in reader]
    except (OSError, csv.Error) as error:
        raise DataError(
            f"The plan '{file}' cannot be read ({getattr(error, 'strerror', None) or error}). "
            "Write one with `imgcli check --labels`."
        ) from None
    if missing := [name for name in NEEDED if name not in (reader.fieldnames or ())]:
        raise DataError(
            f"The plan '{file}' has no column '{missing[0]}'. Keep its first line: "
            f"{','.join(COLUMNS)}"
        )
    rows: dict[str, _Row] = {}
    for number, line in lines:
        folder, path, label, new, sha256 = (from_cell(line.get(name) or "") for name in TOLD)
        accepted = from_cell(line.get(ACCEPT, ACCEPTED[0]) or "").strip().casefold() in ACCEPTED
        if not accepted or new.strip() in ("", label.strip()):
            continue
        row = _Row(f"Line {number} of '{file}'", folder, path, label, new, sha256.strip())
        if path in rows:
            raise DataError(f"{row.where} names '{path}' a second time. Keep one of the two lines.")
        rows[path] = row
    return list(rows.values())


def _delimiter(text: str) -> str:
    """Spreadsheets of some countries write semicolons."""
    first = text.partition("\n")[0]
    return ";" if first.count(";") > first.count(",") else ","


def _check_place(row: _Row, place: Place | None, root: Path) -> None:
    """Refuse a row that is about no photo of the folder, or of another class."""
    if place is None:
        raise _no_photo(row, root)
    if place.label != row.label:
        raise DataError(
            f"{row.where} labels '{row.path}' as {row.label}, but it is in {place.label}. Edit "
            "new_label alone, or write a new plan: imgcli check --labels"
        )


def _check_photo(row: _Row, digest: str | None, root: Path) -> None:
    """Refuse a row that is not about the photo at its path."""
    if digest is None:
        raise _no_photo(row, root)
    if row.sha256 not in ("", digest):
        raise DataError(
            f"{row.where} is about another photo than '{root / row.path}' is now: it has changed, "
            "or the plan was made for another folder. Look at it, and delete the line."
        )


def _no_photo(row: _Row, root: Path) -> DataError:
    return DataError(
        f"{row.where} is about '{row.path}', which is no photo in '{root}': the plan was made "
        "for another folder, or has been carried out. Write a new one: imgcli check --labels"
    )


def _known(row: _Row, classes: Sequence[str]) -> str:
    """The class that a row asks for; a slip of the finger would otherwise make a class."""
    for label in (row.new_label, row.new_label.strip(), from_cell(row.new_label.strip())):
        if label in classes:
            return label
    near = difflib.get_close_matches(row.new_label, classes, 1)
    hint = f"Did you mean '{near[0]}'?" if near else f"There are {listed(classes)}."
    raise DataError(
        f"{row.where} gives '{row.path}' the label '{row.new_label}', which is no class. {hint}"
    )


def _free(root: Path, folder: str, name: str, sha256: str, taken: set[str]) -> str:
    """A path in a class folder that nothing has, there or earlier in the plan."""
    stem, extension = os.path.splitext(name)
    tagged = f"{stem[:40]}-{sha256[:8]}"
    others = (f"{tagged}{suffix}{extension[:10]}" for suffix in free_suffixes())
    for choice in itertools.chain([name], others):
        path = f"{folder}/{choice}"
        if path.casefold() not in taken and not os.path.lexists(root / path):
            break
    taken.add(path.casefold())
    return path
