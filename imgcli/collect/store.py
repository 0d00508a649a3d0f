"""The one door through which photos come in: `<out>/<class>/<photo>` with its provenance.

In blocks: photos are written under temporary names, made durable together, renamed, and their
provenance lines appended. A kill or a power cut at any moment leaves photos that are whole, and at
most temporaries, a torn line, or photos without a line; the next start sweeps, repairs and reads
those back, so the same command completes to the tree that an uninterrupted run makes.
"""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imgcli.collect import provenance
from imgcli.collect.batch import Batch, sync_file_system
from imgcli.collect.candidate import MB, Candidate, NotTaken
from imgcli.collect.names import choices, photo_name, safe_name
from imgcli.collect.sniff import HEAD, PHOTO_SUFFIXES, photo_format, refusal
from imgcli.errors import StorageError
from imgcli.storage import locked, staged_folder, sweep_temporaries

BLOCK_PHOTOS = 4096  # a block costs about 0.1 s of waiting for the disk; a kill loses one at most
BLOCK_BYTES = 256 * MB


class Store:
    """Class folders that photos are added to; nothing in them is changed, renamed or removed.

    Within a class the content decides what is new: bytes that are there already are skipped. A
    name that another photo has is not taken from it: the newcomer gets digits of its SHA-256.
    """

    def __init__(self, folder: Path, source: str = "import") -> None:
        self.folder = folder
        self.source = source  # for the provenance: what kind of collecting this is
        self.bytes_found = 0  # size of the photos that were there when the store was opened
        self._paths: defaultdict[str, list[str]] = defaultdict(list)  # SHA-256 -> relative paths
        self._names: defaultdict[str, set[str]] = defaultdict(set)  # class folder -> names, folded
        self._folders: dict[str, str] = {}  # label -> class folder
        self._unrecorded: set[str] = set()  # photos without a provenance line
        self._lines: list[dict[str, Any]] = []
        self._batch = Batch(folder)
        self._now = datetime.now(UTC).isoformat(timespec="seconds")
        self._ours = (folder / provenance.NAME).is_file()
        if self._ours:
            self._open()

    def place(self, candidate: Candidate) -> bool:
        """Take a photo in.

        Returns:
            Whether it was new to its class.

        Raises:
            NotTaken: it cannot be read within the limits or is no photo.
        """
        data = candidate.read()
        image_format = photo_format(data[:HEAD])
        if image_format is None:
            raise NotTaken(refusal(data[:HEAD]))
        digest = hashlib.sha256(data).hexdigest()
        folder = self._folders.get(candidate.label) or self._class_folder(candidate.label)
        line = {
            "label": candidate.label,
            "origin": candidate.origin,
            "source": self.source,
            "sha256": digest,
            "size": len(data),
            "format": image_format,
            "imported_at": self._now,
        }
        here = next((path for path in self._paths[digest] if path.startswith(f"{folder}/")), None)
        if here is not None:
            if here in self._unrecorded:
                self._record(here, line)
            return False
        name = self._free_name(folder, photo_name(candidate.name, image_format), digest)
        self._batch.add(folder, name, data)
        path = f"{folder}/{name}"
        self._paths[digest].append(path)
        self._record(path, line)
        if len(self._batch) >= BLOCK_PHOTOS or self._batch.bytes >= BLOCK_BYTES:
            self.commit()
        return True

    def commit(self) -> None:
        """Put what was taken in since the last commit in place, and its lines after it.

        The lines follow the photos, so a line never vouches for a photo that a power cut took.
        """
        self._batch.commit()
        lines, self._lines = self._lines, []
        if lines:
            provenance.append(self.folder, lines)

    def close(self) -> None:
        """Commit, and make all of it durable."""
        try:
            self.commit()
            if self._ours:
                sync_file_system(self.folder)
        finally:
            self._batch.discard()

    def counts(self) -> dict[str, int]:
        """Photos in each class folder, sorted by name."""
        classes = Counter(path.split("/")[0] for paths in self._paths.values() for path in paths)
        return dict(sorted(classes.items()))

    def conflicts(self) -> list[tuple[str, ...]]:
        """Photos whose very bytes lie in several classes: the paths of each, sorted."""
        return sorted(
            tuple(sorted(paths))
            for paths in self._paths.values()
            if len({path.split("/")[0] for path in paths}) > 1
        )

    # --- opening --------------------------------------------------------------------------------

    def _open(self) -> None:
        sweep_temporaries(self.folder)
        provenance.repair(self.folder)
        known = {e["path"]: (e["sha256"], e["size"]) for e in provenance.read(self.folder)}
        for folder in self.folder.iterdir():
            if folder.is_dir() and not folder.name.startswith("."):
                sweep_temporaries(folder)
                self._list(folder, known)

    def _list(self, folder: Path, known: dict[str, tuple[str, int]]) -> None:
        """Take note of the photos in one class folder, hashing those that no line knows."""
        with os.scandir(folder) as entries:
            for entry in entries:
                self._names[folder.name].add(entry.name.casefold())
                suffix = os.path.splitext(entry.name)[1].lower()
                if suffix not in PHOTO_SUFFIXES or not entry.is_file():
                    continue
                path = f"{folder.name}/{entry.name}"
                size = entry.stat().st_size
                self.bytes_found += size
                digest, recorded_size = known.get(path, ("", -1))
                if size != recorded_size:  # put there by hand, changed, or not yet recorded
                    self._unrecorded.add(path)
                    with open(entry.path, "rb") as file:
                        digest = hashlib.file_digest(file, "sha256").hexdigest()
                self._paths[digest].append(path)

    # --- placing --------------------------------------------------------------------------------

    def _class_folder(self, label: str) -> str:
        """The class's folder, made if it is not there."""
        folder = safe_name(label)
        if folder == provenance.NAME:
            folder = safe_name(folder + ".")  # a class may be called anything
        if not self._ours:
            provenance.begin(self.folder)
            self._ours = True
        (self.folder / folder).mkdir(exist_ok=True)
        self._folders[label] = folder
        return folder

    def _free_name(self, folder: str, name: str, digest: str) -> str:
        """A name that no other file in `folder` has, not on a disk that ignores case either."""
        taken = self._names[folder]
        free = next(name for name in choices(name, digest) if name.casefold() not in taken)
        taken.add(free.casefold())
        return free

    def _record(self, path: str, line: dict[str, Any]) -> None:
        self._lines.append({"path": path, **line})
        self._unrecorded.discard(path)


@contextmanager
def open_store(out: Path, force: bool = False) -> Iterator[Store]:
    """Open the store at `out` for one writer; what was placed stays, whatever happens inside.

    Args:
        force: build anew beside `out` and replace it whole at the end, if all went well; what
            imgcli did not make is moved aside.

    Raises:
        StorageError: `out` is someone else's, or another imgcli writes to it.
    """
    if force:
        ours = (out / provenance.NAME).is_file()
        with staged_folder(out, replace=True, keep_old=not ours) as staging:
            with open_store(staging) as new:
                yield new
        return
    _refuse_strangers(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with locked(out.with_name(f".{out.name}.lock")):
        made = not out.exists()
        out.mkdir(exist_ok=True)
        store = Store(out)
        try:
            yield store
        finally:
            store.close()
            if made and not any(out.iterdir()):
                out.rmdir()


def _refuse_strangers(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise StorageError(f"'{out}' is a file. Choose another --out.")
    if out.is_dir() and any(out.iterdir()) and not (out / provenance.NAME).is_file():
        raise StorageError(
            f"'{out}' exists and was not made by imgcli. Choose another --out, or replace it whole "
            "with --force."
        )
