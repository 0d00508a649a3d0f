"""Photos moved out of the way, so that they can come back exactly.

    raw/cat/017.jpg                                where it was
    quarantine/raw-20261121-101500/cat/017.jpg     where it is now; no scan of `raw` looks there
    quarantine/raw-20261121-101500/journal.json    every move, written before the first of them

A photo that gets another label moves within `raw`, to `raw/dog/017.jpg`; the journal is the same,
and the photo is known again by its bytes.

A photo that `imgcli predict --sort-into` puts into a folder has its original elsewhere. The journal
names that, and restoring removes what was put there: only what still has its bytes, and only while
the original is there.

    quarantine/sorted-20261121-101500/journal.json

A move is a rename, so bytes, times and permissions stay as they were. Whenever a command is killed,
each photo is in one of its two places, and the journal knows both: restoring moves back whatever
has been moved, and can itself be killed and repeated.
"""

import errno
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

from msgspec import Struct

from imgcli import __version__, documents, provenance
from imgcli.documents import Name, Relative, Sha256, stays_inside
from imgcli.errors import DataError
from imgcli.files import locked, sweep_temporaries, sync_folder, write_json
from imgcli.locations import as_words
from imgcli.photos.hashing import digests_by_path
from imgcli.photos.manifest import NAME as MANIFEST
from imgcli.photos.manifest import Manifest, read_manifest
from imgcli.progress import track
from imgcli.reading import digest_of
from imgcli.records import Rejected
from imgcli.text import free_suffixes

FOLDER = "quarantine"
JOURNAL = "journal.json"
FORMAT = 1  # a reader refuses any other


@dataclass(frozen=True)
class Move:
    """A photo to be moved, and why."""

    path: Relative  # to the folder that was checked, and to the batch
    kind: str  # what `check` calls it
    reason: str
    to: Relative | None = None  # where in the same folder; None: into the quarantine
    sha256: Sha256 | None = None  # of what stays in the folder
    source: str | None = None  # the original of a photo that was put at `path`, or its archive


SORTED, SORTED_MEMBER = "sorted", "sorted-member"  # kinds of photos that were put there


class Journal(Struct):
    """A batch's `journal.json`."""

    folder: Name  # that was checked, beside the quarantine
    moves: list[Move]
    folders: list[str] = []  # that were made for photos put there; "" is the folder itself

    def __post_init__(self) -> None:
        if not all(folder == "" or stays_inside(folder) for folder in self.folders):
            raise ValueError("a folder that was made is outside the folder")
        if any(move.source is not None and move.sha256 is None for move in self.moves):
            raise ValueError("a photo that was put there has no sha256")
        if any(move.to is not None and move.sha256 is None for move in self.moves):
            raise ValueError("a photo that stays in the folder has no sha256")


@dataclass(frozen=True)
class Moved:
    """What came of moving photos, either way."""

    batches: tuple[Path, ...]  # folders in the quarantine
    done: tuple[str, ...]  # paths where the photos were, and now are again
    left: tuple[Rejected, ...]  # not moved, and why
    taken_out: tuple[str, ...] = ()  # paths of photos whose originals are elsewhere


def quarantine(root: Path, moves: Sequence[Move]) -> Moved:
    """Move photos of `root` into a new batch of the quarantine beside it, or to another class.

    Raises:
        DataError: `root` was made by `imgcli split`, whose manifest vouches for every photo.
        StorageError: another imgcli is writing there.
    """
    refuse_split(root)
    home = root.resolve()
    with locked(home.with_name(f".{home.name}.lock")):
        batch = begin_batch(home, moves)
        provenance.append_moves(
            home, {m.path: (m.to, m.sha256) for m in moves if m.to and m.sha256}
        )
        places = ((m.path, home / m.path, home / m.to if m.to else batch / m.path) for m in moves)
        done, left = rename_all(track(places, "Moving", len(moves), "photos"), (home, batch))
    return Moved((batch,), done, left)


def begin_batch(home: Path, moves: Sequence[Move], folders: Sequence[str] = ()) -> Path:
    """Write the journal of what is about to be moved, or put into `home`, durably; its folder.

    Args:
        folders: that are about to be made in `home`.
    """
    batch = _new_batch(home)
    write_journal(batch, home.name, moves, folders)
    sync_folder(batch.parent)
    return batch


def write_journal(
    batch: Path, folder: str, moves: Sequence[Move], folders: Sequence[str] = ()
) -> None:
    """Write a batch's journal, durably, in place of the one it has.

    Args:
        folder: the name of the folder beside the quarantine that the moves are in.
        folders: that were made in it for photos put there.
    """
    journal = {
        "format": FORMAT,
        "imgcli": __version__,
        "folder": folder,
        "moves": [{k: v for k, v in asdict(m).items() if v is not None} for m in moves],
        **({"folders": list(folders)} if folders else {}),
    }
    write_json(batch / JOURNAL, journal)


def restore(place: Path | None = None) -> Moved:
    """Move back what was moved, the last batch first; a place that is taken keeps what it has.

    What was put into a folder is taken out of it.

    Args:
        place: the folder that was checked, a quarantine or a batch of one; None stands for the
            quarantine in the current folder.

    Raises:
        DataError: nothing is in quarantine there, or its journal cannot be read.
        StorageError: another imgcli is writing there.
    """
    done: list[str] = []
    out: list[str] = []
    left: list[Rejected] = []
    folder, batches = _batches(place or Path(FOLDER))
    for batch, journal in batches:
        if journal is None:
            remove_emptied(batch)
            continue
        home = batch.parent.parent / journal.folder
        with locked(home.with_name(f".{home.name}.lock")):
            moves = [move for move in journal.moves if move.source is None]
            waiting, lost = _waiting(moves, batch, home)
            moving = track(waiting, "Moving back", unit="photos")
            back, stay = rename_all(moving, (home, batch))
            stay = (*stay, *lost)
            kept = {item.path for item in stay}
            back_in = {m.path: m.to for m in moves if m.to and m.path not in kept}
            provenance.remove_moves(home, back_in)
            placed = [move for move in journal.moves if move.source is not None]
            removed, changed = take_out(placed, home)
            out += (f"{journal.folder}/{path}" for path in removed)
            stay = (*stay, *changed)
            _remove_made(home, journal.folders, placed)
            if not stay:
                remove_emptied(batch)
        done += (f"{journal.folder}/{path}" for path in back)
        left += (Rejected(f"{journal.folder}/{item.path}", item.reason) for item in stay)
    with suppress(OSError):  # what is left, or of another folder
        folder.rmdir()
    moved = tuple(b for b, journal in batches if journal)
    return Moved(moved, tuple(done), tuple(left), tuple(out))


def refuse_split(root: Path) -> None:
    """Refuse a dataset of `imgcli split`, or one of its parts.

    Raises:
        DataError: saying what to do in its place.
    """
    for folder in (root, root.resolve().parent):
        made = read_manifest(folder)
        if isinstance(made, Manifest) and made.read_from is not None:
            raise DataError(
                f"'{root}' reads its photos where they are, in '{made.source}', and nothing is "
                f"moved there. Leave photos out of that, then imgcli split {quote(made.source)} "
                f"--out {quote(str(folder))} --update; or make files of them, and fix those: "
                f"imgcli import {as_words(made.source)}"
            )
        if isinstance(made, Manifest):
            raise DataError(
                f"'{root}' was made by imgcli split, and its {MANIFEST} vouches for every photo. "
                f"Fix what it was made from: imgcli check {quote(made.source)} --fix …, then "
                f"imgcli split {quote(made.source)} --out {quote(str(folder))} --update"
            )


# --- moving -------------------------------------------------------------------------------------


def rename_all(
    places: Iterable[tuple[str, Path, Path]], roots: Sequence[Path]
) -> tuple[tuple[str, ...], tuple[Rejected, ...]]:
    """Rename files that are called so, from where to where; nothing is overwritten.

    Args:
        roots: the folders, with no links in their paths, that no move may leave.
    """
    done, left, folders = [], [], set()
    for path, old, new in places:
        if leaving := [p.parent for p in (old, new) if not _is_within(p.parent, roots)]:
            left.append(Rejected(path, f"'{leaving[0]}' is a link to elsewhere; move it by hand"))
            continue
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
        sync_folder(folder)
    return tuple(done), tuple(left)


def _is_within(folder: Path, roots: Sequence[Path]) -> bool:
    """Whether a folder is in one of some others, wherever links in its path lead."""
    real = folder.resolve()
    return any(real.is_relative_to(root) for root in roots)


def _why(error: OSError) -> str:
    if error.errno == errno.EXDEV:
        return "it is on another disk than the folder, so it cannot be renamed"
    return error.strerror or str(error)


def _new_batch(home: Path) -> Path:
    """An empty folder of its own for what is moved now."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    names = (f"{home.name}-{stamp}{suffix}" for suffix in free_suffixes())
    folders = (home.parent / FOLDER / name for name in names)
    folder = next(folder for folder in folders if not os.path.lexists(folder))
    folder.mkdir(parents=True)
    return folder


# --- taking out ---------------------------------------------------------------------------------


def take_out(placed: Sequence[Move], home: Path) -> tuple[list[str], list[Rejected]]:
    """Remove photos that were put there; one that has changed, or is the only copy, stays."""
    done: list[str] = []
    left: list[Rejected] = []
    for move in track(placed, "Taking out", unit="photos"):
        file = home / move.path
        if not os.path.lexists(file):
            continue
        reason = "it is in a linked folder" if not _is_within(file.parent, (home,)) else None
        reason = reason or _why_kept(file, move)
        if reason is None:
            os.unlink(file)
            done.append(move.path)
        else:
            left.append(Rejected(move.path, reason))
    for folder in {(home / path).parent for path in done}:
        sync_folder(folder)
    return done, left


def _why_kept(file: Path, move: Move) -> str | None:
    """Why a photo that was put there is not removed; None if it may be."""
    original = Path(move.source or "")
    if file.is_symlink():
        same = os.path.realpath(file) == os.path.realpath(original)
        return None if same else "it is another link by now"
    if _digest(file) != move.sha256:
        return "it has changed since it was put there"
    there = original.is_file() if move.kind == SORTED_MEMBER else _digest(original) == move.sha256
    return None if there else f"its original '{original}' is gone or has changed: the only copy"


def _digest(file: Path) -> str | None:
    try:
        return digest_of(file)
    except OSError:
        return None


def _remove_made(home: Path, folders: Sequence[str], placed: Sequence[Move]) -> None:
    """Remove the folders that were made, those that are empty."""
    for folder in {*folders, *(os.path.dirname(move.path) for move in placed)}:
        sweep_temporaries(home / folder)
    for folder in sorted(folders, reverse=True):
        with suppress(OSError):
            os.rmdir(home / folder)


# --- finding what was moved ---------------------------------------------------------------------


def _waiting(
    moves: Sequence[Move], batch: Path, home: Path
) -> tuple[list[tuple[str, Path, Path]], list[Rejected]]:
    """What has been moved and is not back, with both its places; and what cannot be found."""
    inside = {move.to: move.sha256 for move in moves if move.to}
    digests, _ = digests_by_path(home, list(inside))
    waiting: list[tuple[str, Path, Path]] = []
    lost: list[Rejected] = []
    for move in moves:
        path, to = move.path, move.to
        if digests.get(to) == inside[to] if to else os.path.lexists(batch / path):
            waiting.append((path, home / to if to else batch / path, home / path))
        elif to and not os.path.lexists(home / path):
            lost.append(Rejected(path, f"what was moved to '{to}' is not there, or has changed"))
    return waiting, lost


def _batches(place: Path) -> tuple[Path, list[tuple[Path, Journal | None]]]:
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
        meant = [(b, j) for b, j in found if j is None or only in (None, j.folder)]
        if meant or not found:
            return folder, meant
    raise DataError(
        f"Nothing is in quarantine at '{place}'. Name the folder that was checked with --fix or "
        f"sorted into, or the '{FOLDER}' beside it."
    )


def _age(batch: Path) -> tuple[int, str]:
    journal = batch / JOURNAL
    return journal.stat().st_mtime_ns if journal.exists() else 0, batch.name


def _journal(batch: Path) -> Journal:
    file = batch / JOURNAL
    try:
        return documents.read_document(file, Journal, FORMAT)
    except documents.OtherVersion:
        raise DataError(
            f"'{file}' is not a journal that this imgcli ({__version__}) can follow."
        ) from None
    except (OSError, documents.DocumentError) as error:
        reason = documents.reason_of(error)
        raise DataError(f"'{file}' cannot be read ({reason}). Move the photos by hand.") from None


def remove_emptied(batch: Path) -> None:
    """Remove a batch from which everything has gone back; whatever else is in it stays."""
    (batch / JOURNAL).unlink(missing_ok=True)
    sweep_temporaries(batch)
    for folder, _, _ in os.walk(batch, topdown=False):
        with suppress(OSError):
            os.rmdir(folder)
