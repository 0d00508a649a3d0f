"""The names in a folder or archive, and which folder of it is the class of a photo.

    photos/                   photos.zip
      crab/1.jpg                dataset/               a single wrapping folder is skipped
      crab/2024/2.jpg             crab/1.jpg           class crab
      lobster/1.jpg               lobster/1.jpg        class lobster

Only folders and file names are read, before any file is opened: a tar is read once for this and
once for the photos, in constant memory both times. What the folders mean `class_folders` decides.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from os.path import splitext

from imgcli.class_folders import ClassFolders, NoClassFolders, find_class_folders
from imgcli.collect.imports.labelled_photo import Entry, LabelledPhoto
from imgcli.errors import DataError, ImgcliError
from imgcli.folder_names import AS_FOUND, PARTS, Folder, Levels
from imgcli.image_types import PHOTO_SUFFIXES
from imgcli.records import Rejected

MAX_NAMES = 200  # of files other than photos, per suffix
MAX_SUFFIXES = 1000

TREE = (
    "Expected is one folder per class, such as photos/crab/1.jpg, photos/crab/2.jpg and "
    "photos/lobster/1.jpg."
)
OTHERWISE = (
    "Where the file names hold the classes, say how: --label-from '([a-z]+)_'. Where a table does, "
    "import the table."
)


@dataclass
class Survey:
    """The files of a source, by folder; the root is the folder `()`."""

    folders: Counter[Folder] = field(default_factory=Counter)  # files per folder
    photos: Counter[Folder] = field(default_factory=Counter)  # those with a photo's suffix
    sidecars: Counter[Folder] = field(default_factory=Counter)  # .json files
    files: int = 0  # with the rejected ones
    size: int = 0  # bytes that placing everything would take, at most
    # Names of other files, by suffix in lower case; other formats are detected by them.
    others: defaultdict[str, list[Folder]] = field(default_factory=lambda: defaultdict(list))
    rejected: list[Rejected] = field(default_factory=list)  # the first few

    def add(self, item: Entry | Rejected) -> None:
        self.files += 1
        if isinstance(item, Rejected):
            self.rejected = [*self.rejected, item][:5]
            return
        folder = item.parts[:-1]
        self.folders[folder] += 1
        self.size += item.size
        suffix = splitext(item.parts[-1])[1].lower()
        self.sidecars[folder] += suffix == ".json"
        if suffix in PHOTO_SUFFIXES:
            self.photos[folder] += 1
        elif len(self.others) < MAX_SUFFIXES and len(self.others[suffix]) < MAX_NAMES:
            self.others[suffix].append(item.parts)


def survey(items: Iterable[Entry | Rejected], source: str, max_files: int) -> Survey:
    """Count the files of a source.

    Raises:
        DataError: more than `max_files` files.
    """
    found = Survey()
    for item in items:
        found.add(item)
        if found.files > max_files:
            raise DataError(
                f"'{source}' holds more than {max_files:,} files, too many for one import. "
                "Import its class folders in several goes."
            )
    return found


def class_folders(found: Survey, source: str, levels: Levels = AS_FOUND) -> ClassFolders:
    """The class folders of a source.

    Raises:
        DataError: no photos, or photos but no class folders.
        WrongUsage: they can be read in more than one way.
    """
    # Files without a photo's suffix only speak where there are no others.
    files = found.photos or found.folders
    if not files:
        why = f" ({found.rejected[0].path}: {found.rejected[0].reason})" if found.rejected else ""
        raise DataError(f"No photos in '{source}'{why}. {TREE}")
    if set(files) == {()}:
        what = "photos" if found.photos else "files"
        raise DataError(f"'{source}' holds {what} but no class folders. {TREE} {OTHERWISE}")
    try:
        return find_class_folders(files, source, levels, found.sidecars)
    except NoClassFolders as error:
        raise NoClassFolders(f"{error} {OTHERWISE}") from None


def class_names(found: Survey) -> list[str]:
    """The classes that the folders say; none where they do not clearly say any."""
    try:
        return class_folders(found, "").labels
    except ImgcliError:
        return []


def split_into(parts: Iterable[str]) -> tuple[str, ...]:
    """The parts of photos, if they make a split: train and a held-out one, no others."""
    found = set(parts)
    return tuple(sorted(found)) if {"train"} < found <= set(PARTS) else ()


def labelled(item: Entry | Rejected, found: ClassFolders) -> LabelledPhoto | Rejected:
    """Label an entry by its folder."""
    if isinstance(item, Rejected):
        return item
    folder = item.parts[:-1]
    if place := found.place(folder):
        return item.labelled(place.label, place.part or "")
    parts = found.parts
    if parts and not any(folder[: len(part)] == part for part in parts):
        names = sorted("/".join(part) for part in parts)
        return Rejected(item.origin, f"is in none of {', '.join(names)}")
    return Rejected(item.origin, "is in no class folder")
