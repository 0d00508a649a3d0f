"""The photos that `imgcli.predict` is given: folders, files, patterns, tables, archives, lists."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from imgcli.collect.imports.unlabelled import listed_photos, photos_named_in
from imgcli.errors import DataError, WrongUsage
from imgcli.locations import Location
from imgcli.photos.layout import new_photos
from imgcli.reading import matching
from imgcli.records import NewPhotos, Rejected
from imgcli.text import listed

STDIN = "-"


def find_new_photos(
    words: Sequence[str], root: Path | None = None, path_column: str | None = None
) -> NewPhotos:
    """The photos that all the words mean, each once, in their order.

    Args:
        words: folders, photos, tables, archives, lists of paths, patterns; "-" is a list of paths
            on standard input.
        root: the folder that the paths in tables and lists are below; by default each one's own.
        path_column: the column of a table with the photos' paths; found by default.

    Raises:
        DataError: a path that does not exist, a table or archive that cannot be used, or no photo
            in any of them.
    """
    found = _once([photos for word in words for photos in _meant(word, root, path_column)])
    if not found.names:
        reason = "".join(f" ({one.path}: {one.reason})" for one in found.rejected[:1])
        raise DataError(
            f"No photo in {listed(words, 3)}{reason}. Name photos, or folders that hold some."
        )
    return found


def given_photos(photos: Sequence[Any]) -> NewPhotos:
    """Single photos in their order, each a path, a PIL image or an array; none is left out.

    Those in memory are named by their position: "photo 0".

    Raises:
        WrongUsage: one is of another type, or there is none.
    """
    from imgcli.photos.in_memory import check_photo, content_of

    if not photos:
        raise WrongUsage("There are no photos; give one at least.")
    for photo in photos:
        check_photo(photo)
    names = tuple(
        os.fspath(photo) if isinstance(photo, str | os.PathLike) else f"photo {i}"
        for i, photo in enumerate(photos)
    )
    return NewPhotos(names, names, lambda: map(content_of, photos))


def _meant(word: str, root: Path | None, path_column: str | None) -> Iterator[NewPhotos]:
    """What one word means: itself, or the paths that match a pattern."""
    if word == STDIN:
        yield listed_photos(sys.stdin.buffer.read(), "standard input", root)
        return
    paths = matching(Path(word))
    if not paths:
        raise DataError(f"Nothing matches '{word}'. Name photos, or folders that hold some.")
    for path in paths:
        try:
            named = photos_named_in(path, root, path_column) if path.is_file() else None
            yield named or new_photos(path)
        except (DataError, OSError) as error:
            if path == Path(word):
                raise
            reason = getattr(error, "strerror", None) or str(error)
            yield NewPhotos((), (), tuple, (Rejected(str(path), reason),))


def _once(given: Sequence[NewPhotos]) -> NewPhotos:
    """All photos together; one that is named again is there once."""
    first: dict[str, tuple[int, int]] = {}
    for i, photos in enumerate(given):
        for j, name in enumerate(photos.names):
            first.setdefault(os.path.abspath(name), (i, j))
    kept = set(first.values())

    def contents() -> Iterator[Location | bytes | Rejected]:
        for i, photos in enumerate(given):
            for j, content in enumerate(photos.contents()):
                if (i, j) in kept:
                    yield content

    return NewPhotos(
        names=tuple(given[i].names[j] for i, j in first.values()),
        inner=tuple(given[i].inner[j] for i, j in first.values()),
        contents=contents,
        rejected=tuple(one for photos in given for one in photos.rejected),
    )
