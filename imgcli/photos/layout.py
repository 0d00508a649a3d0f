"""The one walk of folders: the photos, and the class and the part of each.

    root/<class>/<photo>                       class folders
    root/{train,test[,val]}/<class>/<photo>    a dataset, of `imgcli split` or made elsewhere

    root/
      cat/017.jpg          class cat
      cat/2024/a.jpg       class cat: sub-folders belong to their class folder
      dog -> /data/dogs    class dog: a class folder may be a link
      readme.jpg           no class: listed as rejected

`part_folders` decides for every command whether a folder is a dataset. The walk opens no photo:
`decode` finds out whether a file is a picture. Only the suffixes that no camera, browser or scraper
gives a picture are rejected here, so that a `labels.csv` beside the photos is not hashed, linked
and split like one.
"""

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from imgcli import provenance, staging
from imgcli.errors import DataError
from imgcli.image_types import OTHER_SUFFIXES
from imgcli.photos.manifest import FOLDERS, Manifest, read_manifest, user_files
from imgcli.records import Rejected
from imgcli.text import listed

# Compared in lower case; whatever begins with a dot is hidden besides.
IGNORED_NAMES = {
    "thumbs.db",
    "desktop.ini",
    "__macosx",
    provenance.NAME,
    "credits.html",
    "merge.json",
}

TREE = "root/<class>/<photo>, one folder per class"
RENAME_CLASSES = "If its folders are classes, rename 'train'."


class Place(NamedTuple):
    """The class and the part of a photo."""

    label: str
    part: str | None  # "train", "val" or "test"; None in class folders


@dataclass(frozen=True, eq=False)
class Layout:
    """The photos of a folder and their places; all paths relative to it, with "/"."""

    root: Path
    manifest: Manifest | None  # of `imgcli split`
    parts: Mapping[str, str]  # the part of each part folder; empty for class folders
    photos: dict[str, Place]
    rejected: list[Rejected]
    errors: Mapping[str, DataError]  # of part folders without photos; "" stands for `root`

    @property
    def classes(self) -> list[str]:
        """The names of the classes, sorted."""
        return sorted({place.label for place in self.photos.values()})


def find_photos(root: Path) -> Layout:
    """Find the photos of class folders or of a dataset.

    Raises:
        DataError: no such folder, no photos in class folders, or a damaged manifest.
        StorageError: the folder was being replaced when imgcli was killed, and cannot be recovered.
    """
    layout = read_layout(root)
    if (layout.manifest and not layout.parts) or (layout.parts and not layout.photos):
        raise DataError(
            f"'{root}' holds no photos in train/<class>/ or test/<class>/. {RENAME_CLASSES}"
        )
    if "" in layout.errors:
        raise layout.errors[""]
    return layout


def read_layout(root: Path) -> Layout:
    """As `find_photos`; a folder without photos is an error in the layout, which is not raised."""
    made = find_manifest(root)
    parts = part_folders(root, made)
    photos: dict[str, Place] = {}
    rejected: list[Rejected] = []
    errors: dict[str, DataError] = {}
    for folder, part in parts.items() or [("", None)]:
        prefix = f"{folder}/" if folder else ""
        try:
            found, unused = scan(root / folder)
        except DataError as error:
            errors[folder] = error
            if folder:
                rejected.append(Rejected(folder, "a part without photos in class folders"))
            continue
        photos |= {prefix + path: Place(label, part) for path, label in found}
        rejected += (Rejected(prefix + item.path, item.reason) for item in unused)
    return Layout(root, made, parts, photos, rejected, errors)


def find_manifest(root: Path) -> Manifest | None:
    """The manifest of a folder that is about to be read; None where there is none.

    If imgcli was killed while it replaced the folder, that is finished or undone first.

    Raises:
        DataError: the manifest is damaged.
        StorageError: the folder was being replaced when imgcli was killed, and cannot be recovered.
    """
    staging.recover(root, user_files)
    return read_manifest(root)


def part_folders(root: Path, made: Manifest | None) -> dict[str, str]:
    """The part of each part folder of a dataset; empty for class folders.

    A dataset has a manifest, or folders that are all named as parts, train among them. With other
    folders beside these, "train" is a class, unless train and a held-out part share class folders.
    """
    part_of = {name: part for part, names in FOLDERS.items() for name in names}
    tops = _folders_in(root)
    parts = {name: part for name, part in part_of.items() if name in tops}
    if made or ("train" in parts and parts.keys() == set(tops)):
        return parts
    in_train = set(_folders_in(root / "train")) if "train" in parts else set()
    held_out = {name for top in parts if top != "train" for name in _folders_in(root / top)}
    return parts if in_train & held_out else {}


def scan(root: Path) -> tuple[list[tuple[str, str]], list[Rejected]]:
    """Find the photos of the class folders in `root`.

    Returns:
        (path, class) of each photo, paths relative to `root` with "/", sorted by code point; and
        the rejected files and folders.

    Raises:
        DataError: no such folder, a file, no photo at all, or no class folders.
    """
    if not root.is_dir():
        raise _not_a_folder(root)
    photos: list[tuple[str, str]] = []
    rejected: list[Rejected] = []
    loose: list[str] = []
    here = _identity(root)
    for entry in _entries(root):
        if not _is_folder(entry):
            _sort_file(entry, entry.name, loose, rejected)
            continue
        files: list[str] = []
        before = len(rejected)
        _walk(entry.path, entry.name, here, files, rejected)
        photos += ((path, entry.name) for path in files)
        if not files and len(rejected) == before:
            rejected.append(Rejected(entry.name, "a class folder without photos"))
    if not photos:
        raise _no_photos(root, loose, rejected)
    rejected += (Rejected(path, f"is outside the class folders ({TREE})") for path in loose)
    return sorted(photos), sorted(rejected, key=lambda r: r.path)


def _folders_in(root: Path) -> list[str]:
    """The names of the folders in `root`, sorted; empty if there is no such folder."""
    try:
        return sorted(entry.name for entry in _entries(root) if _is_folder(entry))
    except (FileNotFoundError, NotADirectoryError):
        return []


def photos_under(path: Path) -> tuple[list[str], list[Rejected]]:
    """The photos of a folder and its sub-folders, or a single file, without classes.

    Raises:
        DataError: there is nothing at `path`.
    """
    files: list[str] = []
    rejected: list[Rejected] = []
    staging.recover(path)
    if path.is_dir():
        _walk(str(path), str(path), None, files, rejected)
    elif path.exists():
        files.append(str(path))
    else:
        raise DataError(f"No file or folder '{path}'. Name photos, or folders that hold some.")
    return sorted(files), sorted(rejected, key=lambda r: r.path)


def _walk(
    top: str,
    name: str,
    root: tuple[int, int] | None,
    files: list[str],
    rejected: list[Rejected],
) -> None:
    """Add the files under the folder `top`, each named from `name` on.

    Links to folders are followed at the top only, so the one way to go round in circles is a class
    folder that is a link to a folder around `root`: stopped where the walk would enter `root`.
    """
    folders = [(top, name)]
    while folders:
        folder, relative = folders.pop()
        try:
            if _identity(folder) == root:
                rejected.append(Rejected(relative, "a link that leads back to the folder scanned"))
                continue
            entries = list(_entries(folder))
        except OSError as error:
            rejected.append(Rejected(relative, f"cannot be listed: {error.strerror}"))
            continue
        for entry in entries:
            path = f"{relative}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                folders.append((entry.path, path))
            else:
                _sort_file(entry, path, files, rejected)


def _entries(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    """The entries of `folder` without hidden files and the files of systems and of imgcli."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name.lower()
            if not (name.startswith(".") or name in IGNORED_NAMES):
                yield entry


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or a link to one; a link in a circle is neither."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _sort_file(
    entry: os.DirEntry[str], path: str, files: list[str], rejected: list[Rejected]
) -> None:
    """Add an entry other than a folder to the files or the rejected; it is never opened."""
    reason = _rejection(entry)
    if reason is None:
        files.append(path)
    else:
        rejected.append(Rejected(path, reason))


def _rejection(entry: os.DirEntry[str]) -> str | None:
    """The reason why an entry cannot be a photo; None if it may be one."""
    extension = os.path.splitext(entry.name)[1].lower()
    try:
        if entry.is_file():
            return (
                f"not a picture, by its name ({extension})" if extension in OTHER_SUFFIXES else None
            )
        if _is_folder(entry):
            return "a link to a folder inside a class folder; only class folders may be links"
    except OSError as error:  # a link that points at itself, or to where we may not look
        return f"a broken link: {error.strerror}"
    if entry.is_symlink() and not os.path.exists(entry.path):
        return "a broken link"
    return "neither a file nor a folder"


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _not_a_folder(root: Path) -> DataError:
    if root.exists():
        return DataError(
            f"'{root}' is a file, not a folder of class folders. "
            f"Import it first: imgcli import {shlex.quote(str(root))} --out raw"
        )
    return DataError(
        f"No folder '{root}'. Name a folder of class folders ({TREE}), "
        "or make one with `imgcli import`."
    )


def _no_photos(root: Path, loose: list[str], rejected: list[Rejected]) -> DataError:
    if loose:
        n = f"{len(loose)} photos" if len(loose) > 1 else "one photo"
        return DataError(
            f"'{root}' holds {n} ({listed(sorted(loose), 3)}) but no class folders. "
            f"Put each photo into a folder named after its class: {TREE}."
        )
    others = f" (only {listed([r.path for r in rejected], 3)})" if rejected else ""
    return DataError(f"'{root}' holds no photos{others}. What is expected is {TREE}.")
