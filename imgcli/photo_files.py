"""The photos that a table means, found on disk although its paths are another machine's.

A table's cell may be a path relative to the table, a path of the machine it was made on, a file
name without its folder, or an id without folder and suffix. `PhotoFiles` finds the one file under
a folder that is meant, or says why there is none or more than one.
"""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from string import Formatter
from typing import Any

from imgcli.errors import WrongUsage
from imgcli.folder_names import is_system_file
from imgcli.image_types import PHOTO_SUFFIXES, is_photo_name
from imgcli.tables import IDS, PATHS, column
from imgcli.text import listed


class Ambiguous(ValueError):
    """Several files are called so; `str(error)` is the reason."""


class PhotoFiles:
    """The files under a folder, found by what a table calls them."""

    def __init__(
        self, root: Path, template: str | None = None, names: Collection[str] | None = None
    ) -> None:
        """Args:
        template: the path of a photo below `root`, with columns in braces: "{id}.jpg".
        names: the files there are, by their paths below `root`; by default those on the disk.
        """
        self.root = root
        self.template = template
        self.names = names

    def find(self, named: str, cells: Mapping[str, Any]) -> str:
        """The file that a row means; where there is none, the path that it would have.

        Args:
            named: what stands in the column of photos.
            cells: the whole row, for the template.

        Raises:
            Ambiguous: several have that name.
            WrongUsage: the template names a column that is not there.
        """
        if self.template is not None:
            return os.path.join(self.root, _filled(self.template, cells))
        file = os.path.join(self.root, named)
        if os.path.lexists(file) if self.names is None else named in self.names:
            return file
        steps = [step for step in named.replace("\\", "/").split("/") if step not in ("", ".")]
        if not steps or ".." in steps:
            return file
        found = self._by_name.get(_key(steps[-1])) or self._by_stem(steps[-1])
        return self._one(found, steps) if found else file

    def holds(self, named: str) -> bool:
        """Whether a row's cell means a file, or several."""
        last = named.replace("\\", "/").rsplit("/", 1)[-1]
        return bool(last) and bool(self._by_name.get(_key(last)) or self._by_stem(last))

    def photos(self) -> list[str]:
        """The paths of all photos below the root, sorted."""
        return sorted(path for paths in self._stems.values() for path in paths)

    def _one(self, found: Sequence[str], steps: Sequence[str]) -> str:
        """The file whose folders agree best with those of the path in the table."""
        agreeing: dict[int, list[str]] = defaultdict(list)
        around = [_key(step) for step in steps[-2::-1]]
        for path in found:
            folders = [_key(step) for step in path.split("/")[-2::-1]]
            pairs = zip(folders, around, strict=False)
            same = next((n for n, (one, other) in enumerate(pairs) if one != other), None)
            agreeing[min(len(folders), len(around)) if same is None else same].append(path)
        best = agreeing[max(agreeing)]
        if len(best) > 1:
            raise Ambiguous(
                f"{len(best)} files have that name, {listed(best, 2)}; see --root and "
                "--path-template"
            )
        return os.path.join(self.root, best[0])

    def _by_stem(self, name: str) -> list[str]:
        """The photos called so, or as the name without its suffix, with any suffix."""
        exact = self._stems.get(_key(name))
        return exact or self._stems.get(_key(os.path.splitext(name)[0]), [])

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        """Paths below the root by file name, ignoring case."""
        names: dict[str, list[str]] = defaultdict(list)
        for path in _files_under(self.root) if self.names is None else self.names:
            names[_key(path.rsplit("/", 1)[-1])].append(path)
        return names

    @cached_property
    def _stems(self) -> dict[str, list[str]]:
        """Paths of photos by file name without its suffix, ignoring case."""
        stems: dict[str, list[str]] = defaultdict(list)
        for name, paths in self._by_name.items():
            stem, suffix = os.path.splitext(name)
            if suffix in PHOTO_SUFFIXES:
                stems[stem] += paths
        return stems


def _files_under(root: Path) -> Iterator[str]:
    """The paths of all files, sorted, without those of systems."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not is_system_file(name))
        around = PurePosixPath(os.path.relpath(folder, root)).as_posix()
        prefix = "" if around == "." else f"{around}/"
        for name in sorted(names):
            if not is_system_file(name):
                yield prefix + name


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _filled(template: str, cells: Mapping[str, Any]) -> str:
    """A template with a row's cells.

    Raises:
        WrongUsage: it is no template, or names a column that is not there.
    """
    try:
        fields = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
        texts = {name: str(cells[name]).strip() for name in fields}
    except (KeyError, ValueError):
        have = listed(list(cells), 12)
        raise WrongUsage(
            f"--path-template '{template}' is to hold columns in braces, as in '{{id}}.jpg'; the "
            f"table has {have}."
        ) from None
    for name, text in texts.items():
        template = template.replace(f"{{{name}}}", text)
    return template


def photo_column(
    names: Sequence[str], sample: Sequence[Mapping[str, Any]], files: PhotoFiles
) -> str | None:
    """The column of a table's photos: by its name, by the files its cells name, or of ids.

    Args:
        sample: the first rows.
    """
    return column(names, PATHS) or _with_files(names, sample, files) or column(names, IDS)


def _with_files(
    names: Sequence[str], sample: Sequence[Mapping[str, Any]], files: PhotoFiles
) -> str | None:
    """The column most of whose cells are names of files; None if there is none."""
    if files.template is not None:
        return names[0]
    shares = {}
    for name in names:
        cells = [str(cells.get(name) or "").strip() for cells in sample]
        if len(set(cells)) > len(cells) / 2:  # names differ, where labels come again
            named = sum(is_photo_name(cell) or files.holds(cell) for cell in cells)
            shares[name] = named / len(cells)
    best = max(shares, key=lambda name: shares[name], default=None)
    return best if best is not None and shares[best] > 0.5 else None
