"""Writes collected photos: `<out>/<class>/<photo>` with its line in provenance.jsonl.

A store that is split has `<out>/<part>/<class>/<photo>` instead, for photos that come with a part.

Photos are written in blocks: under temporary names, made durable together, renamed, and their
lines appended. A kill or a power cut at any moment leaves whole photos, and at most temporaries, a
torn line, or photos without a line; the next start removes, repairs and reads those, so the same
command completes to the tree of an uninterrupted run.
"""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

from imgcli import provenance
from imgcli.aside import files_in, is_own_page
from imgcli.batch import Batch, append_lines, begin_lines, repair_lines, sync_file_system
from imgcli.collect.imports.labelled_photo import MB, LabelledPhoto, NotTaken
from imgcli.collect.names import choices, photo_name, safe_name
from imgcli.collect.scrape.journal import NAME as JOURNAL
from imgcli.errors import StorageError
from imgcli.files import locked, sweep_temporaries, sync_folder
from imgcli.folder_names import PARTS, label_of
from imgcli.image_types import HEAD, PHOTO_SUFFIXES, photo_format, refusal
from imgcli.photo_sizes import pixels_to_decode
from imgcli.provenance import is_alike
from imgcli.reading import MAX_PHOTO, digest_of, pixel_limit
from imgcli.staging import lock_of, named, recover, staged_folder

BLOCK_PHOTOS = 4096  # a block costs about 0.1 s of waiting for the disk; a kill loses one at most
BLOCK_BYTES = 256 * MB
REJECTED = ".rejected"  # hidden, so that no command takes it for a class
DOCUMENTS = (provenance.NAME, JOURNAL)  # imgcli's own, and what SQLite puts beside the journal
CREDITS = "credits.html"


class Fetched(NamedTuple):
    """A photo from a URI, as its line has it."""

    etag: str
    path: str
    digest: str  # SHA-256


class Store:
    """Class folders that photos are added to; nothing in them is changed, renamed or removed.

    Within a class the content decides what is new: duplicate bytes are skipped. If a name is taken,
    the new photo gets digits of its SHA-256. A photo that was placed in a class and has been moved
    to another since is not placed again.

    The SHA-256 in a line is trusted until it matters: before another photo of the same size is
    placed, the recorded one is hashed. So no damage to the provenance makes a second copy.
    """

    def __init__(self, folder: Path, split: bool = False) -> None:
        self.folder = folder
        self.split = split
        self.bytes_found = 0  # size of the photos that were there when the store was opened
        self.duplicates: list[tuple[str, str]] = []  # origins of photos placed before, and paths
        self.too_large: list[tuple[str, int]] = []  # paths of photos placed, and their pixels
        self.notes: list[str] = []  # after closing: where an old folder is now
        self._paths: defaultdict[str, list[str]] = defaultdict(list)  # SHA-256 -> relative paths
        self._names: defaultdict[str, set[str]] = defaultdict(set)  # class folder -> names, folded
        self._folders: dict[tuple[str, str], str] = {}  # part and label -> class folder
        self._unrecorded: set[str] = set()  # photos without a provenance line
        self._unverified: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)  # by size
        self._former: defaultdict[str, set[str]] = defaultdict(set)  # class folder -> SHA-256
        # Of photos from URIs that are here: by their first class folder and origin.
        self._fetched: dict[tuple[str, str], Fetched] = {}
        self._added: set[str] = set()  # photos placed since the store was opened
        self._lines: list[dict[str, Any]] = []
        self._batch = Batch(folder)
        self._now = datetime.now(UTC).isoformat(timespec="seconds")
        self._pixel_limit = pixel_limit()
        self._provenance = folder / provenance.NAME
        self._ours = self._provenance.is_file()
        if self._ours:
            self._open()

    def place(self, photo: LabelledPhoto) -> bool:
        """Place a photo in its class.

        Returns:
            Whether it is new there.

        Raises:
            NotTaken: it is not a photo, or cannot be read within the limits.
        """
        fetched = self._fetched_as(photo)
        if fetched is not None and fetched.etag == photo.etag:
            return False
        data = photo.read()
        image_format, reason = photo_format(data[:HEAD]), refusal(data[:HEAD])
        if image_format is None or reason:
            raise NotTaken(reason)
        digest = hashlib.sha256(data).hexdigest()
        if fetched is not None and fetched.digest != digest:
            raise NotTaken(
                f"it has changed since it was imported as '{fetched.path}'; to have the new one, "
                "remove that photo, or import everything again with --force"
            )
        folder = self._class_folder(photo.part, photo.label)
        line = {
            "label": photo.label,
            "origin": photo.origin,
            "source": "import",  # unless its own provenance names one
            "sha256": digest,
            "size": len(data),
            "format": image_format,
            "imported_at": self._now,
            **({"etag": photo.etag} if photo.etag else {}),
            **photo.provenance,
        }
        if fetched is not None:  # the same bytes under another ETag
            self._record(fetched.path, line)
            return False
        here = self._path_in(folder, digest)
        if here is None:
            self._verify(len(data))
            here = self._path_in(folder, digest)
        if here is None and self._was_moved(folder, digest):
            return False
        if here is not None:
            if here in self._unrecorded:
                self._record(here, line)
            if here in self._added:
                self.duplicates.append((photo.origin, here))
            return False
        name = self._free_name(folder, photo_name(photo.name, image_format), digest)
        self._batch.add(folder, name, data)
        path = f"{folder}/{name}"
        self._paths[digest].append(path)
        self._added.add(path)
        if (pixels := pixels_to_decode(data, image_format)) > self._pixel_limit:
            self.too_large.append((path, pixels))
        self._record(path, line)
        if len(self._batch) >= BLOCK_PHOTOS or self._batch.bytes >= BLOCK_BYTES:
            self.commit()
        return True

    def has(self, photo: LabelledPhoto) -> bool:
        """Whether an object behind a URI was placed before and has not changed since."""
        fetched = self._fetched_as(photo)
        return fetched is not None and fetched.etag == photo.etag

    def begin(self) -> None:
        """Mark the folder as imgcli's, before it has photos."""
        if not self._ours:
            begin_lines(self._provenance)
            self._ours = True

    def find(self, label: str, digest: str) -> str | None:
        """The path of the photo with these bytes in a class."""
        return self._path_in(self._class_folder("", label), digest)

    def withdraw(self, path: str) -> None:
        """Take a placed photo out of its class: to the same path under `.rejected/`."""
        withdrawn = self.folder / REJECTED / path
        withdrawn.parent.mkdir(parents=True, exist_ok=True)
        os.replace(self.folder / path, withdrawn)
        sync_folder(withdrawn.parent)
        for paths in self._paths.values():  # whatever its line says, and it holds by now
            if path in paths:
                paths.remove(path)

    def commit(self) -> None:
        """Rename the photos placed since the last commit, then append their lines.

        In this order no line describes a photo that a power cut took.
        """
        self._batch.commit()
        lines, self._lines = self._lines, []
        if lines:
            append_lines(self._provenance, lines)

    def close(self) -> None:
        """Commit, and make everything durable."""
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
        """The classes that hold a photo with these bytes."""
        self._verify(len(data))
        digest = hashlib.sha256(data).hexdigest()
        return {_class_of(path) for path in self._paths.get(digest, ())}

    def conflicts(self) -> list[tuple[str, ...]]:
        """Photos in several classes, byte for byte: the paths of each, sorted."""
        return sorted(
            tuple(sorted(paths))
            for paths in self._paths.values()
            if len({_class_of(path) for path in paths}) > 1
        )

    # --- opening --------------------------------------------------------------------------------

    def _open(self) -> None:
        sweep_temporaries(self.folder)
        repair_lines(self._provenance)
        known: dict[str, tuple[str, int]] = {}
        former: dict[str, str] = {}  # path -> SHA-256 of photos placed there by label, or moved
        for entry in provenance.read(self.folder):
            path, digest = entry["path"], entry["sha256"]
            known[path] = (digest, entry["size"])
            if os.path.basename(os.path.dirname(path)) in _folders_of(entry.get("label")):
                former[path] = digest
            before = entry.get(provenance.FROM)
            if isinstance(before, str):
                former.setdefault(before, digest)
            etag, origin = entry.get("etag"), entry.get("origin")
            if isinstance(etag, str) and isinstance(origin, str):
                first = before if isinstance(before, str) else path
                self._fetched[os.path.dirname(first), origin] = Fetched(etag, path, digest)
        self._refuse_other_layout(known)
        tops = [self.folder / part for part in PARTS] if self.split else [self.folder]
        for top in tops:
            for folder in top.iterdir() if top.is_dir() else ():
                if folder.is_dir() and not folder.name.startswith("."):
                    sweep_temporaries(folder)
                    self._list(folder.relative_to(self.folder).as_posix(), known)
        there = {path for paths in self._paths.values() for path in paths}
        for path in former.keys() - there:
            self._former[os.path.dirname(path)].add(former[path])

    def _refuse_other_layout(self, known: Iterable[str]) -> None:
        """Refuse to mix class folders and parts.

        Raises:
            StorageError: the folder has photos in the other layout.
        """
        others = (path for path in known if (path.count("/") > 1) != self.split)
        if any(os.path.isfile(self.folder / path) for path in others):
            here = "class folders" if self.split else "train and test parts"
            raise StorageError(
                f"'{self.folder}' holds {here}, which --keep-split "
                f"{'does not make' if self.split else 'makes'}. Choose another --out."
            )

    def _list(self, folder: str, known: dict[str, tuple[str, int]]) -> None:
        """Index the photos in one class folder, hashing those without a line."""
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
                    self._unverified[size].append((path, digest))
                elif size > MAX_PHOTO:  # not read by any command, and slow to hash
                    self._unrecorded.add(path)
                    continue
                else:  # added by hand, changed, or not recorded yet
                    digest = self._hashed(path, (digest, recorded_size), size)
                self._paths[digest].append(path)

    def _verify(self, size: int) -> None:
        """Hash the recorded photos of this size, once.

        Sizes vary, so in a large folder few photos are read for each new one.
        """
        for path, recorded in self._unverified.pop(size, ()):
            if path in self._paths[recorded]:  # not withdrawn
                digest = self._hashed(path, (recorded, size), size)
                self._paths[recorded].remove(path)
                self._paths[digest].append(path)

    def _hashed(self, path: str, recorded: tuple[str, int], size: int) -> str:
        """A photo's SHA-256, by its bytes; a damaged line is corrected.

        A line of another photo is not a damaged one.
        """
        digest = digest_of(self.folder / path)
        if provenance.is_damaged(recorded, (digest, size)):
            line = provenance.line_of(self.folder, path)
            self._lines.append({**line, "sha256": digest, "size": size})
        elif recorded != (digest, size):
            self._unrecorded.add(path)
        return digest

    def _was_moved(self, folder: str, digest: str) -> bool:
        """Whether a photo of this class was moved to another since."""
        if all(path in self._added for path in self._paths.get(digest, ())):
            return False
        return any(is_alike(former, digest) for former in self._former.get(folder, ()))

    def _fetched_as(self, photo: LabelledPhoto) -> "Fetched | None":
        """What an object behind a URI was when it was placed, if that photo is still here."""
        if not photo.etag:
            return None
        folder = self._folder_name(photo.part, photo.label)
        found = self._fetched.get((folder, photo.origin))
        return found if found and found.path in self._paths.get(found.digest, ()) else None

    # --- placing --------------------------------------------------------------------------------

    def _class_folder(self, part: str, label: str) -> str:
        """The class's folder; it is made if there is none."""
        if (part, label) not in self._folders:
            self.begin()
            folder = self._folder_name(part, label)
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
            _refuse_other_spelling(self.folder / folder)
            self._folders[part, label] = folder
        return self._folders[part, label]

    def _folder_name(self, part: str, label: str) -> str:
        return f"{part}/{class_name(label)}" if self.split else class_name(label)

    def _path_in(self, folder: str, digest: str) -> str | None:
        """The path of the photo with these bytes in a class's folder."""
        paths = self._paths.get(digest, ())
        return next((path for path in paths if path.startswith(f"{folder}/")), None)

    def _free_name(self, folder: str, name: str, digest: str) -> str:
        """A name that is free in `folder`, on a disk that ignores case as well."""
        taken = self._names[folder]
        free = next(name for name in choices(name, digest) if name.casefold() not in taken)
        taken.add(free.casefold())
        return free

    def _record(self, path: str, line: dict[str, Any]) -> None:
        self._lines.append({"path": path, **line})
        self._unrecorded.discard(path)


def _refuse_other_spelling(folder: Path) -> None:
    """Refuse a class whose folder is another's, on a file system that ignores case.

    Raises:
        StorageError: there is a folder of the same name but for its case, and it is this one.
    """
    name, names = folder.name, os.listdir(folder.parent)
    if any(label_of(other) == label_of(name) for other in names):
        return
    for other in names:
        if other.casefold() == name.casefold():
            raise StorageError(
                f"The file system of '{folder.parent}' does not tell the class '{name}' from "
                f"'{other}': both would be in one folder. Join them with --rename "
                f"{quote(f'{name}={other}')}, or give one another name."
            )


def class_name(label: str) -> str:
    """The folder name of a class."""
    name = safe_name(label)
    return safe_name(name + ".") if name == provenance.NAME else name  # labels are free text


def _class_of(path: str) -> str:
    return path.split("/")[-2]


def _folders_of(label: object) -> set[str]:
    """Possible folder names of a class: the label as it is, or made safe."""
    return {label, class_name(label)} if isinstance(label, str) else set()


@contextmanager
def open_store(out: Path, force: bool = False, split: bool = False) -> Iterator[Store]:
    """Open the store at `out` for one writer; placed photos stay, whatever happens inside.

    Args:
        force: build from scratch beside `out` and replace it whole at the end, if all went well;
            files that imgcli did not make are kept beside it.
        split: whether the photos come with their parts, and keep them.

    Raises:
        StorageError: `out` was not made by imgcli, or another imgcli writes to it.
    """
    out = named(out)
    if force:
        with staged_folder(out, replace=True, user_files=user_files) as staged:
            with closing(Store(staged.folder, split)) as new:
                yield new
        new.notes += [staged.kept] if staged.kept else []
        return
    recover(out, user_files)
    _refuse_foreign(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with locked(lock_of(out)):
        made = not out.exists()
        out.mkdir(exist_ok=True)
        try:
            with closing(Store(out, split)) as store:
                yield store
        finally:
            if made and not any(out.iterdir()):
                out.rmdir()


def user_files(folder: Path) -> list[str]:
    """The files of a collected folder that are not as imgcli placed them.

    Added or changed since, or moved to another class by hand or by `imgcli check --fix`.
    """
    if not (folder / provenance.NAME).is_file():
        return files_in(folder)
    lines = {line["path"]: line for line in provenance.read(folder)}
    found = []
    for path in files_in(folder):
        # A withdrawn photo has the line of its former path.
        line = lines.get(path.removeprefix(f"{REJECTED}/"))
        if not (path.startswith(DOCUMENTS) or _is_as_placed(folder / path, line)):
            if path != CREDITS or not is_own_page(folder / path):
                found.append(path)
    return found


def _is_as_placed(file: Path, line: Mapping[str, Any] | None) -> bool:
    """Whether a file is the photo that imgcli placed there, unchanged."""
    if line is None or "moved_from" in line or file.is_symlink() or not file.is_file():
        return False
    return file.stat().st_size == line["size"] and digest_of(file) == str(line["sha256"])


def _refuse_foreign(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise StorageError(f"'{out}' is a file. Choose another --out.")
    if out.is_dir() and any(out.iterdir()) and not (out / provenance.NAME).is_file():
        raise StorageError(
            f"'{out}' exists and was not made by imgcli. Choose another --out, or move it away."
        )
