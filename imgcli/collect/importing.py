"""From sources, in whatever form, to one folder of class folders."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from os.path import abspath
from pathlib import Path

from imgcli.collect.archives import archive_entries
from imgcli.collect.candidate import LIMITS, Candidate, Entry, NotTaken
from imgcli.collect.folders import folder_entries
from imgcli.collect.layout import Folder, class_root, labelled, survey
from imgcli.collect.store import Store, open_store
from imgcli.errors import DataError, WrongUsage
from imgcli.progress import track
from imgcli.records import Rejected
from imgcli.storage import need_space
from imgcli.wording import listed


@dataclass(frozen=True)
class Imported:
    """What became of the photos of all sources."""

    added: int
    skipped: int  # photos whose very bytes were in their class already
    rejected: tuple[Rejected, ...]
    classes: dict[str, int]  # photos per class in the whole output folder
    conflicts: tuple[tuple[str, ...], ...]  # paths of one photo that lies in several classes


@dataclass(frozen=True)
class Source:
    """A folder or archive whose class folders have been found."""

    entries: Callable[[], Iterator[Entry | Rejected]]
    root: Folder  # the folder in it that holds the class folders
    files: int
    size: int  # bytes

    def candidates(self) -> Iterator[Candidate | Rejected]:
        """Everything in it, labelled, one at a time."""
        return (labelled(item, self.root) for item in self.entries())


def open_source(path: Path) -> Source:
    """Find out what `path` is and where its class folders are; nothing is unpacked.

    Raises:
        DataError: it does not exist, is neither a folder nor a zip or tar, is damaged, or holds no
            class folders with photos.
        WrongUsage: it is a dataset that is split already.
    """
    if not path.exists():
        raise DataError(f"There is no '{path}'. Name a folder, a zip or a tar of class folders.")
    entries = partial(folder_entries if path.is_dir() else archive_entries, path)
    found = survey(track(entries(), "look through", unit="files"), str(path), LIMITS.files)
    return Source(entries, class_root(found, str(path)), found.files, found.size)


def import_photos(sources: Sequence[Path], out: Path, force: bool = False) -> Imported:
    """Copy the photos of all sources into `out/<class>/`; the sources are only read.

    Args:
        force: replace `out` whole instead of adding to it.

    Raises:
        DataError: a source that cannot serve, or no photo in any of them.
        StorageError: `out` is someone else's, in use, or on a disk that is too small.
        WrongUsage: `out` and a source lie in one another.
    """
    # "." and ".." have no name, and so no place for a lock beside them.
    target = out if out.name not in ("", "..") else Path(abspath(out))
    _refuse_overlap(sources, out, target)
    opened = [open_source(path) for path in sources]
    with open_store(target, force) as store:
        need_space(store.folder, sum(s.size for s in opened) - store.bytes_found, "The import")
        added, skipped, rejected = _place_all(opened, store)
        if added + skipped == 0:
            raise _nothing(sources, rejected)
        conflicts = tuple(store.conflicts())
        return Imported(added, skipped, tuple(rejected), store.counts(), conflicts)


def _place_all(sources: Sequence[Source], store: Store) -> tuple[int, int, list[Rejected]]:
    """Place what can be placed; returns how many were added and skipped, and what was rejected."""
    added = skipped = 0
    rejected: list[Rejected] = []
    items = (item for source in sources for item in source.candidates())
    for item in track(items, "import", sum(source.files for source in sources), "photos"):
        if isinstance(item, Rejected):
            rejected.append(item)
            continue
        try:
            new = store.place(item)
        except NotTaken as reason:
            rejected.append(Rejected(item.origin, str(reason)))
        else:
            added += new
            skipped += not new
    return added, skipped, rejected


def _refuse_overlap(sources: Sequence[Path], out: Path, target: Path) -> None:
    """Neither copy a folder into itself nor replace a source."""
    if not target.name:
        raise WrongUsage(f"--out '{out}' is the root of the disk. Name a folder such as --out raw.")
    for source in sources:
        real = source.resolve()
        for place in (target.resolve(), target.with_name(target.name + ".incomplete").resolve()):
            if real == place or real in place.parents:
                raise WrongUsage(
                    f"--out '{out}' lies in the source '{source}'. Choose an --out outside it."
                )
            if place in real.parents:
                raise WrongUsage(
                    f"The source '{source}' lies in --out '{out}'. Choose another --out."
                )


def _nothing(sources: Sequence[Path], rejected: Sequence[Rejected]) -> DataError:
    reasons = "; ".join(f"{r.path}: {r.reason}" for r in rejected[:3])
    return DataError(
        f"No photo could be taken from {listed(sources)}. Rejected: {len(rejected)}, such as "
        f"{reasons}. imgcli takes JPEG, PNG, WebP, GIF, BMP and TIFF."
    )
