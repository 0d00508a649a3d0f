"""What a person has looked at and left as it is, so that it is not asked again.

    .imgcli/reviewed.jsonl      {"kind": "labels", "subject": ["9f2c…", "cat"], "kept": true}

A subject is content and not a path: the hash of a photo and its label, the hashes of a group, the
names of classes. So it holds for later runs too. What changes something leaves no line here, but
in the journal or plan that it is written to.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from imgcli import batch
from imgcli.files import locked
from imgcli.reading import UNREADABLE, read_regular
from imgcli.runs import CACHE

FILE = CACHE.parent / "reviewed.jsonl"
WAIT = 5.0  # seconds for another imgcli that writes there


class Entry(Struct):
    """A line: kept, or no longer."""

    kind: str
    subject: list[str]
    kept: bool = True


class Kept:
    """The subjects of one kind that were left as they are."""

    def __init__(self, kind: str, file: Path = FILE) -> None:
        self.kind, self.file = kind, file

    def subjects(self) -> set[tuple[str, ...]]:
        """Those of all sessions so far; lines that cannot be read are passed over."""
        found: set[tuple[str, ...]] = set()
        try:
            lines = read_regular(self.file).split(b"\n")
        except UNREADABLE:
            return found
        for entry in map(_entry, lines):
            if entry is not None and entry.kind == self.kind:
                change = found.add if entry.kept else found.discard
                change(tuple(entry.subject))
        return found

    def add(self, subject: Sequence[str]) -> None:
        """Keep a subject, durably.

        Raises:
            OSError: it cannot be written.
        """
        self._append(Entry(self.kind, list(subject)))

    def take_back(self, subject: Sequence[str]) -> None:
        """Undo `add`, durably."""
        self._append(Entry(self.kind, list(subject), kept=False))

    def _append(self, entry: Entry) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.file.with_name(f".{self.file.name}.lock"), WAIT):
            batch.append_durably(
                self.file, msgspec.to_builtins(entry), lambda line: _entry(line) is not None
            )


def _entry(line: bytes) -> Entry | None:
    try:
        return msgspec.json.decode(line, type=Entry)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
