"""Metadata of photos: size, format, EXIF flags and sharpness.

Size and flags come from the file's header, sharpness from the view that `split` and `check` leave
in the cache; a photo is decoded only if that is missing. The cache keeps all of it by content.
"""

import warnings
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgcli.compute.engine import in_order
from imgcli.errors import DataError
from imgcli.locations import Location, open_location, paths_in
from imgcli.photos import decode, resize
from imgcli.photos.decode import FORMATS, ORIENTATION, open_photo, raw_mode
from imgcli.photos.near_duplicates import DEFAULT_VIEW
from imgcli.photos.pipeline import Photo, Transform, Undecodable, fill
from imgcli.photos.row_cache import RowStore
from imgcli.photos.sample_range import find_range
from imgcli.photos.views import store_of
from imgcli.reading import MAX_PHOTO
from imgcli.records import FloatArray, Preprocess

Number = TypeVar("Number")

CHUNK = 64  # headers per task
VERSION = 2  # a change of what is kept raises it
GPS = 0x8825
# EXIF: its own directory, times in the order in which they are believed, and the camera.
EXIF, TAKEN, DIGITIZED, CHANGED, FRACTION = 0x8769, 0x9003, 0x9004, 0x0132, 0x9291
MAKE, MODEL, SERIAL = 0x010F, 0x0110, 0xA431

# Sharpness compares how much neighbouring pixels differ at the steepest edges with how much pixels
# eight apart do: 1 for steps, 1/8 for what is blurred over more than that. It needs one sharp edge
# anywhere, so a blurred background is no fault.
APART = 8
STEEPEST = 0.995  # the share of the differences that are smaller than those compared
FAINT = 24  # grey levels; with less even eight pixels apart there is no edge to judge by
MIN_SIDE = 48  # pixels; a photo of fewer has no detail that could be missing


class Metadata(NamedTuple, Generic[Number]):
    """The metadata of one photo, as floats, or of N, as arrays (N,); flags are 0 or 1."""

    width: Number  # pixels, upright
    height: Number
    format: Number  # position in FORMATS
    exif_orientation: Number  # EXIF says that it has to be turned
    gps: Number  # EXIF says where it was taken
    animated: Number  # it has further frames, or pages
    cmyk: Number
    more_than_8_bits: Number  # per channel
    alpha: Number
    sharpness: Number  # see above; nan where there is nothing to judge by
    taken: Number  # seconds, by EXIF; nan where it does not say
    camera: Number  # a hash of its make, model and serial number by EXIF


FLAGS = ("exif_orientation", "gps", "animated", "cmyk", "more_than_8_bits", "alpha")


def read_metadata(
    files: Sequence[Location], digests: Sequence[str], cache: Path
) -> Metadata[FloatArray]:
    """The metadata of N files that can be decoded, as arrays (N,). Ctrl-C keeps what is done.

    Raises:
        DataError: a file no longer holds the bytes of its digest.
    """
    default = replace(DEFAULT_VIEW, sample_range=find_range(files, digests, cache)[0])
    samples = f"-{default.sample_range.key()}" if default.sample_range else ""
    made_by = f"facts{VERSION}-{resize.BY}-decode{decode.VERSION}{samples}"
    folder = cache / "facts" / made_by
    about = "sizes, formats and sharpness of photos"
    store = RowStore(folder, (len(Metadata._fields),), "float64", about=about)
    unique, first = np.unique(np.array(digests), return_index=True)
    views = store_of(default, cache)
    view_rows = views.rows(unique.tolist())

    def view_of(i: int) -> NDArray[np.uint8] | None:
        return views.take(view_rows[[i]])[0] if view_rows[i] >= 0 else None

    transform = Transform(partial(_derive, default))
    with warnings.catch_warnings(action="ignore"):  # Pillow's, about broken metadata
        unique_files = [files[i] for i in first]
        faults = fill([store], [transform], unique_files, unique.tolist(), "Measuring", view_of)
    if faults:
        file = unique_files[min(faults)]
        raise DataError(f"'{file}' changed while it was being looked at. Run the command again.")
    return Metadata(*store.take(store.rows(digests)).T)


def _derive(default: Preprocess, photo: Photo) -> FloatArray:
    return np.array(_metadata(photo, default), dtype=np.float64)


def _metadata(photo: Photo, default: Preprocess) -> Metadata[float]:
    """The metadata of a photo, whose default view is decoded if it is not given."""
    view: NDArray[np.uint8] | None = photo.given
    header = _header(photo.data)
    if min(header.width, header.height) < MIN_SIDE:
        return header
    if view is None:
        try:
            decoded = photo.decoded(decode.needed(default), default.sample_range)
            view = decode.to_input(decoded, default)
        except Undecodable:
            return header
    return header._replace(sharpness=sharpness(view, header.width, header.height))


def _header(data: bytes) -> Metadata[float]:
    """The metadata in a file's header; sharpness is nan."""
    with open_photo(data) as image:
        width, height = image.size
        orientation, gps, taken = 1, False, None
        with suppress(Exception):  # a photo with broken EXIF is still a photo
            exif = Image.Image.getexif(image)  # PNG's own decodes the picture first
            taken = _taken(exif)
            orientation = int(exif.get(ORIENTATION, 1))
            gps = bool(exif.get_ifd(GPS))
        animated = False
        with suppress(Exception):  # as is one whose second frame is broken
            animated = image.format != "MPO" and bool(getattr(image, "is_animated", False))
        rawmode = raw_mode(image)
        if orientation > 4:
            width, height = height, width
        return Metadata(
            width=width,
            height=height,
            format=FORMATS.index("JPEG" if image.format == "MPO" else str(image.format)),
            exif_orientation=orientation in decode.TURNS,
            gps=gps,
            animated=animated,
            cmyk=image.mode == "CMYK",
            more_than_8_bits=image.mode.startswith(("I", "F")) or ";16" in rawmode,
            alpha=image.has_transparency_data,
            sharpness=np.nan,
            taken=taken[1] if taken else np.nan,
            camera=float(zlib.crc32(taken[0].encode())) if taken else np.nan,
        )


def taken_of(files: Sequence[Location]) -> list[tuple[str, float] | None]:
    """The camera of each photo, and when it was taken, in seconds; None where EXIF does not say."""
    with warnings.catch_warnings(action="ignore"):
        chunks = (files[start : start + CHUNK] for start in range(0, len(files), CHUNK))
        taken = in_order(_read_all_taken, chunks, paths_in)
        return list(chain.from_iterable(taken))


def _read_all_taken(files: Sequence[Location]) -> list[tuple[str, float] | None]:
    return [_read_taken(file) for file in files]


def _read_taken(file: Location) -> tuple[str, float] | None:
    with suppress(Exception), open_location(file, MAX_PHOTO) as data:
        with Image.open(data, formats=FORMATS) as image:
            return _taken(Image.Image.getexif(image))
    return None


def camera_of(file: Location) -> str | None:
    """Make and model of the camera by EXIF, without its serial number; None where it has none."""
    with suppress(Exception), open_location(file, MAX_PHOTO) as data:
        with Image.open(data, formats=FORMATS) as image:
            exif = Image.Image.getexif(image)
        names = [str(exif.get(tag) or "").strip("\0 ") for tag in (MAKE, MODEL)]
        if names[1].lower().startswith(names[0].lower()):
            names = names[1:]  # "Canon" "Canon EOS 5D"
        return " ".join(name for name in names if name) or None
    return None


def _taken(exif: Image.Exif) -> tuple[str, float] | None:
    """The camera, by its make, model and serial number, and when it released, in seconds."""
    details = exif.get_ifd(EXIF)
    time = details.get(TAKEN) or details.get(DIGITIZED) or exif.get(CHANGED)
    try:
        when = datetime.strptime(str(time).strip("\0 ")[:19], "%Y:%m:%d %H:%M:%S")
    except ValueError:  # none, or the zeros of a camera whose clock was never set
        return None
    fraction = str(details.get(FRACTION, "")).strip("\0 ")
    seconds = float(f"0.{fraction}") if fraction.isdecimal() else 0.0
    names = (exif.get(MAKE), exif.get(MODEL), details.get(SERIAL))
    camera = " ".join(str(name).strip("\0 ") for name in names if name)
    return camera, when.replace(tzinfo=UTC).timestamp() + seconds


def sharpness(view: NDArray[np.uint8], width: float, height: float) -> float:
    """The sharpness of a view (S, S, 3) of a photo of that size, across or down, whichever is more.

    In a photo of fewer pixels than the view its own pixels are what is compared.
    """
    grey = np.asarray(Image.fromarray(view).convert("L")).astype(np.int16)
    near, far = [], []
    for lines, side in ((grey, width), (grey.T, height)):
        step = -(-len(grey) // int(min(side, len(grey))))  # pixels of the view per pixel
        near.append(_steepest(lines, step))
        far.append(_steepest(lines, APART * step))
    return max(near) / max(far) if max(far) >= FAINT else np.nan


def _steepest(lines: NDArray[np.int16], apart: int) -> int:
    """By how much pixels so far apart differ, at the steepest places."""
    differences = np.abs(lines[:, apart:] - lines[:, :-apart])
    counts = np.bincount(differences.ravel(), minlength=256)
    return int(np.searchsorted(counts.cumsum(), STEEPEST * differences.size))
