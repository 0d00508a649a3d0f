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

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from imgcli.batch import is_alike

NAME = "provenance.jsonl"
FROM = "moved_from"


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines that can be read and name a photo with its content; others are passed over.

    A photo whose line is lost that way is hashed again by the store, so nothing depends on it.
    """
    with open(folder / NAME, "rb") as file:
        for line in file:
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(entry, dict) and {"path", "sha256", "size"} <= entry.keys():
                if isinstance(entry["path"], str) and isinstance(entry["sha256"], str):
                    yield entry


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
