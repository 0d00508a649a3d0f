"""The one decode: a file's bytes become an upright RGB picture, or a fault that says why not.

`check`, `split`, `train`, `evaluate` and `predict` all see photos through `decode`, and networks
see them through `to_input`, so no two commands can disagree about a pixel.
"""

import errno
import io
import logging
import math
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from PIL import (
    Image,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401  would import all forty plugins to find these two
)
from PIL.Image import Transpose
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from imgcli.errors import WrongUsage
from imgcli.image_types import (
    FORMATS_READ,
    HEAD,
    SUFFIXES,
    lacking,
    other_type,
    photo_format,
)
from imgcli.locations import Location, read_each
from imgcli.photos.jpeg import decode_jpeg
from imgcli.photos.resize import MARGIN, Picture, as_image, resize, size_of
from imgcli.reading import MAX_PHOTO, MAX_PIXELS_VARIABLE, pixel_limit
from imgcli.records import Preprocess, SampleRange

VERSION = 2  # of the rules below; a change of pixels raises it, and stored pixels are made again
FORMATS = tuple(name.upper() for name in SUFFIXES)  # MPO, a JPEG with more behind it, as JPEG
BYTES = 8  # that a pixel takes, with what is made of it
LARGE = 50_000_000  # photos of more pixels are decoded one at a time

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


def read_photo(location: Location, max_bytes: int = MAX_PHOTO) -> bytes | Fault:
    """All bytes of a photo; pipes and devices are never waited for."""
    return next(read_photos([location], max_bytes))


def read_photos(
    locations: Iterable[Location], max_bytes: int = MAX_PHOTO
) -> Iterator[bytes | Fault]:
    """As `read_photo` of each, one at a time; members of one shard take one open file."""
    for data in read_each(locations, max_bytes):
        if not isinstance(data, OSError):
            yield data
        elif data.errno == errno.EFBIG:
            yield Fault("limit", "TooManyBytes", data.strerror or "")
        else:
            yield Fault("read", type(data).__name__, data.strerror or str(data))


def decode(
    data: bytes,
    at_least: int | None = None,
    max_pixels: int | None = None,
    sample_range: SampleRange | None = None,
) -> Image.Image | Fault:
    """As `decode_picture`, for Pillow to work on."""
    found = decode_picture(data, at_least, max_pixels, sample_range)
    return found if isinstance(found, Fault) else as_image(found)


def decode_picture(
    data: bytes,
    at_least: int | None = None,
    max_pixels: int | None = None,
    sample_range: SampleRange | None = None,
) -> Picture | Fault:
    """Decode a picture fully: upright, RGB, of 8 bits, the first frame where there are several.

    Samples of more than 8 bits are scaled: by what the file says of their range, else by
    `sample_range`. CMYK is multiplied out; whatever is transparent shows white. No exception and
    no warning leaves this function, whatever the bytes are.

    Args:
        at_least: pixels of its short side that the photo is needed at. A JPEG that has several
            times as many is decoded at 1/2, 1/4 or 1/8 of its size, the smallest that keeps them,
            from the low frequencies it is made of. None decodes it at its full size.
        max_pixels: more are refused, counted at the size that is decoded; None: `pixel_limit()`.
        sample_range: None takes the whole range of 16 bits, and each photo's own of others.

    Raises:
        WrongUsage: the environment's limit is no number.
    """
    limit = pixel_limit() if max_pixels is None else max_pixels
    stage: Stage = "open"
    try:
        with _no_warnings:
            image = open_photo(data)
            size = image.size
            if isinstance(image, JpegImageFile):
                image.decodermaxblock = len(data)  # at once; by pieces a large one takes 7 % longer
                if at_least:
                    image.draft(None, (at_least, at_least))
            held = _pixels_held(image, size)
            if held > limit:
                return Fault("limit", "TooManyPixels", _too_many(size, held, limit))
            stage = "decode"
            with _one_at_a_time if held > LARGE else nullcontext():
                if isinstance(image, JpegImageFile):
                    pixels = decode_jpeg(data, image)
                    if pixels is not None:
                        return _upright_pixels(pixels, _orientation(image))
                _match_transparent_colour(image)
                white = _white(image, data)
                rawmode = raw_mode(image)
                try:
                    image.load()
                except ValueError as error:
                    if not _is_too_much_text(error):
                        raise
                    bare = _without_text(data)
                    return decode_picture(bare, at_least, limit, sample_range)
                if 0 in image.size:
                    return Fault("decode", "NoPixels", f"{size[0]} × {size[1]} pixels")
                stage = "convert"
                top = _top(image, data, white, sample_range)
                if top < FULL and rawmode in _WIDE:
                    image = _scaled_colour(image, data, rawmode, top)
                return _upright(_to_rgb(image, top, sample_range), _orientation(image))
    except UnidentifiedImageError:
        return _unidentified(data)
    except Exception as error:
        # Pillow raises a dozen kinds on damaged files: ValueError, IndexError, struct.error, ...
        message = " ".join(str(error).split())[:200] or "no reason given"
        return Fault(stage, type(error).__name__, f"{message} ({type(error).__name__})")


def open_photo(data: bytes) -> Image.Image:
    """Read a picture's header; its pixels are not decoded, and their number is not limited.

    Raises:
        UnidentifiedImageError: no picture of ours.
        Exception: of a dozen other kinds, for a damaged header.
    """
    name = photo_format(data[:HEAD])
    if name is not None and lacking(name):
        raise UnidentifiedImageError
    _load_plugin(name)
    formats = FORMATS[:6] if name is None else (name.upper(),)
    try:
        return Image.open(io.BytesIO(data), formats=formats)
    except Image.DecompressionBombError:  # at the header's size; `decode` counts what is decoded
        if name is None:
            raise
        factory, _ = Image.OPEN[name.upper()]
        return cast(Image.Image, factory(io.BytesIO(data), ""))
    except ValueError as error:
        if not _is_too_much_text(error):
            raise
        return Image.open(io.BytesIO(_without_text(data)), formats=formats)


@cache
def _load_plugin(name: str | None) -> None:
    """Have Pillow know a format that it does not know by itself."""
    if name == "AVIF":
        import PIL.AvifImagePlugin  # noqa: F401
    elif name == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    elif name == "JXL":
        import pillow_jxl  # noqa: F401


def _pixels_held(image: Image.Image, size: tuple[int, int]) -> int:
    """The pixels in memory while a photo is decoded; of a progressive JPEG its coefficients too."""
    width, height = image.size
    held = width * height
    if isinstance(image, JpegImageFile) and image.info.get("progressive"):
        blocks = [(h, v) for _, h, v, _ in image.layer]
        most = max(h for h, _ in blocks) * max(v for _, v in blocks)
        samples = size[0] * size[1] * sum(h * v for h, v in blocks) / most
        held += int(samples) * 2 // BYTES  # a coefficient of two bytes for each
    return held


def reduction(data: bytes, at_least: int) -> int:
    """By how much `decode` shrinks a photo that is needed at `at_least`: 1, 2, 4 or 8 times."""
    try:
        with _no_warnings:
            image = open_photo(data)
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


def to_input(photo: Picture, preprocess: Preprocess) -> NDArray[np.uint8]:
    """The network's view of a decoded photo: (size, size, 3), antialiased where it shrinks."""
    size = preprocess.size
    match preprocess.fit:
        case "squash":
            return resize(photo, (size, size), preprocess.interpolation)
        case "crop":
            box = _centre(size_of(photo), size, preprocess.crop)
            return resize(photo, (size, size), preprocess.interpolation, box)
        case "pad":
            return _padded(photo, size, preprocess.interpolation)


def view_box(size: tuple[int, int], preprocess: Preprocess) -> tuple[float, float, float, float]:
    """Where a photo of `size`, width and height, has the network's view: left, top, right, bottom.

    In shares of the photo, whose top left corner is (0, 0) and bottom right corner (1, 1); beyond
    these lies what is padded.
    """
    match preprocess.fit:
        case "squash":
            return 0.0, 0.0, 1.0, 1.0
        case "crop":
            box = _centre(size, preprocess.size, preprocess.crop)
            (width, height), (left, top, right, bottom) = size, box
            return left / width, top / height, right / width, bottom / height
        case "pad":
            across, down = ((max(size) / length - 1) / 2 for length in size)
            return -across, -down, 1 + across, 1 + down


def _centre(photo: tuple[int, int], size: int, crop: float) -> tuple[float, float, float, float]:
    """The box that resizing a photo's short side and cutting out the centre would keep.

    Resizing the box alone gives the same pixels (the filter looks beyond the box) without making
    those that would be cut away. Rounding follows torchvision's Resize and CenterCrop.

    Args:
        photo: its width and height.
    """
    short = round(size / crop)
    box = []
    for length in photo:
        resized = short * length // min(photo)
        start = round((resized - size) / 2)
        box += [start * length / resized, (start + size) * length / resized]
    left, right, top, bottom = box
    return left, top, min(right, photo[0]), min(bottom, photo[1])


def _padded(photo: Picture, size: int, interpolation: str) -> NDArray[np.uint8]:
    across, down = size_of(photo)
    scale = size / max(across, down)
    width, height = (max(1, round(length * scale)) for length in (across, down))
    left, top = (size - width) // 2, (size - height) // 2
    canvas = np.zeros((size, size, 3), np.uint8)
    canvas[top : top + height, left : left + width] = resize(photo, (width, height), interpolation)
    return canvas


# --- colours ------------------------------------------------------------------------------------


def _to_rgb(image: Image.Image, top: int, sample_range: SampleRange | None) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _grey_from_numbers(image, top, sample_range)
    if image.has_transparency_data:
        return _on_white(image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_white(rgba: Image.Image) -> Image.Image:
    white = Image.new("RGB", rgba.size, "white")
    white.paste(rgba.convert("RGB"), mask=rgba.getchannel("A"))
    return white


def _grey_from_numbers(
    image: Image.Image, top: int, sample_range: SampleRange | None
) -> Image.Image:
    """Grey of more than 8 bits, its range brought to 0..255.

    Args:
        top: the sample of files of 16 bits that is white.
        sample_range: of integers of 32 bits and floats. None: the smallest of the common ones that
            holds all values counts, else their own extremes.
    """
    values = np.array(image, dtype=np.float32)
    np.nan_to_num(values, copy=False, posinf=0, neginf=0)
    clear = values == image.info["transparency"] if "transparency" in image.info else None
    black, white = _black_and_white(image, values, top, sample_range)
    np.clip(values, black, white, out=values)
    values -= black  # in place, here and below: 50 million floats are 0.2 GB
    values *= 255 / (white - black or 1)
    grey = np.rint(values, out=values).astype(np.uint8)
    if clear is not None:
        grey[clear] = 255
    return Image.fromarray(grey).convert("RGB")


def _black_and_white(
    image: Image.Image, values: NDArray[np.float32], top: int, sample_range: SampleRange | None
) -> tuple[float, float]:
    if image.mode.startswith("I;16") or (image.format == "PPM" and image.mode == "I"):
        return 0.0, float(top)
    of_all = sample_range or SampleRange()
    taken = of_all.floats if image.mode == "F" else of_all.integers
    return taken or common_range(image.mode, float(values.min()), float(values.max()))


def common_range(mode: str, low: float, high: float) -> tuple[float, float]:
    """The smallest common range of integers ("I") or floats ("F") that holds these values."""
    tops = {"I": (255.0, 65535.0), "F": (1.0, 255.0, 65535.0)}[mode]
    return next(((0.0, top) for top in tops if low >= 0 and high <= top), (low, high))


# --- 16 bits of which fewer are used ------------------------------------------------------------

FULL = 65535
BITS = (8, 10, 12, 14, 16)  # per sample that cameras, scanners and other tools have
# Pillow keeps one byte of each of a colour's samples of 16 bits; this raw mode gives the other.
_OTHER_BYTE = {
    f"{mode};16{order}": f"{mode};16{other}"
    for mode in ("RGB", "RGBA")
    for order, other in (("B", "L"), ("L", "B"), ("N", "B" if sys.byteorder == "little" else "L"))
}


_GREY_ALPHA, _PORTABLE = "LA;16B", "65535"  # of a PNG; of a PPM, by its maximum
_WIDE = {*_OTHER_BYTE, _GREY_ALPHA, _PORTABLE}  # several samples of 16 bits per pixel


def raw_mode(image: Image.Image) -> str:
    """How the samples of a picture that is not loaded yet stand in its file; "" if unknown."""
    args = next((tile[3] for tile in getattr(image, "tile", ())), "")
    if image.format == "PPM" and args == ("RGB", FULL):
        return _PORTABLE
    return str(args[0] if isinstance(args, tuple) and args else args)


def bits_for(high: float) -> int:
    """The fewest bits of `BITS` that hold a sample."""
    return next((bits for bits in BITS if high < 1 << bits), BITS[-1])


SIXTEEN, SAID = "16", "said"
KINDS = ("", SIXTEEN, "I", "F", SAID)  # 16 bits, integers of 32, floats; the white a file says


class Extremes(NamedTuple):
    """The lowest and highest sample of a photo of more than 8 bits."""

    kind: int  # position in KINDS
    low: float
    high: float


def sample_extremes(data: bytes) -> Extremes | None:
    """The range of a photo's samples; None for one of 8 bits, or one that cannot be decoded."""
    try:
        with _no_warnings:
            image = open_photo(data)
            white, rawmode = _white(image, data), raw_mode(image)
            colours = rawmode in _WIDE
            if not colours and image.mode[:1] not in ("I", "F"):
                return None
            if image.width * image.height > pixel_limit():
                return None
            with _one_at_a_time if image.width * image.height > LARGE else nullcontext():
                image.load()
                of_16 = colours or image.mode.startswith("I;16") or image.format == "PPM"
                if of_16 and image.mode != "F" and white is not None:
                    return Extremes(KINDS.index(SAID), 0, white)
                values = np.asarray(image)
                if colours:
                    values = colour_samples(image, data, rawmode)
                    values = values[..., :-1] if _has_alpha(values) else values
                if image.mode == "F":
                    values = np.nan_to_num(values, posinf=0, neginf=0)
                kind = image.mode if image.mode == "F" or not of_16 else SIXTEEN
                low, high = float(values.min()), float(values.max())
                return Extremes(KINDS.index(kind), low, high)
    except WrongUsage:
        raise
    except Exception as error:  # for `decode` to say
        if isinstance(error, ValueError) and _is_too_much_text(error):
            return sample_extremes(_without_text(data))
        return None


def _white(image: Image.Image, data: bytes) -> int | None:
    """The sample of 16 bits that is white by what the file says; None if it does not."""
    if image.format == "PPM":  # Pillow has brought its samples to 16 bits, unless it has 16
        fields = [f for line in data[:HEAD].split(b"\n") for f in line.split(b"#")[0].split()]
        return None if fields[3:4] == [b"65535"] else FULL
    if image.format == "TIFF":
        tags = cast(TiffImagePlugin.TiffImageFile, image).tag_v2
        bits = tags.get(258, (16,))
        if isinstance(bits, tuple) and bits and bits[0] in BITS[1:-1]:
            return (1 << int(bits[0])) - 1
        white = tags.get(281)  # MaxSampleValue; one that is only this photo's maximum tells nothing
        white = white[0] if isinstance(white, tuple) and white else white
        if isinstance(white, int) and white < FULL and white + 1 in (1 << bits for bits in BITS):
            return white
    if image.format == "PNG" and (bits := _significant_bits(data)):
        return (1 << bits) - 1
    return None


def _significant_bits(data: bytes) -> int | None:
    """The bits of `BITS` that a PNG's sBIT chunk names; None without one, and for 16."""
    start = data.find(b"sBIT", 0, max(data.find(b"IDAT"), 0))
    if start < 4:
        return None
    length = int.from_bytes(data[start - 4 : start], "big")
    bits = max(data[start + 4 : start + 4 + length][:3], default=0) if length <= 4 else 0
    return bits if bits in BITS[:-1] else None


def _top(
    image: Image.Image, data: bytes, white: int | None, sample_range: SampleRange | None
) -> int:
    """The sample of 16 bits that is white in a loaded picture."""
    if not (image.mode.startswith("I;16") or image.format == "PPM" or white or sample_range):
        return FULL
    if white is None:
        return (1 << sample_range.bits) - 1 if sample_range else FULL
    if white < FULL:
        # The standard of PNG has fewer bits moved up, to the whole range; many leave them low.
        samples = np.asarray(image)
        samples = samples[..., :-1] if _has_alpha(samples) else samples
        if int(samples.max()) > (white if image.mode.startswith("I") else white >> 8):
            return FULL
    return white


def _scaled_colour(image: Image.Image, data: bytes, rawmode: str, top: int) -> Image.Image:
    """A loaded picture of 16 bits per colour, its samples up to `top` brought to 0..255."""
    values = colour_samples(image, data, rawmode)
    limits = np.full(values.shape[2], top)
    if _has_alpha(values) and int(values[..., -1].max()) > top:
        limits[-1] = FULL
    scaled = np.rint(np.minimum(values, limits) * (255 / limits)).astype(np.uint8)
    made = Image.fromarray(scaled)  # LA, RGB or RGBA
    made.info = image.info
    return made


def colour_samples(image: Image.Image, data: bytes, rawmode: str) -> NDArray[np.uint16]:
    """The samples of a loaded picture of 16 bits, (H, W, bands); alpha is the last."""
    second = cast(ImageFile, open_photo(data))
    if rawmode == _PORTABLE:
        width, height = second.size
        start = second.tile[0].offset
        if data[:2] == b"P6":
            samples = np.frombuffer(data, ">u2", 3 * width * height, start)
        else:  # P3, written out
            samples = np.array(data[start:].split()[: 3 * width * height], np.uint16)
        return samples.astype(np.uint16).reshape(height, width, 3)
    if rawmode == _GREY_ALPHA:  # four bytes a pixel
        second._mode, other = "RGBA", "RGBA"
    else:
        other = _OTHER_BYTE[rawmode]
    second.tile = [
        tile._replace(args=(other, *tile.args[1:]) if isinstance(tile.args, tuple) else other)
        for tile in second.tile
    ]
    second.load()
    low = np.asarray(second)
    if rawmode == _GREY_ALPHA:
        return np.ascontiguousarray(low).view(">u2").astype(np.uint16)
    return np.asarray(np.asarray(image).astype(np.uint16) << 8 | low, np.uint16)


def _has_alpha(samples: NDArray[Any]) -> bool:
    """Whether the last of the samples of each pixel, (H, W) or (H, W, bands), is alpha."""
    return samples.ndim == 3 and samples.shape[2] % 2 == 0


def _match_transparent_colour(image: Image.Image) -> None:
    """Bring a PNG's transparent colour to the 8 bits that Pillow brings the pixels to.

    Pillow leaves it as it stands in the file, so in files of 2, 4 and 16 bits it would match no
    pixel, or a wrong one. To be called before loading, while the file's depth is known.
    """
    key = image.info.get("transparency")
    rawmode = raw_mode(image)
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
_TURNED: dict[Transpose, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    Transpose.FLIP_LEFT_RIGHT: lambda pixels: pixels[:, ::-1],
    Transpose.ROTATE_180: lambda pixels: pixels[::-1, ::-1],
    Transpose.FLIP_TOP_BOTTOM: lambda pixels: pixels[::-1],
    Transpose.TRANSPOSE: lambda pixels: pixels.swapaxes(0, 1),
    Transpose.ROTATE_270: lambda pixels: pixels[::-1].swapaxes(0, 1),
    Transpose.TRANSVERSE: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    Transpose.ROTATE_90: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
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


def _upright_pixels(pixels: NDArray[np.uint8], turn: Transpose | None) -> NDArray[np.uint8]:
    """As `_upright`, of pixels (H, W, 3)."""
    if turn is None:
        return pixels
    return np.ascontiguousarray(_TURNED[turn](pixels))


def _upright(image: Image.Image, turn: Transpose | None) -> Image.Image:
    return image if turn is None else image.transpose(turn)


# --- what else it may be ------------------------------------------------------------------------


def _unidentified(data: bytes) -> Fault:
    """What to say of a file that Pillow cannot identify."""
    kind, name = UnidentifiedImageError.__name__, photo_format(data[:HEAD])
    if name is None:
        unknown = f"none of {FORMATS_READ}, or damaged at the beginning"
        return Fault("identify", kind, other_type(data[:HEAD]) or unknown)
    if reason := lacking(name):
        return Fault("identify", kind, reason)
    return Fault("open", kind, f"its {name} header cannot be read")


def _is_too_much_text(error: ValueError) -> bool:
    """Whether it is Pillow's limit on what a PNG says beside its pixels."""
    return any(words in str(error) for words in ("MAX_TEXT_CHUNK", "MAX_TEXT_MEMORY"))


def _without_text(data: bytes) -> bytes:
    """A PNG without its texts and colour profile, which its pixels do not need."""
    kept, start = [data[:8]], 8
    while start < len(data):
        length = int.from_bytes(data[start : start + 4], "big")
        end = start + 12 + length
        if data[start + 4 : start + 8] not in (b"tEXt", b"zTXt", b"iTXt", b"iCCP"):
            kept.append(data[start:end])
        start = end
    return b"".join(kept)


def _too_many(size: tuple[int, int], held: int, limit: int) -> str:
    width, height = size
    at = "" if held == width * height else f", of which {_millions(held)} are held at once"
    return (
        f"{width} × {height} are {_millions(width * height)} pixels{at}; the limit is "
        f"{_millions(limit)} (--max-pixels, or {MAX_PIXELS_VARIABLE} for all commands)"
    )


def _millions(n: int) -> str:
    return f"{n / 1e6:.0f} million" if n >= 10_000_000 else f"{n:,}"


_one_at_a_time = threading.RLock()


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
