"""Where the photos of a folder belong: to a class and, in a dataset, to a part.

root/<class>/<photo>                        a folder of class folders
root/{train,test[,val]}/<class>/<photo>     a dataset, of `imgcli split` or made elsewhere

`part_folders` decides which of the two a folder is, for every command.
"""

from pathlib import Path
from typing import NamedTuple

from imgcli import staging
from imgcli.errors import DataError
from imgcli.photos.manifest import FOLDERS, Manifest, read_manifest, user_files
from imgcli.photos.scan import folders_in, scan
from imgcli.records import Rejected

RENAME_CLASSES = "If its folders are classes, rename 'train'."


class Place(NamedTuple):
    """Where a photo belongs."""

    label: str
    part: str | None  # "train", "val" or "test"; None in a folder of class folders


def find_manifest(root: Path) -> Manifest | None:
    """The manifest of a folder that is about to be read; None where there is none.

    What a killed imgcli left of replacing the folder is finished or undone first.

    Raises:
        DataError: the manifest is damaged.
        StorageError: the folder is missing, and what it was has another name since a kill.
    """
    staging.recover(root, user_files)
    return read_manifest(root)


def part_folders(root: Path, made: Manifest | None) -> dict[str, str]:
    """The folders of a dataset's parts, and the part each is; none in a folder of class folders.

    A dataset has a manifest, or folders that are all named as parts, train among them. With other
    folders beside these, "train" is a class, unless train and a held-out part share class folders.
    """
    part_of = {name: part for part, names in FOLDERS.items() for name in names}
    tops = folders_in(root)
    parts = {name: part for name, part in part_of.items() if name in tops}
    if made or ("train" in parts and parts.keys() == set(tops)):
        return parts
    in_train = set(folders_in(root / "train")) if "train" in parts else set()
    held_out = {name for top in parts if top != "train" for name in folders_in(root / top)}
    return parts if in_train & held_out else {}


def find_places(root: Path) -> tuple[dict[str, Place], list[Rejected], Manifest | None]:
    """The place of each photo by its path, what is not used, and the manifest of a split.

    Raises:
        DataError: no such folder, no photos in class folders, or a damaged manifest.
    """
    made = find_manifest(root)
    parts = part_folders(root, made)
    if not parts and made is None:
        photos, unused = scan(root)
        return {path: Place(label, None) for path, label in photos}, unused, None
    places: dict[str, Place] = {}
    rejected: list[Rejected] = []
    for folder, part in parts.items():
        try:
            photos, unused = scan(root / folder)
        except DataError:
            rejected.append(Rejected(folder, "a part without photos in class folders"))
            continue
        places |= {f"{folder}/{path}": Place(label, part) for path, label in photos}
        rejected += (Rejected(f"{folder}/{item.path}", item.reason) for item in unused)
    if not places:
        raise DataError(
            f"'{root}' holds no photos in train/<class>/ or test/<class>/. {RENAME_CLASSES}"
        )
    return places, rejected, made
