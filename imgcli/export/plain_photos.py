"""Photos decoded with Pillow alone, as a program without imgcli would.

It is another way than `imgcli.photos.decode` on purpose: an exported file is compared with imgcli
on what other programs will give it.
"""

import warnings
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from imgcli.locations import Location, open_location
from imgcli.photos.decode import Fault, decode, read_photo
from imgcli.reading import MAX_PHOTO
from imgcli.records import SampleRange

DEEP = ("I", "F")  # what modes of more than 8 bits begin with


def plain_photo(
    file: Location, least_side: int, sample_range: SampleRange | None = None
) -> NDArray[np.uint8] | None:
    """A photo `(H, W, 3)`: upright, RGB, what is transparent white; None if it cannot be read.

    Photos of more than 8 bits per sample, which Pillow does not bring to 8, come by imgcli's own
    decoder.

    Args:
        least_side: pixels of the short side that a JPEG may be decoded down to.
        sample_range: the run's, of photos of more than 8 bits.
    """
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            open_location(file, MAX_PHOTO) as opened,
            Image.open(opened) as photo,
        ):
            if not _is_deep(photo):
                photo.draft(None, (least_side, least_side))
                return np.asarray(_in_rgb(ImageOps.exif_transpose(photo)))
    except Exception:  # a dozen kinds; imgcli lists the photo if it cannot read it either
        return None
    data = read_photo(file)
    decoded = data if isinstance(data, Fault) else decode(data, sample_range=sample_range)
    return None if isinstance(decoded, Fault) else np.asarray(decoded)


def plain_photos(
    files: Iterable[Location], least_side: int, sample_range: SampleRange | None = None
) -> Iterator[NDArray[np.uint8]]:
    """Those of the photos that can be read."""
    for file in files:
        pixels = plain_photo(file, least_side, sample_range)
        if pixels is not None:
            yield pixels


def _in_rgb(photo: Image.Image) -> Image.Image:
    if photo.has_transparency_data:
        rgba = photo.convert("RGBA")
        white = Image.new("RGB", rgba.size, "white")
        white.paste(rgba, mask=rgba.getchannel("A"))
        return white
    return photo.convert("RGB")


def _is_deep(photo: Image.Image) -> bool:
    tiles = getattr(photo, "tile", ())
    rawmodes = str(tiles[0][3]) if tiles else ""
    return photo.mode.startswith(DEEP) or "16" in rawmodes or "65535" in rawmodes
