"""What the cache of a workspace holds, and how it is emptied.

    .imgcli/cache/<kind>/<name>/    a row store: pixels, features, fingerprints, groups, metadata
    .imgcli/cache/digests.sqlite    what `digest_memory` remembers of files

All of it can be made again, so what is removed costs time and nothing else. Removed is only what
imgcli has made, inside the cache: no link is followed, and other files are left.
"""

import fcntl
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from imgcli.files import sweep_temporaries
from imgcli.photos import candidates, decode, fingerprint, metadata
from imgcli.photos.digest_memory import MEMORY
from imgcli.photos.row_cache_files import (
    INDEX,
    LOCK,
    META,
    RECORD,
    ROWS,
    VERSION,
    open_file,
    read_meta,
)
from imgcli.runs import CACHE

JOURNAL = f"{MEMORY}-journal"  # of a transaction that was cut short
OLD_MEMORY = "digests.npz"  # of earlier versions
FILES = (META, ROWS, INDEX, LOCK)
WRITING = timedelta(hours=1)  # a file written under a temporary name for longer was given up

State = Literal["current", "other-version", "damaged"]


@dataclass(frozen=True)
class Stored:
    """One store, or one file, of the cache."""

    kind: str  # a folder of the cache, or "digests"; "unfinished": a killed writer's file
    path: Path
    about: str  # for people: what its rows are; "" for a file
    rows: int | None  # None where that is not known
    size: int  # bytes
    used: datetime  # when it was last opened by a command that needs it
    state: State


@dataclass(frozen=True)
class Emptied:
    """What came of removing."""

    removed: list[Stored]
    left: list[tuple[Stored, str]]  # and why

    @property
    def freed(self) -> int:
        """Bytes."""
        return sum(stored.size for stored in self.removed)


def contents(cache: Path = CACHE) -> list[Stored]:
    """What is in the cache, by kind; nothing if there is no cache yet."""
    if not cache.exists():
        return []
    found = []
    for entry in _sorted(cache):
        if entry.is_dir(follow_symlinks=False):
            found += [_store(entry.name, Path(folder)) for folder in _folders(entry)]
        elif entry.is_file(follow_symlinks=False):
            if entry.name in (MEMORY, JOURNAL, OLD_MEMORY):
                state: State = "other-version" if entry.name == OLD_MEMORY else "current"
                found.append(_file("digests", Path(entry), state))
            elif re.fullmatch(r"\.imgcli-.*\.tmp", entry.name):
                found.append(_file("unfinished", Path(entry), "damaged"))
    return found


def unneeded(stored: Iterable[Stored], unused_for: timedelta) -> list[Stored]:
    """What no command of this version would use, and what none has used for so long."""
    now = datetime.now(UTC)
    return [s for s in stored if s.state != "current" or now - s.used >= unused_for]


def remove(stored: Iterable[Stored]) -> Emptied:
    """Remove what is not in use; the rest is left, with the reason."""
    emptied = Emptied([], [])
    for one in stored:
        try:
            _remove(one)
        except BlockingIOError:
            emptied.left.append((one, "in use by another imgcli"))
        except OSError as error:
            emptied.left.append((one, error.strerror or str(error)))
        else:
            emptied.removed.append(one)
    return emptied


# --- looking ------------------------------------------------------------------------------------


def _sorted(folder: Path | os.DirEntry[str]) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _folders(kind: os.DirEntry[str]) -> Iterator[os.DirEntry[str]]:
    """The stores of a kind: folders that hold a store's file, or nothing."""
    for entry in _sorted(kind):
        if entry.is_dir(follow_symlinks=False):
            names = set(os.listdir(entry))
            if not names or names & set(FILES):
                yield entry


def _store(kind: str, folder: Path) -> Stored:
    files = [file for name in FILES if (file := _status(folder / name)) is not None]
    index = _status(folder / INDEX)
    meta = read_meta(folder)
    if meta is None:
        state: State = "damaged"
    elif meta["version"] == VERSION and _is_current(kind, folder.name):
        state = "current"
    else:
        state = "other-version"
    return Stored(
        kind=kind,
        path=folder,
        about=(meta and meta["about"]) or folder.name,
        rows=0 if index is None else index.st_size // RECORD,
        size=sum(file.st_size for file in files),
        used=_time(max((file.st_mtime for file in files), default=folder.lstat().st_mtime)),
        state=state,
    )


def _file(kind: str, path: Path, state: State) -> Stored:
    status = path.lstat()
    return Stored(kind, path, "", None, status.st_size, _time(status.st_mtime), state)


def _status(path: Path) -> os.stat_result | None:
    """Of a plain file; None if it is anything else, or not there."""
    with suppress(OSError):
        status = path.lstat()
        return status if stat.S_ISREG(status.st_mode) else None
    return None


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _is_current(kind: str, name: str) -> bool:
    """Whether the versions that stand in a store's name are those of this imgcli."""
    ours = {"decode": decode.VERSION, "facts": metadata.VERSION, "v": decode.VERSION}
    if kind in ("sketches", "groups"):
        ours |= {"v": fingerprint.VERSION, "search": candidates.VERSION}
    made_by = re.findall(r"(?:^|-)(decode|facts|search|v)(\d+)(?=-|$)", name)
    return all(int(version) == ours[what] for what, version in made_by)


# --- removing -----------------------------------------------------------------------------------


def _remove(one: Stored) -> None:
    """Remove one store or file.

    Raises:
        BlockingIOError: another process writes it, or holds it open to read.
        OSError: it cannot be removed, or its folder holds something else.
    """
    if one.kind == "unfinished" and datetime.now(UTC) - one.used < WRITING:
        raise BlockingIOError
    if one.path.is_dir():
        _remove_store(one.path)
    else:
        one.path.unlink(missing_ok=True)


def _remove_store(folder: Path) -> None:
    with ExitStack() as locks:
        for name, mode in ((LOCK, "a"), (ROWS, "r")):
            if _status(folder / name) is not None:
                file = locks.enter_context(open_file(folder / name, mode))
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for name in FILES:  # first what vouches for the others, last what keeps others out
            (folder / name).unlink(missing_ok=True)
        sweep_temporaries(folder)
    folder.rmdir()
    with suppress(OSError):  # other stores of the kind
        folder.parent.rmdir()
