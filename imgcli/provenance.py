"""`provenance.jsonl`: where each photo of a collected folder came from, one line per photo.

    {"path": "crab/1.jpg", "label": "crab", "origin": "photos.zip!photos/crab/1.jpg",
     "source": "import", "sha256": "…", "size": 15302, "format": "JPEG", "imported_at": "…"}

A photo that came from a URI has its `etag` as well, the content's mark at its server.

Lines are only ever appended (by `imgcli.batch`), after their photos have their names. Of two lines
of one photo the later one holds. A line whose photo is gone records only that its class had these
bytes. A photo that `imgcli check --fix relabel.csv` moves within the folder gets another line,
which records where it was; it is written before the move, and removed after the photo is back:

    {"path": "dog/017.jpg", "label": "dog", …, "sha256": "…", "moved_from": "cat/017.jpg"}

A disk may flip bits, and people edit the file, so a line is evidence and no proof: if it disagrees
with its photo, the photo is hashed again, and its hash holds.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct

from imgcli.batch import append_lines, repair_lines, sync_file_system
from imgcli.documents import Count, DocumentError, Relative, as_type, parse
from imgcli.files import write_atomic
from imgcli.reading import open_regular, read_regular

NAME = "provenance.jsonl"
FROM = "moved_from"
TEXTS = {
    *("label", "origin", "source", "title", "creator", "creator_url", "landing_url", "file_url"),
    *("license", "license_version", "license_url", "attribution"),
}


class MadeFrom(Struct):
    """The size of the photo before it was made smaller."""

    width: Count
    height: Count


class Line(Struct):
    """What a line needs to be used."""

    path: Relative
    sha256: str  # a damaged one is evidence still
    size: Count
    made_from: MadeFrom | None = None


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """The valid lines, without their values of a wrong type; damaged lines are skipped.

    Nothing is lost with a damaged line: a photo without a line is hashed again when it is needed.
    """
    with open_regular(folder / NAME) as file:
        for line in file:
            try:
                entry = parse(line)
                as_type(entry, Line)
            except DocumentError:
                continue
            yield {k: v for k, v in entry.items() if k not in TEXTS or isinstance(v, str | None)}


def line_of(folder: Path, path: str) -> dict[str, Any]:
    """The line that holds for a photo; empty if there is none."""
    found: dict[str, Any] = {}
    for entry in read(folder):
        if entry["path"] == path:
            found = entry
    return found


def is_damaged(recorded: tuple[str, int], found: tuple[str, int]) -> bool:
    """Whether a recorded SHA-256 and size are a photo's own, but for bits that have flipped."""
    return recorded != found and is_alike(recorded[0], found[0])


def is_alike(recorded: str, digest: str) -> bool:
    """Whether a recorded SHA-256 is `digest`, but for bits that have flipped.

    Digests of different photos agree in 4 of their 64 digits, and in half of them never.
    """
    return sum(a == b for a, b in zip(recorded, digest, strict=False)) >= len(digest) // 2


# --- photos that move ---------------------------------------------------------------------------


def append_moves(folder: Path, moves: Mapping[str, tuple[str, str]]) -> None:
    """Add a line for each photo that has one and is about to move.

    A line is found by the photo's path and content; if one of the two is damaged, by the other.

    Args:
        moves: the new path and the SHA-256 of each photo, by its path.
    """
    file = folder / NAME
    if not moves or not file.is_file():
        return
    repair_lines(file)
    path_of = {digest: path for path, (_, digest) in moves.items()}
    by_path: dict[str, dict[str, Any]] = {}
    by_content: dict[str, dict[str, Any]] = {}
    with open_regular(file) as lines:
        for entry in map(_parsed, lines):
            path, digest = entry.get("path", ""), entry.get("sha256", "")
            if path in moves and is_alike(digest, moves[path][1]):
                by_path[path] = entry
            elif digest in path_of and not os.path.lexists(folder / path):
                by_content[path_of[digest]] = entry
    append_lines(
        file,
        (
            {**known, "path": to, "label": PurePosixPath(to).parent.name, "sha256": sha, FROM: path}
            for path, (to, sha) in moves.items()
            if (known := by_path.get(path) or by_content.get(path))
        ),
    )
    sync_file_system(folder)


def remove_moves(folder: Path, moves: Mapping[str, str]) -> None:
    """Remove the lines of photos that are back.

    Args:
        moves: the path that each photo had been moved to, by its path.
    """
    file = folder / NAME
    if not moves or not file.is_file():
        return
    lines = read_regular(file).splitlines(keepends=True)
    kept = [
        line
        for line, entry in zip(lines, map(_parsed, lines), strict=True)
        if FROM not in entry or moves.get(entry[FROM]) != entry.get("path")
    ]
    if len(kept) < len(lines):
        write_atomic(file, b"".join(kept))


def copied_lines(folder: Path, moved: Mapping[str, tuple[str, str]]) -> bytes | None:
    """The lines for a copy of the folder in which some photos have other paths and labels.

    Args:
        moved: the path and the label in the copy of each photo, by its path.

    Returns:
        None if the folder has no provenance.
    """
    if not (folder / NAME).is_file():
        return None
    lines = read_regular(folder / NAME).splitlines(keepends=True)
    for i, entry in enumerate(map(_parsed, lines)):
        if (path := entry.get("path", "")) in moved:
            to, label = moved[path]
            lines[i] = json.dumps({**entry, "path": to, "label": label}).encode() + b"\n"
    return b"".join(lines)


def _parsed(line: bytes) -> dict[str, Any]:
    """A line's entry, which may lack any key; empty for a damaged line."""
    try:
        entry = parse(line)
    except DocumentError:
        return {}
    usable = isinstance(entry, dict) and all(
        isinstance(entry.get(key, ""), str) for key in ("path", "sha256", FROM)
    )
    return entry if usable else {}
