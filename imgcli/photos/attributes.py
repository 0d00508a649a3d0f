"""What photos have besides what they show: size, shape, brightness, sharpness, maker, camera."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from imgcli import provenance
from imgcli.folder_names import AS_FOUND, Levels
from imgcli.locations import Location, locations_of
from imgcli.photos import fingerprint
from imgcli.photos.candidates import BLOCK, blocks
from imgcli.photos.layout import read_layout
from imgcli.photos.metadata import Metadata, camera_of, read_metadata
from imgcli.photos.near_duplicates import FileFingerprints, fingerprint_files
from imgcli.records import FloatArray, IntArray
from imgcli.runs import CACHE

Attributes = dict[str, FloatArray | Sequence[str | None]]  # by name, (M,) of each


def photo_attributes(
    data: Path,
    paths: Sequence[str],
    digests: Sequence[str],
    levels: Levels = AS_FOUND,
    cache: Path = CACHE,
) -> Attributes:
    """The attributes of M photos of a dataset; nan or None where one is not known.

    Of a photo that is gone or has changed, what the cache has of its digest is known.

    Args:
        digests: SHA-256 of each photo.

    Raises:
        DataError: the manifest is damaged, or a photo changes meanwhile.
    """
    layout = read_layout(data, levels)
    files = locations_of(layout.where, list(paths))
    found = fingerprint_files(files, list(digests), cache)
    good = np.flatnonzero(found.row >= 0)
    rows = good.tolist()
    metadata = read_metadata([files[i] for i in rows], [digests[i] for i in rows], cache)
    made_by = makers(layout.folders[-1])

    def of_all(values: FloatArray) -> FloatArray:
        every = np.full(len(paths), np.nan)
        every[good] = values
        return every

    return {
        "short side in pixels": of_all(np.minimum(metadata.width, metadata.height)),
        "width over height": of_all(metadata.width / metadata.height),
        "brightness (0 to 255)": of_all(_brightness(found, good)),
        "sharpness (0 to 1)": of_all(metadata.sharpness),
        "camera": _cameras(metadata, files, good),
        "source": [made_by.get(digest, (None, None))[0] for digest in digests],
        "photographer": [made_by.get(digest, (None, None))[1] for digest in digests],
    }


def makers(folder: Path) -> dict[str, tuple[str | None, str | None]]:
    """The source and the photographer of photos by their SHA-256, as collecting recorded them."""
    made_by: dict[str, tuple[str | None, str | None]] = {}
    with suppress(OSError):
        for line in provenance.read(folder):
            made_by[line["sha256"]] = line.get("source"), line.get("creator")
    return made_by


def _brightness(found: FileFingerprints, files: IntArray) -> FloatArray:
    """The mean grey level of these files."""
    rows = found.row[files]
    means = np.empty(len(rows))
    for some in blocks(np.argsort(rows), BLOCK):
        means[some] = fingerprint.luma(found.fingerprints[rows[some]]).mean(axis=(1, 2))
    return means


def _cameras(
    metadata: Metadata[FloatArray], files: Sequence[Location], good: IntArray
) -> list[str | None]:
    """The camera of each file. The metadata tell cameras apart; one photo of each has its name."""
    known = np.flatnonzero(~np.isnan(metadata.camera))
    _, first, which = np.unique(metadata.camera[known], return_index=True, return_inverse=True)
    names = [camera_of(files[good[known[place]]]) for place in first.tolist()]
    cameras: list[str | None] = [None] * len(files)
    for row, camera in zip(good[known].tolist(), which.tolist(), strict=True):
        cameras[row] = names[camera]
    return cameras
