"""The one decode: a file's bytes become an upright RGB picture, or a fault that says why not.

`check`, `split`, `train`, `evaluate` and `predict` all see photos through `decode`, and networks
see them through `to_input`, so no two commands can disagree about a pixel.
"""

import errno
import io
import logging
import math
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from PIL import (
    Image,
    TiffImagePlugin,  # noqa: F401  Image.open knows only the commonest formats by itself, and
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401  would import all forty plugins to find these two
)
from PIL.Image import Transpose
from PIL.JpegImagePlugin import JpegImageFile

from imgcli.image_types import SUFFIXES, other_type
from imgcli.photos.resize import MARGIN, resize
from imgcli.reading import MAX_PHOTO, open_regular
from imgcli.records import Preprocess

VERSION = 2  # of the rules below; a change of pixels raises it, and stored pixels are made again
FORMATS = tuple(name.upper() for name in SUFFIXES)  # MPO, a JPEG with more behind it, as JPEG
MAX_PIXELS = 50_000_000

Stage = Literal["read", "identify", "open", "limit", "decode", "convert"]

logging.getLogger("PIL").addHandler(logging.NullHandler())  # its errors come back as faults


@dataclass(frozen=True)
class Fault:
    """Why a file gives no picture: how far it came, the class of the error, and its message."""

    stage: Stage
    kind: str
    reason: str

    @property
    def sentence(self) -> str:
        """For people, to follow the file's name."""
        what = {
            "read": "cannot be read",
            "identify": "is not a picture that imgcli reads",
            "open": "is damaged at the beginning",
            "limit": "is too large",
            "decode": "is damaged",
            "convert": "cannot be turned into RGB",
        }[self.stage]
        return f"{what}: {self.reason}"


def read_photo(file: Path | str, max_bytes: int = MAX_PHOTO) -> bytes | Fault:
    """All bytes of a regular file; pipes and devices are never waited for."""
    try:
        with open_regular(file, max_bytes) as stream:
            return stream.read()
    except OSError as error:
        if error.errno == errno.EFBIG:
            return Fault("limit", "TooManyBytes", error.strerror or "")
        return Fault("read", type(error).__name__, error.strerror or str(error))


def decode(
    data: bytes, at_least: int | None = None, max_pixels: int = MAX_PIXELS
) -> Image.Image | Fault:
    """Decode a picture fully: upright, RGB, of 8 bits, the first frame where there are several.

    Samples of 16 bits are scaled, never clipped; CMYK is multiplied out; whatever is transparent
    shows white. No exception and no warning leaves this function, whatever the bytes are.

    Args:
        at_least: pixels of its short side that the photo is needed at. A JPEG that has several
            times as many is decoded at 1/2, 1/4 or 1/8 of its size, the smallest that keeps them,
            from the low frequencies it is made of. None decodes it at its full size.
        max_pixels: more are refused, counted at full size.
    """
    stage: Stage = "open"
    try:
        with _no_warnings:
            image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
            width, height = image.size
            if width * height > max_pixels:
                return Fault("limit", "TooManyPixels", _too_many(width, height, max_pixels))
            stage = "decode"
            if isinstance(image, JpegImageFile):
                image.decodermaxblock = len(data)  # at once; by pieces a large one takes 7 % longer
                if at_least:
                    image.draft(None, (at_least, at_least))
            _match_transparent_colour(image)
            image.load()
            if 0 in image.size:
                return Fault("decode", "NoPixels", f"{width} × {height} pixels")
            stage = "convert"
            return _upright(_to_rgb(image), _orientation(image))
    except UnidentifiedImageError:
        return Fault("identify", "UnidentifiedImageError", _what_it_is(data))
    except Image.DecompressionBombError as error:  # Pillow's own limit, 179 million pixels
        return Fault("limit", "DecompressionBombError", str(error).split(",")[0])
    except Exception as error:
        # Pillow raises a dozen kinds on damaged files: ValueError, IndexError, struct.error, ...
        message = " ".join(str(error).split())[:200] or "no reason given"
        return Fault(stage, type(error).__name__, f"{message} ({type(error).__name__})")


def reduction(data: bytes, at_least: int) -> int:
    """By how much `decode` shrinks a photo that is needed at `at_least`: 1, 2, 4 or 8 times."""
    try:
        with _no_warnings:
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            width = image.width
            image.draft(None, (at_least, at_least))
            return round(width / image.width)
    except Exception:  # for `decode` to say
        return 1


# --- the network's view -------------------------------------------------------------------------


def needed(preprocess: Preprocess) -> int:
    """Pixels of a photo's short side that are enough for its view."""
    short = preprocess.size / (preprocess.crop if preprocess.fit == "crop" else 1)
    return math.ceil(MARGIN * short)


def to_input(photo: Image.Image, preprocess: Preprocess) -> NDArray[np.uint8]:
    """The network's view of a decoded photo: (size, size, 3), antialiased where it shrinks."""
    size = preprocess.size
    match preprocess.fit:
        case "squash":
            return resize(photo, (size, size), preprocess.interpolation)
        case "crop":
            box = _centre(photo, size, preprocess.crop)
            return resize(photo, (size, size), preprocess.interpolation, box)
        case "pad":
            return _padded(photo, size, preprocess.interpolation)


def _centre(photo: Image.Image, size: int, crop: float) -> tuple[float, float, float, float]:
    """The box of `photo` that resizing the short side and cutting out the centre would keep.

    Resizing the box alone gives the same pixels (the filter looks beyond the box) without making
    those that would be cut away. Rounding follows torchvision's Resize and CenterCrop.
    """
    short = round(size / crop)
    box = []
    for length in photo.size:
        resized = short * length // min(photo.size)
        start = round((resized - size) / 2)
        box += [start * length / resized, (start + size) * length / resized]
    left, right, top, bottom = box
    return left, top, min(right, photo.width), min(bottom, photo.height)


def _padded(photo: Image.Image, size: int, interpolation: str) -> NDArray[np.uint8]:
    scale = size / max(photo.size)
    width, height = (max(1, round(length * scale)) for length in photo.size)
    left, top = (size - width) // 2, (size - height) // 2
    canvas = np.zeros((size, size, 3), np.uint8)
    canvas[top : top + height, left : left + width] = resize(photo, (width, height), interpolation)
    return canvas


# --- colours ------------------------------------------------------------------------------------


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _grey_from_numbers(image)
    if image.has_transparency_data:
        return _on_white(image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_white(rgba: Image.Image) -> Image.Image:
    white = Image.new("RGB", rgba.size, "white")
    white.paste(rgba.convert("RGB"), mask=rgba.getchannel("A"))
    return white


def _grey_from_numbers(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits, its range brought to 0..255.

    16-bit files use their whole range by definition. Integers of 32 bits and floats have none:
    the smallest of the common ones that holds all values counts, else their own extremes.
    """
    values = np.array(image, dtype=np.float32)
    np.nan_to_num(values, copy=False, posinf=0, neginf=0)
    clear = values == image.info["transparency"] if "transparency" in image.info else None
    low, high = float(values.min()), float(values.max())
    tops = {"I": (255.0, 65535.0), "F": (1.0, 255.0, 65535.0)}.get(image.mode, (65535.0,))
    bottom, top = next(((0.0, top) for top in tops if 0 <= low and high <= top), (low, high))
    values -= bottom  # in place, here and below: 50 million floats are 0.2 GB
    values *= 255 / (top - bottom or 1)
    grey = np.rint(values, out=values).astype(np.uint8)
    if clear is not None:
        grey[clear] = 255
    return Image.fromarray(grey).convert("RGB")


def _match_transparent_colour(image: Image.Image) -> None:
    """Bring a PNG's transparent colour to the 8 bits that Pillow brings the pixels to.

    Pillow leaves it as it stands in the file, so in files of 2, 4 and 16 bits it would match no
    pixel, or a wrong one. To be called before loading, while the file's depth is known.
    """
    key = image.info.get("transparency")
    rawmode = next((str(tile[3]) for tile in getattr(image, "tile", ())), "")
    if rawmode == "RGB;16B" and isinstance(key, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in key)
    elif rawmode in ("L;2", "L;4") and isinstance(key, int):
        image.info["transparency"] = key * (85 if rawmode == "L;2" else 17)


# --- orientation --------------------------------------------------------------------------------

ORIENTATION = 0x0112
TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


def _orientation(image: Image.Image) -> Transpose | None:
    """How to turn the loaded image upright; None where EXIF does not say, or is broken.

    `ImageOps.exif_transpose` does this too, but writes the EXIF again and fails where that fails.
    TIFF has been turned by Pillow while loading, and then no longer has the tag.
    """
    try:
        return TURNS.get(cast(int, image.getexif().get(ORIENTATION)))
    except Exception:  # a photo with broken EXIF is still a photo
        return None


def _upright(image: Image.Image, turn: Transpose | None) -> Image.Image:
    return image if turn is None else image.transpose(turn)


# --- what else it may be ------------------------------------------------------------------------


def _what_it_is(data: bytes) -> str:
    """What a file that Pillow cannot identify is."""
    head = data[:1024]
    unknown = (
        "text" if _is_text(head) else f"none of {', '.join(FORMATS)}, or damaged at the beginning"
    )
    return other_type(head) or unknown


def _is_text(head: bytes) -> bool:
    """Whether a file's beginning is UTF-8 without control characters."""
    text = head.decode("utf-8", "ignore")  # the cut may go through a character
    return len(head) - len(text.encode()) < 4 and all(c.isprintable() or c.isspace() for c in text)


def _too_many(width: int, height: int, limit: int) -> str:
    return (
        f"{width} × {height} are {width * height / 1e6:.0f} million pixels, "
        f"the limit is {limit / 1e6:.0f} million"
    )


# --- warnings -----------------------------------------------------------------------------------


class _NoWarnings:
    """Warnings are off while any thread is inside.

    `warnings.catch_warnings` puts back the filters it found; in threads that overlap, one would
    put back what the other had set and leave warnings off, or on in the middle of a decode.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._filters = warnings.catch_warnings(action="ignore")
                self._filters.__enter__()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(None, None, None)


_no_warnings = _NoWarnings()
