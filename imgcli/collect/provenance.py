"""`provenance.jsonl`: where each photo of a collected folder came from, one line per photo.

    {"path": "crab/1.jpg", "label": "crab", "origin": "photos.zip!photos/crab/1.jpg",
     "source": "import", "sha256": "…", "size": 15302, "format": "JPEG", "imported_at": "…"}

Lines are only ever appended, after their photos have their names. If a photo has two, the later one
holds; a line whose photo is gone says nothing.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

NAME = "provenance.jsonl"


def begin(folder: Path) -> None:
    """Mark `folder` as imgcli's, before the first photo is in it."""
    with open(folder / NAME, "ab") as file:
        os.fsync(file.fileno())


def repair(folder: Path) -> None:
    """Drop the last line if a kill tore it in the middle of being appended."""
    path = folder / NAME
    with open(path, "r+b") as file:
        end = file.seek(0, os.SEEK_END)
        whole = end
        while whole > 0:
            start = max(0, whole - 4096)
            file.seek(start)
            newline = file.read(whole - start).rfind(b"\n")
            if newline >= 0:
                whole = start + newline + 1
                break
            whole = start
        if whole < end:
            file.truncate(whole)
            os.fsync(file.fileno())


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines that can be read and name a photo with its content; others are passed over.

    A photo whose line is lost that way is hashed again by the store, so nothing depends on it.
    """
    with open(folder / NAME, "rb") as file:
        for line in file:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and {"path", "sha256", "size"} <= entry.keys():
                yield entry


def append(folder: Path, entries: Iterable[Mapping[str, Any]]) -> None:
    """Add lines, without waiting for the disk."""
    with open(folder / NAME, "ab") as file:
        file.writelines(json.dumps(entry).encode() + b"\n" for entry in entries)
