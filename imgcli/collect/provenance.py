"""`provenance.jsonl`: where each photo of a collected folder came from, one line per photo.

    {"path": "crab/1.jpg", "label": "crab", "origin": "photos.zip!photos/crab/1.jpg",
     "source": "import", "sha256": "…", "size": 15302, "format": "JPEG", "imported_at": "…"}

Lines are only ever appended, after their photos have their names. If a photo has two, the later one
holds; a line whose photo is gone says nothing but that its class had these bytes. A photo that
`imgcli check --fix relabel.csv` moves has a line with "moved_from". They are written by
`imgcli.batch`.

A disk may flip bits, and people edit the file, so a line is evidence and no proof: where it and its
photo disagree the photo is hashed again, and holds.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from imgcli.batch import is_alike
from imgcli.documents import Count, DocumentError, Relative, as_type, parse
from imgcli.reading import open_regular

NAME = "provenance.jsonl"
FROM = "moved_from"
TEXTS = {
    *("label", "origin", "source", "title", "creator", "creator_url", "landing_url", "file_url"),
    *("license", "license_version", "license_url", "attribution"),
}


class MadeFrom(Struct):
    """The photo that one was made smaller from."""

    width: Count
    height: Count


class Line(Struct):
    """What a line must hold to be of use."""

    path: Relative
    sha256: str  # a damaged one is evidence still
    size: Count
    made_from: MadeFrom | None = None


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines that can be read and name a photo with its content; others are passed over.

    So is what should be text in one and is not.

    A photo whose line is lost that way is hashed again by the store, so nothing depends on it.
    """
    with open_regular(folder / NAME) as file:
        for line in file:
            try:
                entry = parse(line)
                as_type(entry, Line)
            except DocumentError:
                continue
            yield {key: value for key, value in entry.items() if _can_be(key, value)}


def line_of(folder: Path, path: str) -> dict[str, Any]:
    """The line that holds for a photo; empty where there is none."""
    found: dict[str, Any] = {}
    for entry in read(folder):
        if entry["path"] == path:
            found = entry
    return found


def is_damaged(recorded: tuple[str, int], found: tuple[str, int]) -> bool:
    """Whether a photo's recorded SHA-256 and size are its own, but for bits that have flipped."""
    return recorded != found and is_alike(recorded[0], found[0])


def _can_be(key: str, value: object) -> bool:
    """Whether a value, which a stranger may have written, is of the kind that its key has."""
    return value is None or isinstance(value, str) or key not in TEXTS
