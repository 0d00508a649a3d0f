"""The names in a folder or archive, and which folder of it is the class of a photo.

    photos/                   photos.zip
      crab/1.jpg                dataset/               a single wrapping folder is skipped
      crab/2024/2.jpg             crab/1.jpg           class crab
      lobster/1.jpg               lobster/1.jpg        class lobster

    photos/train/crab/1.jpg   of a source that is split already: class crab, part train
    photos/test/crab/2.jpg

Only folders and file names are read, before any file is opened: a tar is read once for this and
once for the photos, in constant memory both times.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from os.path import splitext

from imgcli.collect.imports.labelled_photo import Entry, LabelledPhoto
from imgcli.errors import DataError
from imgcli.image_types import PHOTO_SUFFIXES
from imgcli.records import Rejected

Folder = tuple[str, ...]

SYSTEM_FILES = {"__macosx", "thumbs.db", "desktop.ini"}  # lower case; and all hidden ones
PART_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
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


def is_system_file(name: str) -> bool:
    """Whether a name is hidden or an operating system's own; such files are not reported."""
    return name.startswith(".") or name.lower() in SYSTEM_FILES


@dataclass
class Survey:
    """The files of a source, by folder; the root is the folder `()`."""

    folders: Counter[Folder] = field(default_factory=Counter)  # files per folder
    photos: Counter[Folder] = field(default_factory=Counter)  # those with a photo's suffix
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


def class_root(found: Survey, source: str) -> Folder:
    """The folder of a source whose sub-folders are the classes, or the parts of a split.

    Raises:
        DataError: no photos, or photos but no class folders.
    """
    # Files without a photo's suffix only speak where there are no others.
    files = found.photos or found.folders
    if not files:
        why = f" ({found.rejected[0].path}: {found.rejected[0].reason})" if found.rejected else ""
        raise DataError(f"No photos in '{source}'{why}. {TREE}")
    if set(files) == {()}:
        what = "photos" if found.photos else "files"
        raise DataError(f"'{source}' holds {what} but no class folders. {TREE} {OTHERWISE}")
    return _root_of(files)


def class_names(found: Survey) -> set[str]:
    """The class folders; empty if all photos are in one folder."""
    files = found.photos or found.folders
    root = _root_of(files) if files else ()
    return {folder[len(root)] for folder in files if len(folder) > len(root)}


def part_folders(found: Survey, root: Folder) -> dict[str, str]:
    """The folders below `root` that are parts of a split, and which: train and a held-out one.

    With other folders beside them they are classes, unless train and a held-out one share class
    folders; the same rule as in `photos.layout`.
    """
    files = found.photos or found.folders
    below = [folder[len(root) :] for folder in files if folder[: len(root)] == root != folder]
    names = {inner[0] for inner in below}
    parts = {name: PART_FOLDERS[name.lower()] for name in names if name.lower() in PART_FOLDERS}
    if not split_into(parts.values()):
        return {}
    labels = {(parts.get(inner[0]), inner[1]) for inner in below if len(inner) > 1}
    shared = {label for part, label in labels if part not in ("train", None)}
    shared &= {label for part, label in labels if part == "train"}
    return parts if names == parts.keys() or shared else {}


def split_into(parts: Iterable[str]) -> tuple[str, ...]:
    """The parts of photos, if they make a split: train and a held-out one, no others."""
    found = set(parts)
    return tuple(sorted(found)) if {"train"} < found and "" not in found else ()


def labelled(
    item: Entry | Rejected, root: Folder, parts: Mapping[str, str] | None = None
) -> LabelledPhoto | Rejected:
    """Label an entry by its folder.

    Args:
        root: the folder that holds the class folders, or the parts.
        parts: part by folder below `root`; None if the classes are there.
    """
    if isinstance(item, Rejected):
        return item
    inner = item.parts[len(root) :] if item.parts[: len(root)] == root else ()
    part = ""
    if parts:
        part, inner = parts.get(inner[0], "") if inner else "", inner[1:]
        if not part:
            return Rejected(item.origin, f"is in none of {', '.join(sorted(parts))}")
    if len(inner) < 2:
        return Rejected(item.origin, "is in no class folder")
    return LabelledPhoto(inner[0], item.parts[-1], item.origin, item.read, part)


def part_named(folders: Folder) -> str:
    """The part that a photo's folders name, such as "train" in `train2017/`; else ""."""
    names = (PART_FOLDERS.get(folder.lower().rstrip("0123456789_-")) for folder in folders)
    return next((part for part in names if part), "")


def _root_of(files: Counter[Folder]) -> Folder:
    """Descend while there is a single folder with more photos below it than in it."""
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
