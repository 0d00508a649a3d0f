"""The one door through which photos come in: `<out>/<class>/<photo>` with its provenance.

A store that is split has `<out>/<part>/<class>/<photo>` instead, for photos that come with a part.

In blocks: photos are written under temporary names, made durable together, renamed, and their
provenance lines appended. A kill or a power cut at any moment leaves photos that are whole, and at
most temporaries, a torn line, or photos without a line; the next start sweeps, repairs and reads
those back, so the same command completes to the tree that an uninterrupted run makes.
"""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imgcli import provenance
from imgcli.aside import files_in, is_own_page
from imgcli.batch import (
    Batch,
    append_lines,
    begin_lines,
    mend_lines,
    sync_file_system,
)
from imgcli.collect.imports.labelled_photo import MB, PARTS, Candidate, NotTaken
from imgcli.collect.names import choices, photo_name, safe_name
from imgcli.collect.scrape.journal import NAME as JOURNAL
from imgcli.errors import StorageError
from imgcli.files import locked, sweep_temporaries, sync_folder
from imgcli.image_types import HEAD, PHOTO_SUFFIXES, photo_format, refusal
from imgcli.provenance import is_alike
from imgcli.reading import MAX_PHOTO, digest_of
from imgcli.staging import lock_of, recover, staged_folder

BLOCK_PHOTOS = 4096  # a block costs about 0.1 s of waiting for the disk; a kill loses one at most
BLOCK_BYTES = 256 * MB
REJECTED = ".rejected"  # hidden, so that no command takes it for a class
DOCUMENTS = (provenance.NAME, JOURNAL)  # imgcli's own, and what SQLite puts beside the journal
CREDITS = "credits.html"


class Store:
    """Class folders that photos are added to; nothing in them is changed, renamed or removed.

    Within a class the content decides what is new: bytes that are there already are skipped. A
    name that another photo has is not taken from it: the newcomer gets digits of its SHA-256. A
    photo that was placed in a class and has been moved to another since does not come back.

    What a line says of a photo is believed as long as nothing depends on it: before another photo
    of its size is placed, it is hashed again. So no damage to the provenance makes a second copy.
    """

    def __init__(self, folder: Path, split: bool = False) -> None:
        self.folder = folder
        self.split = split
        self.bytes_found = 0  # size of the photos that were there when the store was opened
        self.notes: list[str] = []  # after closing: what became of an old folder
        self._paths: defaultdict[str, list[str]] = defaultdict(list)  # SHA-256 -> relative paths
        self._names: defaultdict[str, set[str]] = defaultdict(set)  # class folder -> names, folded
        self._folders: dict[tuple[str, str], str] = {}  # part and label -> class folder
        self._unrecorded: set[str] = set()  # photos without a provenance line
        self._believed: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)  # see `_verify`
        self._left: defaultdict[str, set[str]] = defaultdict(set)  # class folder -> SHA-256 it had
        self._added: set[str] = set()  # photos placed since the store was opened
        self._lines: list[dict[str, Any]] = []
        self._batch = Batch(folder)
        self._now = datetime.now(UTC).isoformat(timespec="seconds")
        self._provenance = folder / provenance.NAME
        self._ours = self._provenance.is_file()
        if self._ours:
            self._open()

    def place(self, candidate: Candidate) -> bool:
        """Take a photo in.

        Returns:
            Whether it is new in its class.

        Raises:
            NotTaken: it cannot be read within the limits or is no photo.
        """
        data = candidate.read()
        image_format = photo_format(data[:HEAD])
        if image_format is None:
            raise NotTaken(refusal(data[:HEAD]))
        digest = hashlib.sha256(data).hexdigest()
        folder = self._class_folder(candidate.part, candidate.label)
        line = {
            "label": candidate.label,
            "origin": candidate.origin,
            "source": "import",  # where the candidate does not say it otherwise
            "sha256": digest,
            "size": len(data),
            "format": image_format,
            "imported_at": self._now,
            **candidate.provenance,
        }
        here = self._path_in(folder, digest)
        if here is None:
            self._verify(len(data))
            here = self._path_in(folder, digest)
        if here is None and self._has_moved_on(folder, digest):
            return False
        if here is not None:
            if here in self._unrecorded:
                self._record(here, line)
            return False
        name = self._free_name(folder, photo_name(candidate.name, image_format), digest)
        self._batch.add(folder, name, data)
        path = f"{folder}/{name}"
        self._paths[digest].append(path)
        self._added.add(path)
        self._record(path, line)
        if len(self._batch) >= BLOCK_PHOTOS or self._batch.bytes >= BLOCK_BYTES:
            self.commit()
        return True

    def begin(self) -> None:
        """Mark the folder as imgcli's, before anything is in it."""
        if not self._ours:
            begin_lines(self._provenance)
            self._ours = True

    def find(self, label: str, digest: str) -> str | None:
        """The path of the photo with these bytes in a class."""
        return self._path_in(self._class_folder("", label), digest)

    def set_aside(self, path: str) -> None:
        """Take a placed photo out of its class: to the same path under `.rejected/`."""
        aside = self.folder / REJECTED / path
        aside.parent.mkdir(parents=True, exist_ok=True)
        os.replace(self.folder / path, aside)
        sync_folder(aside.parent)
        for paths in self._paths.values():  # whatever its line says, and it holds by now
            if path in paths:
                paths.remove(path)

    def commit(self) -> None:
        """Put what was taken in since the last commit in place, and its lines after it.

        The lines follow the photos, so a line never vouches for a photo that a power cut took.
        """
        self._batch.commit()
        lines, self._lines = self._lines, []
        if lines:
            append_lines(self._provenance, lines)

    def close(self) -> None:
        """Commit, and make all of it durable."""
        try:
            self.commit()
            if self._ours:
                sync_file_system(self.folder)
        finally:
            self._batch.discard()

    def counts(self) -> dict[str, int]:
        """Photos in each class, sorted by name."""
        classes = Counter(_class_of(path) for paths in self._paths.values() for path in paths)
        return dict(sorted(classes.items()))

    def part_counts(self) -> dict[str, int]:
        """Photos in each part of a store that is split."""
        parts = Counter(path.split("/")[0] for paths in self._paths.values() for path in paths)
        return {part: parts[part] for part in PARTS if parts[part]}

    def classes_of(self, data: bytes) -> set[str]:
        """The classes in which a photo with these bytes lies."""
        self._verify(len(data))
        digest = hashlib.sha256(data).hexdigest()
        return {_class_of(path) for path in self._paths.get(digest, ())}

    def conflicts(self) -> list[tuple[str, ...]]:
        """Photos whose very bytes lie in several classes: the paths of each, sorted."""
        return sorted(
            tuple(sorted(paths))
            for paths in self._paths.values()
            if len({_class_of(path) for path in paths}) > 1
        )

    # --- opening --------------------------------------------------------------------------------

    def _open(self) -> None:
        sweep_temporaries(self.folder)
        mend_lines(self._provenance)
        known: dict[str, tuple[str, int]] = {}
        left: dict[str, str] = {}  # where photos were, whose lines can be meant, and their SHA-256
        for entry in provenance.read(self.folder):
            path, digest = entry["path"], entry["sha256"]
            known[path] = (digest, entry["size"])
            if os.path.basename(os.path.dirname(path)) in _folders_of(entry.get("label")):
                left[path] = digest
            if isinstance(before := entry.get(provenance.FROM), str):
                left.setdefault(before, digest)
        self._refuse_other_layout(known)
        tops = [self.folder / part for part in PARTS] if self.split else [self.folder]
        for top in tops:
            for folder in top.iterdir() if top.is_dir() else ():
                if folder.is_dir() and not folder.name.startswith("."):
                    sweep_temporaries(folder)
                    self._list(folder.relative_to(self.folder).as_posix(), known)
        there = {path for paths in self._paths.values() for path in paths}
        for path in left.keys() - there:
            self._left[os.path.dirname(path)].add(left[path])

    def _refuse_other_layout(self, known: Iterable[str]) -> None:
        """Class folders and parts do not mix.

        Raises:
            StorageError: the photos that are there lie otherwise than those to come.
        """
        others = (path for path in known if (path.count("/") > 1) != self.split)
        if any(os.path.isfile(self.folder / path) for path in others):
            here = "class folders" if self.split else "train and test parts"
            raise StorageError(
                f"'{self.folder}' holds {here}, which --keep-split "
                f"{'does not make' if self.split else 'makes'}. Choose another --out."
            )

    def _list(self, folder: str, known: dict[str, tuple[str, int]]) -> None:
        """Take note of the photos in one class folder, hashing those that no line knows."""
        with os.scandir(self.folder / folder) as entries:
            for entry in entries:
                self._names[folder].add(entry.name.casefold())
                suffix = os.path.splitext(entry.name)[1].lower()
                if suffix not in PHOTO_SUFFIXES or not entry.is_file():
                    continue
                path = f"{folder}/{entry.name}"
                size = entry.stat().st_size
                self.bytes_found += size
                digest, recorded_size = known.get(path, ("", -1))
                if size == recorded_size:
                    self._believed[size].append((path, digest))
                elif size > MAX_PHOTO:  # no photo for imgcli, and long to hash
                    self._unrecorded.add(path)
                    continue
                else:  # put there by hand, changed, or not yet recorded
                    digest = self._hashed(path, (digest, recorded_size), size)
                self._paths[digest].append(path)

    def _verify(self, size: int) -> None:
        """Hash the photos of this size once, of which only their lines say what they hold.

        Sizes are many, so of a large folder few photos are read for each that is new.
        """
        for path, recorded in self._believed.pop(size, ()):
            if path in self._paths[recorded]:  # not set aside
                digest = self._hashed(path, (recorded, size), size)
                self._paths[recorded].remove(path)
                self._paths[digest].append(path)

    def _hashed(self, path: str, recorded: tuple[str, int], size: int) -> str:
        """A photo's SHA-256, by its bytes; what its line says otherwise is put right.

        Only where the line is damaged: one that is of another photo does not count.
        """
        digest = digest_of(self.folder / path)
        if provenance.is_damaged(recorded, (digest, size)):
            line = provenance.line_of(self.folder, path)
            self._lines.append({**line, "sha256": digest, "size": size})
        elif recorded != (digest, size):
            self._unrecorded.add(path)
        return digest

    def _has_moved_on(self, folder: str, digest: str) -> bool:
        """Whether a class had a photo that has been given to another since."""
        if all(path in self._added for path in self._paths.get(digest, ())):
            return False
        return any(is_alike(had, digest) for had in self._left.get(folder, ()))

    # --- placing --------------------------------------------------------------------------------

    def _class_folder(self, part: str, label: str) -> str:
        """The class's folder, made if it is not there."""
        if (part, label) not in self._folders:
            self.begin()
            folder = f"{part}/{class_name(label)}" if self.split else class_name(label)
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
            self._folders[part, label] = folder
        return self._folders[part, label]

    def _path_in(self, folder: str, digest: str) -> str | None:
        """The path of the photo with these bytes in a class's folder."""
        paths = self._paths.get(digest, ())
        return next((path for path in paths if path.startswith(f"{folder}/")), None)

    def _free_name(self, folder: str, name: str, digest: str) -> str:
        """A name that no other file in `folder` has, not on a disk that ignores case either."""
        taken = self._names[folder]
        free = next(name for name in choices(name, digest) if name.casefold() not in taken)
        taken.add(free.casefold())
        return free

    def _record(self, path: str, line: dict[str, Any]) -> None:
        self._lines.append({"path": path, **line})
        self._unrecorded.discard(path)


def class_name(label: str) -> str:
    """What the folder of a class is called."""
    name = safe_name(label)
    return safe_name(name + ".") if name == provenance.NAME else name  # it may be called anything


def _class_of(path: str) -> str:
    return path.split("/")[-2]


def _folders_of(label: object) -> set[str]:
    """What the folder of a class may be called: by the label, or as someone has made it."""
    return {label, class_name(label)} if isinstance(label, str) else set()


@contextmanager
def open_store(out: Path, force: bool = False, split: bool = False) -> Iterator[Store]:
    """Open the store at `out` for one writer; what was placed stays, whatever happens inside.

    Args:
        force: build anew beside `out` and replace it whole at the end, if all went well; what
            imgcli did not make is moved aside.
        split: whether the photos come with their parts, and keep them.

    Raises:
        StorageError: `out` is someone else's, or another imgcli writes to it.
    """
    out = named(out)
    if force:
        with staged_folder(out, replace=True, user_files=user_files) as staged:
            with _filled(staged.folder, split) as new:
                yield new
        new.notes += [staged.kept] if staged.kept else []
        return
    recover(out, user_files)
    _refuse_strangers(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with locked(lock_of(out)):
        made = not out.exists()
        out.mkdir(exist_ok=True)
        try:
            with _filled(out, split) as store:
                yield store
        finally:
            if made and not any(out.iterdir()):
                out.rmdir()


@contextmanager
def _filled(folder: Path, split: bool) -> Iterator[Store]:
    """A store that is closed whatever happens inside; its one writer holds the lock."""
    store = Store(folder, split=split)
    try:
        yield store
    finally:
        store.close()


def user_files(folder: Path) -> list[str]:
    """The files of a collected folder that are not as imgcli put them there.

    Added or changed since, or moved by hand or by `imgcli check --fix` to the class they belong to.
    """
    if not (folder / provenance.NAME).is_file():
        return files_in(folder)
    lines = {line["path"]: line for line in provenance.read(folder)}
    found = []
    for path in files_in(folder):
        # A photo that was rejected has the line of the place where it was.
        line = lines.get(path.removeprefix(f"{REJECTED}/"))
        if not (path.startswith(DOCUMENTS) or _is_as_placed(folder / path, line)):
            if path != CREDITS or not is_own_page(folder / path):
                found.append(path)
    return found


def _is_as_placed(file: Path, line: Mapping[str, Any] | None) -> bool:
    """Whether a file is the very photo that imgcli placed there."""
    if line is None or "moved_from" in line or file.is_symlink() or not file.is_file():
        return False
    if file.stat().st_size != line["size"]:
        return False
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == str(line["sha256"])


def named(out: Path) -> Path:
    """`out` by a name: "." and ".." have none, and so no place for a lock beside them."""
    return out if out.name not in ("", "..") else Path(os.path.abspath(out))


def _refuse_strangers(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise StorageError(f"'{out}' is a file. Choose another --out.")
    if out.is_dir() and any(out.iterdir()) and not (out / provenance.NAME).is_file():
        raise StorageError(
            f"'{out}' exists and was not made by imgcli. Choose another --out, or move it away."
        )
