"""What a collected folder remembers of its photos, where they get another label.

A photo that moves within it gets a line more in `provenance.jsonl`, which says where it was:

    {"path": "dog/017.jpg", "label": "dog", …, "sha256": "…", "moved_from": "cat/017.jpg"}

A line whose photo is not there says nothing, so these are written before the photos move; when they
have moved back, the lines are taken out again.
"""

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from imgcli import storage
from imgcli.batch import append_lines, mend_lines, sync_file_system
from imgcli.documents import DocumentError, parse
from imgcli.reading import open_regular, read_regular

NAME = "provenance.jsonl"
FROM = "moved_from"


def add_lines(root: Path, moves: Mapping[str, tuple[str, str]]) -> None:
    """Add a line for each photo that has one and is about to move.

    Args:
        moves: by the photo's path where it will lie, and its SHA-256.
    """
    file = root / NAME
    if not moves or not file.is_file():
        return
    mend_lines(file)
    found: dict[str, dict[str, Any]] = {}
    with open_regular(file) as lines:
        for entry in map(_parsed, lines):
            path = entry.get("path", "")
            if path in moves and entry.get("sha256") == moves[path][1]:
                to = moves[path][0]
                label = PurePosixPath(to).parent.name
                found[path] = {**entry, "path": to, "label": label, FROM: path}
    append_lines(file, found.values())
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
        storage.write_atomic(file, b"".join(kept))


def copy_lines(root: Path, copy: Path, moved: Mapping[str, tuple[str, str]]) -> None:
    """Write the lines for a copy of the folder in which some photos have other places and labels.

    Args:
        moved: by the photo's path in `root`, its path and its label in `copy`.
    """
    if not (root / NAME).is_file():
        return
    lines = read_regular(root / NAME).splitlines(keepends=True)
    for i, entry in enumerate(map(_parsed, lines)):
        if (path := entry.get("path", "")) in moved:
            to, label = moved[path]
            lines[i] = json.dumps({**entry, "path": to, "label": label}).encode() + b"\n"
    storage.write_atomic(copy / NAME, b"".join(lines))


def _parsed(line: bytes) -> dict[str, Any]:
    """A line's entry; empty where it is none."""
    try:
        entry = parse(line)
    except DocumentError:
        return {}
    usable = isinstance(entry, dict) and all(
        isinstance(entry.get(key, ""), str) for key in ("path", FROM)
    )
    return entry if usable else {}
