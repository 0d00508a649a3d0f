"""Folders made whole: filled under another name, then swapped with what was there.

    dataset/                                the output; the old one until the new one is complete
    .dataset.imgcli-4f1c9a07.incomplete/    the new one; after an atomic swap, the old one
      .imgcli-staging.json                  the marker: which output and process the folder is of
    dataset.old-4f1c9a07/                   the old one, where two renames make the swap
    dataset.replaced-20261121-101500/       an old one with files that imgcli did not write

The marker moves with the new folder, so its place tells how far a killed process came. The next
command that uses the output finishes or undoes the rest:

    marker in           dataset/         then
    the staging folder  is there         nothing was swapped: the staging folder is removed
    the staging folder  is missing       of two renames one was made: dataset.old-… is moved back
    dataset/            is there         all was swapped: the old folder is kept or removed

A folder without a valid marker is never removed.
"""

import ctypes
import errno
import os
import re
import secrets
import shlex
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from imgcli.aside import MARKER, files_in, folders_beside, set_aside
from imgcli.documents import DocumentError, read_document
from imgcli.errors import StorageError
from imgcli.files import locked, sweep_temporaries, sync_folder, write_json
from imgcli.progress import note
from imgcli.text import listed

FORMAT = 1
# What tells a folder that imgcli made, where an older version left it without a marker.
DOCUMENTS = ("split.json", "merge.json", "provenance.jsonl")

# Lists the files of an old output, by their relative paths, that are not as imgcli wrote them.
UserFiles = Callable[[Path], Sequence[str]]


@dataclass
class Staged:
    """A folder on its way to becoming an output."""

    folder: Path  # to be filled
    kept: str | None = None  # after success: a sentence on where the old output is, and why


@dataclass(frozen=True)
class _Marker:
    """What a staging folder says of itself."""

    target: str  # name of the output
    staging: str  # name of the staging folder
    pid: int
    removing: bool = False  # the old output has been judged, and nothing in it is the user's
    format: int = FORMAT

    @property
    def moved(self) -> str:
        """The name of the old output between two renames."""
        return f"{self.target}.old-{self.staging[-19:-11]}"

    def write(self, folder: Path) -> None:
        write_json(folder / MARKER, asdict(self))


@contextmanager
def staged_folder(
    out: Path, *, replace: bool, user_files: UserFiles | None = None
) -> Iterator[Staged]:
    """Give a folder to fill; on success it becomes `out`, whole.

    Args:
        replace: whether an `out` that exists may be replaced.
        user_files: finds what is not imgcli's in the old `out`; if there is any, the old one is
            kept beside the new one and not removed. Default: every file.

    Raises:
        StorageError: `out` exists and may not be replaced, or another imgcli is writing it.
    """
    judge = user_files or files_in
    out.parent.mkdir(parents=True, exist_ok=True)
    with locked(lock_of(out)):
        _recover(out, judge)
        if is_occupied(out) and not replace:
            raise occupied(out)
        staged = Staged(_new_staging(out))
        try:
            yield staged
            seen, found = _stamps(out), _kept_files(out, judge)
        except BaseException:
            _remove(staged.folder)
            raise
        marker = _swap(staged.folder, out)
        if not found and _stamps(_old_of(out, marker)) != seen:
            found = ["what was changed meanwhile"]
        staged.kept = _put_away(out, marker, found)


def recover(out: Path, user_files: UserFiles | None = None) -> None:
    """Finish or undo what a killed imgcli left of replacing `out`; for commands that read it.

    Args:
        user_files: as for `staged_folder`.

    Raises:
        StorageError: `out` is missing and an older imgcli, when it was killed, left it under
            another name; or another imgcli is replacing it now.
    """
    out = named(out)
    exists = os.path.lexists(out)
    if not out.name or (exists and not os.path.lexists(out / MARKER)):
        return
    if not exists and not _stagings(out):
        _refuse_left_behind(out)
        return
    try:
        with locked(lock_of(out)):
            _recover(out, user_files or files_in)
    except (StorageError, OSError):
        if not exists:
            raise  # else it can be read as it is, and its writer puts the old one away


def named(out: Path) -> Path:
    """`out` with a name: "." and ".." have none, and a lock beside them needs one."""
    return out if out.name not in ("", "..") else Path(os.path.abspath(out))


def is_occupied(out: Path) -> bool:
    """Whether there is anything at `out` but an empty folder."""
    return out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir())))


def occupied(out: Path) -> StorageError:
    """The error for an output that exists and may not be replaced."""
    return StorageError(f"'{out}' exists. Choose another --out, or replace it whole with --force.")


def lock_of(out: Path) -> Path:
    """The lock that every writer of `out` holds."""
    return out.with_name(f".{out.name}.lock")


# --- swapping -----------------------------------------------------------------------------------


def _new_staging(out: Path) -> Path:
    staging = out.with_name(f".{out.name}.imgcli-{secrets.token_hex(4)}.incomplete")
    staging.mkdir()
    try:
        _Marker(out.name, staging.name, os.getpid()).write(staging)
    except BaseException:
        _remove(staging)
        raise
    return staging


def _swap(staging: Path, out: Path) -> _Marker:
    """Put the new folder in the place of the old one, which gets another name.

    Raises:
        OSError: it could not be done; the old one is where it was.
    """
    marker = _Marker(out.name, staging.name, os.getpid())
    moved = out.with_name(marker.moved)
    try:
        if not is_occupied(out):
            os.rename(staging, out)
        elif not _exchange(staging, out):
            os.rename(out, moved)
            try:
                os.rename(staging, out)
            except OSError:
                os.rename(moved, out)
                raise
    except OSError as error:
        if not os.path.lexists(moved):  # else the marker is needed to move it back
            _remove(staging)
        raise OSError(error.errno, error.strerror, str(out)) from error
    sync_folder(out.parent)  # before the old one is removed
    return marker


# What the system answers where it, or the file system, cannot exchange two names.
NO_EXCHANGE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
_HERE = -100  # AT_FDCWD: relative paths start from the current folder
_SWAP = 2  # RENAME_EXCHANGE of Linux, and RENAME_SWAP of macOS


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step: renameat2(2), or renamex_np(2) on macOS; False without."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if hasattr(libc, "renameat2"):
        failed = libc.renameat2(_HERE, names[0], _HERE, names[1], _SWAP)
    elif hasattr(libc, "renamex_np"):
        failed = libc.renamex_np(*names, _SWAP)
    else:
        return False
    if failed and (code := ctypes.get_errno()) not in NO_EXCHANGE:
        raise OSError(code, os.strerror(code), str(other))
    return not failed


def _kept_files(out: Path, judge: UserFiles) -> Sequence[str]:
    """What in an old output keeps it from being removed."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        return [f"{out.name}, which is no folder"]
    return judge(out) if out.is_dir() else []


def _stamps(folder: Path) -> list[tuple[str, int, int, int]]:
    """What changes when somebody adds, removes or edits a file."""
    found = []
    for path in files_in(folder):
        with suppress(FileNotFoundError):
            status = os.lstat(folder / path)
            found.append((path, status.st_ino, status.st_size, status.st_mtime_ns))
    return found


def _old_of(out: Path, marker: _Marker) -> Path:
    """Where the old output is after the swap; there may have been none."""
    moved = out.with_name(marker.moved)
    return moved if os.path.lexists(moved) else out.with_name(marker.staging)


def _put_away(out: Path, marker: _Marker, found: Sequence[str]) -> str | None:
    """Keep or remove the old output; the marker goes last. A sentence where it is kept."""
    old, kept = _old_of(out, marker), None
    if found and os.path.lexists(old):
        aside = set_aside(out, old)
        kept = (
            f"The old '{out}' is kept as '{aside.name}' beside it, for it holds what imgcli did "
            f"not put there: {listed(found, 2)}."
        )
    elif os.path.lexists(old):
        _Marker.write(replace(marker, removing=True), out)
        _remove(old)
    if not os.path.lexists(old):
        (out / MARKER).unlink(missing_ok=True)
    sync_folder(out.parent)
    return kept


def _remove(folder: Path) -> None:
    """Remove a folder with all that is in it, its marker last."""
    _allow_removal(folder)
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != MARKER:
                os.unlink(entry.path)
    shutil.rmtree(folder, ignore_errors=True)


def _allow_removal(folder: Path) -> None:
    """Make write-protected folders writable, as `chmod -R a-w` leaves them; files may stay so."""
    for where, _, _ in os.walk(folder):  # from the outermost, which else could not be entered
        with suppress(OSError):
            mode = os.stat(where).st_mode
            if mode & stat.S_IRWXU != stat.S_IRWXU:
                os.chmod(where, mode | stat.S_IRWXU)


# --- after a kill -------------------------------------------------------------------------------


def _recover(out: Path, judge: UserFiles) -> None:
    """Finish or undo what killed processes left; call it under the lock of `out`."""
    swapped = _read_marker(out, out.name)
    if swapped is not None:
        old = _old_of(out, swapped)
        found = () if swapped.removing else _kept_files(old, judge)
        if kept := _put_away(out, swapped, found):
            note(kept)
        sweep_temporaries(out)
    for staging in _stagings(out):
        marker = _read_marker(staging, out.name)
        if marker is None and not files_in(staging):  # killed before the marker was written
            sweep_temporaries(staging)
            with suppress(OSError):
                staging.rmdir()
        elif marker is not None and marker.staging == staging.name:
            _undo(out, staging, marker)
    if not os.path.lexists(out):
        _refuse_left_behind(out)
    elif left := _left_behind(out, "old"):
        note(f"Left by an imgcli that was killed, and not used: {listed(list(map(str, left)))}.")


def _undo(out: Path, staging: Path, marker: _Marker) -> None:
    """Bring back the old output if it was moved already, and remove the unfinished new one."""
    moved = out.with_name(marker.moved)
    if os.path.lexists(moved) and not os.path.lexists(out):
        os.rename(moved, out)
        sync_folder(out.parent)
        note(f"An imgcli was killed while it replaced '{out}': the old one is back in its place.")
    _remove(staging)


def _stagings(out: Path) -> list[Path]:
    """Folders named as staging folders of `out`."""
    name = re.compile(rf"\.{re.escape(out.name)}\.imgcli-[0-9a-f]{{8}}\.incomplete")
    return folders_beside(out, name)


def _read_marker(folder: Path, target: str) -> _Marker | None:
    """The marker in a folder; None where there is none that is valid for that output."""
    if (folder / MARKER).is_symlink():
        return None
    try:
        marker = read_document(folder / MARKER, _Marker, FORMAT)
    except (OSError, DocumentError):
        return None
    name = rf"\.{re.escape(target)}\.imgcli-[0-9a-f]{{8}}\.incomplete"
    return marker if marker.target == target and re.fullmatch(name, marker.staging) else None


def _left_behind(out: Path, kinds: str) -> list[Path]:
    """Old outputs that a killed imgcli, of a version without markers too, left under other names.

    Args:
        kinds: a pattern of what follows the name of the output.
    """
    name = rf"{re.escape(out.name)}\.({kinds})-(\d{{8}}-\d{{6}}|[0-9a-f]{{8}})"
    found = folders_beside(out, re.compile(name))
    return [old for old in found if any((old / document).is_file() for document in DOCUMENTS)]


def _refuse_left_behind(out: Path) -> None:
    """Refuse an output that is missing because an older imgcli was killed while replacing it.

    Raises:
        StorageError: with the command that brings it back.
    """
    killed_filling = out.with_name(f"{out.name}.incomplete").is_dir()
    if left := _left_behind(out, "old|replaced" if killed_filling else "old"):
        move = f"mv {shlex.quote(str(left[-1]))} {shlex.quote(str(out))}"
        raise StorageError(
            f"There is no '{out}', but '{left[-1]}': an imgcli that was killed while it replaced "
            f"'{out}' left it there. Bring it back with `{move}`; if it is not wanted, give it "
            "another name."
        )
