"""Where the photos of a folder belong: to a class and, in a dataset, to a part.

root/<class>/<photo>                        a folder of class folders
root/{train,test[,val]}/<class>/<photo>     a dataset, of `imgcli split` or made elsewhere
"""

import os
from pathlib import Path
from typing import NamedTuple

from imgcli.errors import DataError
from imgcli.photos.manifest import FOLDERS, Manifest, read_manifest
from imgcli.photos.scan import scan
from imgcli.records import Rejected


class Place(NamedTuple):
    """Where a photo belongs."""

    label: str
    part: str | None  # "train", "val" or "test"; None in a folder of class folders


def find_places(root: Path) -> tuple[dict[str, Place], list[Rejected], Manifest | None]:
    """The place of each photo by its path, what is not used, and the manifest of a split.

    Raises:
        DataError: no such folder, no photos in class folders, or a damaged manifest.
    """
    made = read_manifest(root)
    if made is None and not _has_parts(root):
        photos, unused = scan(root)
        return {path: Place(label, None) for path, label in photos}, unused, None
    places: dict[str, Place] = {}
    rejected: list[Rejected] = []
    for part, names in FOLDERS.items():
        for folder in (name for name in names if (root / name).is_dir()):
            try:
                photos, unused = scan(root / folder)
            except DataError:
                rejected.append(Rejected(folder, "a part without photos in class folders"))
                continue
            places |= {f"{folder}/{path}": Place(label, part) for path, label in photos}
            rejected += (Rejected(f"{folder}/{item.path}", item.reason) for item in unused)
    if not places:
        raise DataError(f"'{root}' holds no photos in train/<class>/ or test/<class>/.")
    return places, rejected, made


def _has_parts(root: Path) -> bool:
    """Whether this is a dataset made elsewhere, and no folder with a class called "train"."""
    if not (root / "train").is_dir():
        return False
    with os.scandir(root) as entries:
        folders = {e.name for e in entries if not e.name.startswith(".") and e.is_dir()}
    parts = {name for names in FOLDERS.values() for name in names}
    return folders <= parts and any(child.is_dir() for child in (root / "train").iterdir())
