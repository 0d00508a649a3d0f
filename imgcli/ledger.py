"""The ledger of the sealed test part: a line of JSON for each evaluation of it, by any run.

    runs/test-ledger.jsonl    {"time", "run", "test_part", "n", "why"}

A line is entered before the part is scored, so that no score is without one, and never changed.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from imgcli import batch
from imgcli.errors import RunError, StorageError
from imgcli.files import FULL, locked
from imgcli.runs import Run

LEDGER = "test-ledger.jsonl"
WAIT = 60.0  # seconds for another imgcli to enter its line, which takes milliseconds


class Entry(msgspec.Struct, frozen=True):
    """One evaluation of a test part."""

    run: str  # name of the run's folder
    test_part: str  # SHA-256 of the photos' digests, whatever their order
    why: str  # the command: "evaluate", "train --track-test"
    n: int = 0  # photos
    time: str = ""  # ISO 8601, UTC


def enter(run: Run, digests: Sequence[str], why: str) -> int:
    """Record that `run` is about to be evaluated on the test part made of `digests`, durably.

    Returns:
        How many evaluations of that part have been entered by now, by any run beside this one.

    Raises:
        RunError: the ledger is damaged.
        StorageError: it cannot be written; the part must not be scored then.
    """
    path, part = _path(run), _part_key(digests)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entry = Entry(run.folder.name, part, why, len(digests), now)
    try:
        with locked(path.with_name(f".{LEDGER}.lock"), WAIT):
            before = _entries(path)
            batch.append_durably(path, msgspec.to_builtins(entry), is_whole=_is_entry)
    except OSError as error:
        remedy = "Free some space" if error.errno in FULL else "Make its folder writable"
        raise StorageError(
            f"The test part is not scored: its evaluation cannot be entered in '{path}' "
            f"({error.strerror or error}). {remedy} and run the command again."
        ) from None
    return 1 + sum(one.test_part == part for one in before)


def entered(run: Run, digests: Sequence[str], why: str) -> bool:
    """Whether `run` was evaluated on exactly the test part made of `digests`, for that reason."""
    wanted = (run.folder.name, _part_key(digests), why)
    return any((one.run, one.test_part, one.why) == wanted for one in _entries(_path(run)))


def evaluations(run: Run) -> int:
    """Test-set evaluations of the test parts that `run` was evaluated on, by any run beside it.

    Raises:
        RunError: the ledger is damaged.
    """
    entries = _entries(_path(run))
    parts = {one.test_part for one in entries if one.run == run.folder.name}
    return sum(one.test_part in parts for one in entries)


def entries_of(run: Run) -> list[Entry]:
    """The test-set evaluations of one run, oldest first.

    Raises:
        RunError: the ledger is damaged.
    """
    return [one for one in _entries(_path(run)) if one.run == run.folder.name]


def _path(run: Run) -> Path:
    return run.folder.parent / LEDGER


def _entries(path: Path) -> list[Entry]:
    """The ledger's entries, oldest first; without the last where a kill tore its line."""
    try:
        *lines, last = path.read_bytes().split(b"\n")
        return [_entry(line) for line in [*lines, *([last] if _is_entry(last) else [])]]
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RunError(
            f"'{path}' cannot be read ({type(error).__name__}: {error}). Restore it; it counts the "
            "test-set evaluations."
        ) from None


def _entry(line: bytes) -> Entry:
    return msgspec.json.decode(line, type=Entry)


def _is_entry(line: bytes) -> bool:
    """Whether a last line without an end is whole, as an editor leaves it, and not torn."""
    try:
        _entry(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return True


def _part_key(digests: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()
