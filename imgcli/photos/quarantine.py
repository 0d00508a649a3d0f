"""Photos moved out of the way, so that they can come back exactly.

    raw/cat/017.jpg                                where it was
    quarantine/raw-20261121-101500/cat/017.jpg     where it is now; no scan of `raw` looks there
    quarantine/raw-20261121-101500/journal.json    every move, written before the first of them

A photo that gets another label moves within `raw`, to `raw/dog/017.jpg`; the journal is the same,
and the photo is known again by its bytes.

A move is a rename, so bytes, times and permissions stay as they were. Whenever a command is killed,
each photo is in one of its two places, and the journal knows both: restoring moves back whatever
has been moved, and can itself be killed and repeated.
"""

import errno
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imgcli import __version__, storage
from imgcli.errors import DataError
from imgcli.photos.digests import digest_files
from imgcli.photos.lines import add_lines, drop_lines
from imgcli.photos.manifest import NAME as MANIFEST
from imgcli.photos.manifest import Manifest, read_manifest
from imgcli.progress import track
from imgcli.records import Rejected

FOLDER = "quarantine"
JOURNAL = "journal.json"
FORMAT = 1  # a reader refuses any other


@dataclass(frozen=True)
class Move:
    """A photo to be moved, and why."""

    path: str  # relative to the folder that was checked, and to the batch
    kind: str  # what `check` calls it
    reason: str
    to: str | None = None  # where in the same folder; None: into the quarantine
    sha256: str | None = None  # of what stays in the folder


@dataclass(frozen=True)
class Moved:
    """What came of moving photos, either way."""

    batches: tuple[Path, ...]  # folders in the quarantine
    done: tuple[str, ...]  # paths where the photos were, and now are again
    left: tuple[Rejected, ...]  # not moved, and why


def quarantine(root: Path, moves: Sequence[Move]) -> Moved:
    """Move photos of `root` into a new batch of the quarantine beside it, or to another class.

    Raises:
        DataError: `root` was made by `imgcli split`, whose manifest vouches for every photo.
        StorageError: another imgcli is writing there.
    """
    refuse_split(root)
    home = root.resolve()
    with storage.locked(home.with_name(f".{home.name}.lock")):
        batch = _new_batch(home)
        journal = {
            "format": FORMAT,
            "imgcli": __version__,
            "folder": home.name,
            "moves": [{k: v for k, v in asdict(m).items() if v is not None} for m in moves],
        }
        storage.write_json(batch / JOURNAL, journal)
        storage.sync_folder(batch.parent)
        add_lines(home, {m.path: (m.to, m.sha256) for m in moves if m.to and m.sha256})
        places = ((m.path, home / m.path, home / m.to if m.to else batch / m.path) for m in moves)
        done, left = _rename_all(track(places, "Moving", len(moves), "photos"))
    return Moved((batch,), done, left)


def restore(place: Path | None = None) -> Moved:
    """Move back what was moved, the last batch first; a place that is taken keeps what it has.

    Args:
        place: the folder that was checked, a quarantine or a batch of one; None stands for the
            quarantine in the current folder.

    Raises:
        DataError: nothing is in quarantine there, or its journal cannot be read.
        StorageError: another imgcli is writing there.
    """
    done: list[str] = []
    left: list[Rejected] = []
    folder, batches = _batches(place or Path(FOLDER))
    for batch, journal in batches:
        if journal is None:
            _remove_emptied(batch)
            continue
        home = batch.parent.parent / journal["folder"]
        with storage.locked(home.with_name(f".{home.name}.lock")):
            waiting, lost = _waiting(journal["moves"], batch, home)
            back, stay = _rename_all(track(waiting, "Moving back", unit="photos"))
            stay = (*stay, *lost)
            kept = {item.path for item in stay}
            moves = ((m["path"], m.get("to")) for m in journal["moves"])
            drop_lines(home, {path: to for path, to in moves if to and path not in kept})
            if not stay:
                _remove_emptied(batch)
        done += (f"{journal['folder']}/{path}" for path in back)
        left += (Rejected(f"{journal['folder']}/{item.path}", item.reason) for item in stay)
    with suppress(OSError):  # what is left, or of another folder
        folder.rmdir()
    return Moved(tuple(b for b, journal in batches if journal), tuple(done), tuple(left))


def refuse_split(root: Path) -> None:
    """Refuse a dataset of `imgcli split`, or one of its parts.

    Raises:
        DataError: saying what to do in its place.
    """
    for folder in (root, root.resolve().parent):
        made = read_manifest(folder)
        if isinstance(made, Manifest):
            raise DataError(
                f"'{root}' was made by imgcli split, and its {MANIFEST} vouches for every photo. "
                f"Fix what it was made from: imgcli check {made.source} --fix …, then "
                f"imgcli split {made.source} --out {folder} --update"
            )


# --- moving -------------------------------------------------------------------------------------


def _rename_all(
    places: Iterable[tuple[str, Path, Path]],
) -> tuple[tuple[str, ...], tuple[Rejected, ...]]:
    """Rename files that are called so, from where to where; nothing is overwritten."""
    done, left, folders = [], [], set()
    for path, old, new in places:
        try:
            os.makedirs(new.parent, exist_ok=True)
            if os.path.lexists(new):
                raise FileExistsError(errno.EEXIST, "something else lies at its place", new)
            os.rename(old, new)
        except OSError as error:
            left.append(Rejected(path, _why(error)))
        else:
            done.append(path)
            folders.add(new.parent)
    for folder in folders:
        storage.sync_folder(folder)
    return tuple(done), tuple(left)


def _why(error: OSError) -> str:
    if error.errno == errno.EXDEV:
        return "it lies on another disk than the folder, so it cannot be renamed"
    return error.strerror or str(error)


def _new_batch(home: Path) -> Path:
    """An empty folder of its own for what is moved now."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    folder, number = home.parent / FOLDER / f"{home.name}-{stamp}", 1
    while os.path.lexists(folder):
        number += 1
        folder = home.parent / FOLDER / f"{home.name}-{stamp}-{number}"
    folder.mkdir(parents=True)
    return folder


# --- finding what was moved ---------------------------------------------------------------------


def _waiting(
    moves: Sequence[Mapping[str, Any]], batch: Path, home: Path
) -> tuple[list[tuple[str, Path, Path]], list[Rejected]]:
    """What has been moved and is not back, with both its places; and what cannot be found."""
    inside = [move for move in moves if "to" in move]
    digests = digest_files([home / move["to"] for move in inside])
    same = {m["to"]: d == m["sha256"] for m, d in zip(inside, digests, strict=True)}
    waiting: list[tuple[str, Path, Path]] = []
    lost: list[Rejected] = []
    for move in moves:
        path, to = move["path"], move.get("to")
        if same[to] if to else os.path.lexists(batch / path):
            waiting.append((path, home / to if to else batch / path, home / path))
        elif to and not os.path.lexists(home / path):
            lost.append(Rejected(path, f"what was moved to '{to}' is not there, or has changed"))
    return waiting, lost


def _batches(place: Path) -> tuple[Path, list[tuple[Path, dict[str, Any] | None]]]:
    """The quarantine meant by `place`, and its batches with their journals, the last first.

    A batch without one was given up before anything was moved, or has been restored.
    """
    home = place.resolve()
    if (home / JOURNAL).is_file():
        return home.parent, [(home, _journal(home))]
    folder, only = (home, None) if home.name == FOLDER else (home.parent / FOLDER, home.name)
    if folder.is_dir():
        batches = sorted(filter(Path.is_dir, folder.iterdir()), key=_age, reverse=True)
        found = [(b, _journal(b) if (b / JOURNAL).exists() else None) for b in batches]
        meant = [(b, j) for b, j in found if j is None or only in (None, j["folder"])]
        if meant or not found:
            return folder, meant
    raise DataError(
        f"Nothing is in quarantine at '{place}'. Name the folder that was checked with --fix, or "
        f"the '{FOLDER}' beside it."
    )


def _age(batch: Path) -> tuple[int, str]:
    journal = batch / JOURNAL
    return journal.stat().st_mtime_ns if journal.exists() else 0, batch.name


def _journal(batch: Path) -> dict[str, Any]:
    file = batch / JOURNAL
    try:
        journal = json.loads(file.read_bytes())
        paths = [move[key] for move in journal["moves"] for key in ("path", "to") if key in move]
        inside = all(not os.path.isabs(p) and ".." not in p.split("/") for p in paths)
        inside &= journal["folder"] not in ("", ".", "..") and "/" not in journal["folder"]
        if journal["format"] == FORMAT and inside:
            return dict(journal)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise DataError(f"'{file}' cannot be read ({reason}). Move the photos by hand.") from None
    raise DataError(f"'{file}' is not a journal that this imgcli ({__version__}) can follow.")


def _remove_emptied(batch: Path) -> None:
    """Remove a batch from which everything has gone back; whatever else is in it stays."""
    (batch / JOURNAL).unlink(missing_ok=True)
    storage.sweep_temporaries(batch)
    for folder, _, _ in os.walk(batch, topdown=False):
        with suppress(OSError):
            os.rmdir(folder)
