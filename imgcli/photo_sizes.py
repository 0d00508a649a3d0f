"""Width and height of a photo by its header; nothing is decoded, and Pillow is not imported.

For commands that read photos as bytes and are to say of one that it is too large to be decoded.
"""

import re
import struct
from collections.abc import Callable

Size = tuple[int, int]  # width, height

_SOF = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # JPEG's markers with a frame's size
_ALONE = {0x01, *range(0xD0, 0xD9)}  # without a length
_TIFF_TYPES = {1: 1, 3: 2, 4: 4, 16: 8}  # bytes of whole numbers
_WIDTH, _HEIGHT = 256, 257  # TIFF's tags
_PPM = re.compile(rb"P[1-6f](?:\s+|#[^\n]*\n)+(\d+)(?:\s+|#[^\n]*\n)+(\d+)")
JPEG_REDUCTION = 8  # by which each side of a JPEG can be reduced while it is decoded


def size_in(data: bytes, image_format: str) -> Size | None:
    """What a photo's header says of its size; None where it does not say it, or is damaged.

    Args:
        image_format: as `image_types.photo_format` names it.
    """
    try:
        return _READERS[image_format](data) if image_format in _READERS else None
    except (struct.error, IndexError, ValueError):
        return None


def pixels_to_decode(data: bytes, image_format: str) -> int:
    """The fewest pixels that the photo can be decoded at: of a JPEG, an eighth of each side."""
    width, height = size_in(data, image_format) or (0, 0)
    return width * height // (JPEG_REDUCTION**2 if image_format == "JPEG" else 1)


def _png(data: bytes) -> Size:
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _gif(data: bytes) -> Size:
    width, height = struct.unpack("<HH", data[6:10])
    return width, height


def _bmp(data: bytes) -> Size:
    short = struct.unpack("<I", data[14:18])[0] == 12  # OS/2's header
    width, height = struct.unpack_from("<HH" if short else "<ii", data, 18)
    return width, abs(height)


def _webp(data: bytes) -> Size | None:
    match data[12:16]:
        case b"VP8 ":
            width, height = struct.unpack("<HH", data[26:30])
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            (bits,) = struct.unpack("<I", data[21:25])
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            width, height = (int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
            return width + 1, height + 1
    return None


def _ppm(data: bytes) -> Size | None:
    found = _PPM.match(data)
    return (int(found[1]), int(found[2])) if found else None


def _jpeg(data: bytes) -> Size | None:
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _ALONE:
            at += 2
        elif marker in _SOF:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        else:
            at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    return None


def _tiff(data: bytes) -> Size | None:
    """Of the first picture in the file; TIFF, and BigTIFF, whose offsets are longer."""
    order = "<" if data[:2] == b"II" else ">"
    big = 43 in struct.unpack(f"{order}H", data[2:4]) or b"+" in data[2:4]
    at = struct.unpack(f"{order}{'Q' if big else 'I'}", data[8:16] if big else data[4:8])[0]
    step, counted = (20, 8) if big else (12, 2)
    n = struct.unpack(f"{order}{'Q' if big else 'H'}", data[at : at + counted])[0]
    found: dict[int, int] = {}
    for i in range(min(n, 4096)):
        entry = data[at + counted + i * step : at + counted + (i + 1) * step]
        tag, kind = struct.unpack(f"{order}HH", entry[:4])
        if tag in (_WIDTH, _HEIGHT) and kind in _TIFF_TYPES:
            start = 12 if big else 8
            value = entry[start : start + _TIFF_TYPES[kind]]
            found[tag] = int.from_bytes(value, "little" if order == "<" else "big")
    return (found[_WIDTH], found[_HEIGHT]) if len(found) == 2 else None


def _iso(data: bytes) -> Size | None:
    """The largest picture of an AVIF or HEIC file, whose tiles and thumbnails say theirs too."""
    sizes = []
    at = data.find(b"ispe", 0, 1 << 16)
    while at >= 0:
        sizes.append(struct.unpack(">II", data[at + 8 : at + 16]))
        at = data.find(b"ispe", at + 4, 1 << 16)
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


_READERS: dict[str, Callable[[bytes], Size | None]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WebP": _webp,
    "GIF": _gif,
    "BMP": _bmp,
    "TIFF": _tiff,
    "PPM": _ppm,
    "AVIF": _iso,
    "HEIF": _iso,
}
