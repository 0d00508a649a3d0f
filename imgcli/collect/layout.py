"""Which folder of a source names the class of a photo.

    photos/                   photos.zip
      crab/1.jpg                dataset/               a single wrapping folder is looked through
      crab/2024/2.jpg             crab/1.jpg           class crab
      lobster/1.jpg               lobster/1.jpg        class lobster

Read off the folders and the file names alone, before any file is opened: a tar is gone through once
for this and once for the photos, in constant memory both times.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from os.path import splitext

from imgcli.collect.candidate import Candidate, Entry
from imgcli.collect.sniff import PHOTO_SUFFIXES
from imgcli.errors import DataError, WrongUsage
from imgcli.records import Rejected

Folder = tuple[str, ...]

PASSED_OVER = {"__macosx", "thumbs.db", "desktop.ini"}  # lower case; and all hidden ones

TREE = """Expected is one folder per class:
    photos/crab/1.jpg
    photos/crab/2.jpg
    photos/lobster/1.jpg"""


def is_passed_over(name: str) -> bool:
    """Whether a file or folder of this name is a system's own, and not worth a word."""
    return name.startswith(".") or name.lower() in PASSED_OVER


@dataclass
class Survey:
    """What a source holds, by folder; the root is the folder `()`."""

    folders: Counter[Folder] = field(default_factory=Counter)  # files per folder
    photos: Counter[Folder] = field(default_factory=Counter)  # those with a photo's suffix
    files: int = 0  # with the rejected ones
    size: int = 0  # bytes that placing everything would take, at most
    rejected: list[Rejected] = field(default_factory=list)  # the first few

    def add(self, item: Entry | Rejected) -> None:
        self.files += 1
        if isinstance(item, Rejected):
            self.rejected = [*self.rejected, item][:5]
            return
        folder = item.parts[:-1]
        self.folders[folder] += 1
        self.photos[folder] += splitext(item.parts[-1])[1].lower() in PHOTO_SUFFIXES
        self.size += item.size


def survey(items: Iterable[Entry | Rejected], source: str, most: int) -> Survey:
    """Count what a source holds.

    Raises:
        DataError: more than `most` files.
    """
    found = Survey()
    for item in items:
        found.add(item)
        if found.files > most:
            raise DataError(
                f"'{source}' holds more than {most:,} files, too many for one import. "
                "Import its class folders in several goes."
            )
    return found


def class_root(found: Survey, source: str) -> Folder:
    """The folder of a source whose sub-folders are the classes.

    Raises:
        DataError: no photos, or photos but no class folders.
        WrongUsage: an already split dataset.
    """
    # Files without a photo's suffix only speak where there are no others.
    files = +found.photos or found.folders
    if not files:
        why = f" ({found.rejected[0].path}: {found.rejected[0].reason})" if found.rejected else ""
        raise DataError(f"No photos in '{source}'{why}. {TREE}")
    if set(files) == {()}:
        what = "photos" if found.photos else "files"
        raise DataError(f"'{source}' holds {what} but no class folders. {TREE}")
    root = _look_through(files)
    _refuse_parts({folder[len(root)] for folder in files if len(folder) > len(root)}, root, source)
    return root


def labelled(item: Entry | Rejected, root: Folder) -> Candidate | Rejected:
    """Give an entry the class its folder says, given the folder that holds the classes."""
    if isinstance(item, Rejected):
        return item
    above = len(root)
    if item.parts[:above] != root or len(item.parts) < above + 2:
        return Rejected(item.origin, "lies in no class folder")
    return Candidate(item.parts[above], item.parts[-1], item.origin, item.read)


def _look_through(files: Counter[Folder]) -> Folder:
    """Go down while there is one folder only and more photos lie below it than in it."""
    root: Folder = ()
    while True:
        depth = len(root)
        names = {folder[depth] for folder in files if len(folder) > depth}
        if len(names) != 1:
            return root
        child = (*root, *names)
        below = sum(n for folder, n in files.items() if len(folder) > len(child))
        if below <= files[child]:
            return root
        root = child


def _refuse_parts(names: set[str], root: Folder, source: str) -> None:
    """Do not take train/ and test/ for two classes."""
    lower = {name.lower() for name in names}
    train, held_out = {"train", "training"}, {"test", "testing", "val", "valid", "validation"}
    if lower & train and lower & held_out:
        where = "/".join((source, *root))
        raise WrongUsage(
            f"'{where}' looks like a dataset that is already split into {', '.join(sorted(names))}."
            f" Nothing has to be imported: give it (unpacked) to the later commands, such as "
            f"`imgcli train --data {where}`, or import one of its parts."
        )
