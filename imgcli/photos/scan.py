"""The one scan: which files under a folder are photos, and of which class.

    root/
      cat/017.jpg          class cat
      cat/2024/a.jpg       class cat: sub-folders belong to their class folder
      dog -> /data/dogs    class dog: a class folder may be a link
      readme.jpg           no class: listed as rejected

The scan goes by place. Whether a file really is a picture is for `decode` to say; only extensions
that no camera, browser or scraper gives a picture are turned away here, so that a `labels.csv`
beside the photos is not hashed, linked and split like one.
"""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from imgcli import staging
from imgcli.errors import DataError
from imgcli.records import Rejected
from imgcli.text import listed

# Compared in lower case; whatever begins with a dot is hidden besides.
PASSED_OVER = {
    "thumbs.db",
    "desktop.ini",
    "__macosx",
    "provenance.jsonl",
    "credits.html",
    "merge.json",
}
NOT_PICTURES = {
    *(".txt", ".md", ".json", ".jsonl", ".csv", ".tsv", ".html", ".htm", ".xml", ".yaml", ".yml"),
    *(".toml", ".ini", ".cfg", ".log", ".py", ".sh", ".ipynb", ".xmp", ".aae"),
    *(".tmp", ".npy", ".npz", ".zip", ".tar", ".tgz", ".gz", ".7z", ".rar", ".parquet"),
    *(".mp4", ".mov", ".avi", ".mkv", ".mp3", ".wav"),
}

TREE = "root/<class>/<photo>, one folder per class"


def scan(root: Path) -> tuple[list[tuple[str, str]], list[Rejected]]:
    """Find the photos under `root` and their classes.

    Returns:
        (path, class) of each photo, paths relative to `root` with "/", sorted by plain code point;
        and what was found but is not used, by the same kind of path.

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
    rejected += (Rejected(path, f"lies outside the class folders ({TREE})") for path in loose)
    return sorted(photos), sorted(rejected, key=lambda r: r.path)


def folders_in(root: Path) -> list[str]:
    """The names of the folders in `root`, sorted; none where there is no such folder."""
    try:
        return sorted(entry.name for entry in _entries(root) if _is_folder(entry))
    except (FileNotFoundError, NotADirectoryError):
        return []


def photos_under(path: Path) -> tuple[list[str], list[Rejected]]:
    """The photos to look at where nobody has given a class: a file itself, or all in a folder.

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
    """What lies in `folder` and is neither hidden nor some system's or imgcli's own file."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name.lower()
            if not (name.startswith(".") or name in PASSED_OVER):
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
    """Put one entry that is not a folder among the files or the rejected; it is never opened."""
    reason = _why_not(entry)
    if reason is None:
        files.append(path)
    else:
        rejected.append(Rejected(path, reason))


def _why_not(entry: os.DirEntry[str]) -> str | None:
    """Why this entry cannot be a photo; None where it may be one."""
    extension = os.path.splitext(entry.name)[1].lower()
    try:
        if entry.is_file():
            return (
                f"not a picture, by its name ({extension})" if extension in NOT_PICTURES else None
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
