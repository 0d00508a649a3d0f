"""Names that `imgcli.photos.layout` has, for rooms that still import them here."""

from imgcli.photos.layout import photos_under, scan

__all__ = ["photos_under", "scan"]
