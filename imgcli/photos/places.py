"""Names that `imgcli.photos.layout` has, for rooms that still import them here."""

from pathlib import Path

from imgcli.photos.layout import Place, find_manifest, find_photos, part_folders
from imgcli.photos.manifest import Manifest
from imgcli.records import Rejected

__all__ = ["find_manifest", "find_places", "part_folders"]


def find_places(root: Path) -> tuple[dict[str, Place], list[Rejected], Manifest | None]:
    """`find_photos` as a tuple."""
    layout = find_photos(root)
    return layout.photos, layout.rejected, layout.manifest
