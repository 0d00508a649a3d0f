"""What a collected folder remembers of its photos, where they get another label.

A photo that moves within it gets a line more in `provenance.jsonl`, which says where it was:

    {"path": "dog/017.jpg", "label": "dog", …, "sha256": "…", "moved_from": "cat/017.jpg"}

A line whose photo is not there says nothing, so these are written before the photos move; when they
have moved back, the lines are taken out again.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from imgcli.batch import append_lines, is_alike, mend_lines, sync_file_system
from imgcli.documents import DocumentError, parse
from imgcli.files import write_atomic
from imgcli.reading import open_regular, read_regular

NAME = "provenance.jsonl"
FROM = "moved_from"


def add_lines(root: Path, moves: Mapping[str, tuple[str, str]]) -> None:
    """Add a line for each photo that has one and is about to move.

    A line is a photo's by its path and content; where one of the two was damaged, by the other.

    Args:
        moves: by the photo's path where it will lie, and its SHA-256.
    """
    file = root / NAME
    if not moves or not file.is_file():
        return
    mend_lines(file)
    lost = {digest: path for path, (_, digest) in moves.items()}
    by_path: dict[str, dict[str, Any]] = {}
    by_content: dict[str, dict[str, Any]] = {}
    with open_regular(file) as lines:
        for entry in map(_parsed, lines):
            path, digest = entry.get("path", ""), entry.get("sha256", "")
            if path in moves and is_alike(digest, moves[path][1]):
                by_path[path] = entry
            elif digest in lost and not os.path.lexists(root / path):
                by_content[lost[digest]] = entry
    append_lines(
        file,
        (
            {**known, "path": to, "label": PurePosixPath(to).parent.name, "sha256": sha, FROM: path}
            for path, (to, sha) in moves.items()
            if (known := by_path.get(path) or by_content.get(path))
        ),
    )
    sync_file_system(root)


def drop_lines(root: Path, moves: Mapping[str, str]) -> None:
    """Take out the lines of photos that are back, by their paths where they had been moved to."""
    file = root / NAME
    if not moves or not file.is_file():
        return
    lines = read_regular(file).splitlines(keepends=True)
    entries = map(_parsed, lines)
    kept = [
        line
        for line, entry in zip(lines, entries, strict=True)
        if FROM not in entry or moves.get(entry[FROM]) != entry.get("path")
    ]
    if len(kept) < len(lines):
        write_atomic(file, b"".join(kept))


def copied_lines(root: Path, moved: Mapping[str, tuple[str, str]]) -> bytes | None:
    """The lines for a copy of the folder in which some photos have other places and labels.

    Args:
        moved: by the photo's path in `root`, its path and its label in the copy.

    Returns:
        None where the folder has no lines.
    """
    if not (root / NAME).is_file():
        return None
    lines = read_regular(root / NAME).splitlines(keepends=True)
    for i, entry in enumerate(map(_parsed, lines)):
        if (path := entry.get("path", "")) in moved:
            to, label = moved[path]
            lines[i] = json.dumps({**entry, "path": to, "label": label}).encode() + b"\n"
    return b"".join(lines)


def _parsed(line: bytes) -> dict[str, Any]:
    """A line's entry; empty where it is none."""
    try:
        entry = parse(line)
    except DocumentError:
        return {}
    usable = isinstance(entry, dict) and all(
        isinstance(entry.get(key, ""), str) for key in ("path", "sha256", FROM)
    )
    return entry if usable else {}
