"""The one decode, against pictures whose right pixels are known beforehand."""

import io
import os
import struct
import threading
import warnings
import zipfile
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from imgcli.errors import WrongUsage
from imgcli.photos.decode import (
    Fault,
    decode,
    needed,
    read_photo,
    reduction,
    sample_extremes,
    to_input,
)
from imgcli.records import Preprocess, SampleRange
from tests.support.photos import image_bytes

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def corners(width: int = 48, height: int = 32) -> Image.Image:
    """A picture that no turn or mirroring leaves as it is."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = RED
    pixels[: height // 2, width // 2 :] = GREEN
    pixels[height // 2 :, : width // 2] = BLUE
    return Image.fromarray(pixels)


def pixels(data: bytes) -> NDArray[np.int16]:
    """The decoded picture as numbers whose differences do not wrap around."""
    photo = decode(data)
    assert isinstance(photo, Image.Image), photo
    assert photo.mode == "RGB"
    return np.asarray(photo).astype(np.int16)


def fault(data: bytes, **options: int) -> Fault:
    result = decode(data, **options)
    assert isinstance(result, Fault)
    return result


# --- orientation --------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_all_eight_exif_orientations_come_out_upright(format: str, orientation: int) -> None:
    # What a camera does, from the EXIF standard: row 0 and column 0 of the stored picture are the
    # upright picture's top/right/bottom/left, in this order.
    upright = np.asarray(corners())
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
    data = image_bytes(
        Image.fromarray(np.ascontiguousarray(stored)), format, exif=exif, **options.get(format, {})
    )
    assert np.abs(pixels(data) - upright).max() <= 4


@pytest.mark.parametrize("nonsense", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_ignored(nonsense: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = nonsense
    assert (pixels(image_bytes(corners(), "PNG", exif=exif)) == np.asarray(corners())).all()


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12\0\x03",  # five entries promised, none whole
        b"Exif\0\0MM\0*\0\0",  # cut in its header: struct.error
        b"Exif\0\0II*\0\xff\xff\xff\xff",  # points far behind its end
        b"Exif\0\0garbage that is no TIFF header",  # SyntaxError
        b"Exif\0\0",
    ],
)
def test_a_photo_with_broken_exif_is_still_a_photo(format: str, exif: bytes) -> None:
    options = {"quality": 100, "subsampling": 0} if format == "JPEG" else {}
    data = image_bytes(corners(), format, exif=exif, **options)
    assert np.abs(pixels(data) - np.asarray(corners())).max() <= 4


# --- colours ------------------------------------------------------------------------------------


def test_16_bit_grey_is_scaled_and_not_clipped() -> None:
    ramp = np.array([[0, 256, 32768, 65535]], np.uint16)
    for format in ("PNG", "TIFF"):
        grey = pixels(image_bytes(Image.fromarray(ramp), format))[0, :, 0]
        assert grey.tolist() == [0, 1, 128, 255], format


def test_16_bit_rgb_keeps_its_colours() -> None:
    # Pillow cannot write it: one row of (65535, 32768, 0), filter type 0.
    data = png(1, 1, depth=16, color=2, rows=b"\0" + struct.pack(">3H", 65535, 32768, 0))
    assert pixels(data)[0, 0].tolist() == [255, 128, 0]


def test_floats_and_long_integers_are_brought_into_range() -> None:
    def grey(values: list[float], dtype: type) -> list[int]:
        data = image_bytes(Image.fromarray(np.array([values], dtype)), "TIFF")
        return [int(v) for v in pixels(data)[0, :, 0]]

    assert grey([0.0, 0.5, 1.0], np.float32) == [0, 128, 255]
    assert grey([0.0, 128.0, 255.0], np.float32) == [0, 128, 255]
    assert grey([-1.0, 0.0, 1.0], np.float32) == [0, 128, 255]
    assert grey([float("nan"), 0.0, 1.0], np.float32) == [0, 0, 255]
    assert grey([0, 100, 255], np.int32) == [0, 100, 255]
    assert grey([0, 65535, 32768], np.int32) == [0, 255, 128]
    assert grey([-1000, 0, 1000], np.int32) == [0, 128, 255]
    assert grey([7, 7], np.int32) == [7, 7]
    assert grey([-7, -7], np.int32) == [0, 0]


@pytest.mark.parametrize("marked", [True, False])
def test_cmyk_jpegs_are_read_as_the_inverted_ones_they_are(marked: bool) -> None:
    # Adobe stores CMYK inverted and says so in APP14. Without the marker it is inverted in practice
    # too: browsers and Pillow read it so.
    data = image_bytes(corners().convert("CMYK"), "JPEG", quality=100, subsampling=0)
    if not marked:
        start = data.index(b"\xff\xee\x00\x0eAdobe")
        data = data[:start] + data[start + 16 :]
    assert np.abs(pixels(data) - np.asarray(corners())).max() <= 6


def test_cmyk_of_a_tiff_is_not_inverted() -> None:
    assert (pixels(image_bytes(corners().convert("CMYK"), "TIFF")) == np.asarray(corners())).all()


def test_what_is_transparent_shows_white_and_hides_its_colour() -> None:
    rgba = np.array([[(255, 0, 0, 255), (255, 0, 0, 0), (0, 0, 0, 128)]], np.uint8)
    for format, options in (("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})):
        data = image_bytes(Image.fromarray(rgba), format, **options)
        assert np.abs(pixels(data) - [[RED, WHITE, (127, 127, 127)]]).max() <= 1, format
    grey = Image.fromarray(np.array([[(0, 255), (0, 0)]], np.uint8), "LA")
    assert pixels(image_bytes(grey, "PNG")).tolist() == [[[0, 0, 0], list(WHITE)]]


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_a_transparent_palette_entry_shows_white(format: str) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([*RED, *GREEN, *BLUE])
    image.putdata([0, 1, 2])
    assert pixels(image_bytes(image, format, transparency=1)).tolist() == [
        [list(RED), list(WHITE), list(BLUE)]
    ]


def test_palette_with_an_alpha_per_entry() -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([*RED, *GREEN, 0, 0, 0])
    image.putdata([0, 1, 2])
    data = image_bytes(image, "PNG", transparency=bytes([255, 0, 128]))
    assert np.abs(pixels(data) - [[RED, WHITE, (127, 127, 127)]]).max() <= 1


@pytest.mark.parametrize(
    ("depth", "color", "transparent", "rows", "expected"),
    [
        (8, 0, [7], [7, 8], [255, 8]),
        (16, 0, [300], [300, 65535 // 2], [255, 127]),
        (2, 0, [1], [0b01_10_0000], [255, 170]),  # four samples a byte: 1, 2
        (4, 0, [3], [0x34], [255, 68]),
        (16, 2, [0, 0, 0], [0, 0, 0, 65535, 65535, 0], None),
        (8, 2, [1, 2, 3], [1, 2, 3, 255, 255, 0], None),
    ],
)
def test_the_transparent_colour_of_a_png_matches_at_every_depth(
    depth: int, color: int, transparent: list[int], rows: list[int], expected: list[int] | None
) -> None:
    row = b"\0" + struct.pack(f">{len(rows)}{'H' if depth == 16 else 'B'}", *rows)
    chunk = struct.pack(f">{len(transparent)}H", *transparent)
    found = pixels(png(2, 1, depth=depth, color=color, rows=row, tRNS=chunk))[0]
    if expected is None:
        assert found.tolist() == [list(WHITE), [255, 255, 0]]
    else:
        assert found[:, 0].tolist() == expected


def test_one_bit_and_grey_become_rgb() -> None:
    bits = Image.fromarray(np.array([[True, False]]))
    assert pixels(image_bytes(bits, "PNG")).tolist() == [[[255] * 3, [0] * 3]]
    grey = Image.fromarray(np.array([[3, 200]], np.uint8))
    assert pixels(image_bytes(grey, "BMP")).tolist() == [[[3] * 3, [200] * 3]]


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_gives_its_first_frame(format: str) -> None:
    first, second = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), BLUE)
    options = {"lossless": True} if format == "WEBP" else {}
    data = image_bytes(first, format, save_all=True, append_images=[second], **options)
    assert len(list(ImageSequence.Iterator(Image.open(io.BytesIO(data))))) == 2
    assert (pixels(data) == RED).all()


def test_an_mpo_is_read_as_the_jpeg_it_begins_with() -> None:
    first, second = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), BLUE)
    data = image_bytes(first, "MPO", save_all=True, append_images=[second])
    assert np.abs(pixels(data) - RED).max() <= 2


# --- formats ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"P1\n# by hand\n2 1\n1 0\n", [0, 255]),
        (b"P2 2 1 15 15 3", [255, 51]),
        (b"P2\n2 1\n65535\n65535 32768\n", [255, 128]),
        (b"P4\n2 1\n\x80", [0, 255]),
        (b"P5\n2 1\n255\n\x07\xff", [7, 255]),
        (b"P5 2 1 4095 " + struct.pack(">2H", 4095, 2048), [255, 128]),
        (b"P5\n#c\n2 1\n65535\n" + struct.pack(">2H", 65535, 256), [255, 1]),
        (b"P5\n2 1\n65535\n" + struct.pack(">2H", 200, 100), [1, 0]),  # 16 bits, though it is dark
        (b"Pf\n2 1\n-1\n" + struct.pack("<2f", 1.0, 0.5), [255, 128]),
    ],
)
def test_portable_maps_of_every_kind_are_read(data: bytes, expected: list[int]) -> None:
    assert pixels(data)[0, :, 0].tolist() == expected


def test_a_portable_colour_map_keeps_its_colours() -> None:
    assert pixels(b"P6 1 1 255 \xff\x80\0")[0, 0].tolist() == [255, 128, 0]
    assert pixels(b"P3\n1 1\n15\n15 0 3\n")[0, 0].tolist() == [255, 0, 51]


def test_avif_is_read_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = image_bytes(corners(), "AVIF", quality=100, subsampling="4:4:4", exif=exif)
    assert np.abs(pixels(data) - np.rot90(np.asarray(corners()), -1)).max() <= 12


def test_a_format_whose_package_is_missing_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgcli.image_types.find_spec", lambda name: None)
    heic, jxl = b"\0\0\0\x18ftypheic" + bytes(20), b"\xff\x0a" + bytes(20)
    assert "needs pillow-heif (pip install 'imgcli[heif]')" in fault(heic).sentence
    assert "needs pillow-jxl-plugin (pip install 'imgcli[jxl]')" in fault(jxl).sentence


# --- metadata that is too large -----------------------------------------------------------------


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


ZIPPED = zlib.compress(bytes(70_000_000))


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"workflow\0\0" + ZIPPED),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + ZIPPED),
        chunk(b"iCCP", b"profile\0\0" + ZIPPED),
        chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000))) * 70,  # too much together
    ],
    ids=["zTXt", "iTXt", "iCCP", "many"],
)
@pytest.mark.parametrize("after", [False, True])
def test_a_png_is_read_whatever_it_says_beside_its_pixels(extra: bytes, after: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    data = image_bytes(corners(), "PNG", exif=exif)
    place = data.index(b"IEND" if after else b"IDAT") - 4
    data = data[:place] + extra + data[place:]
    assert (pixels(data) == np.asarray(corners())[::-1, ::-1]).all()  # the EXIF still counts
    assert reduction(data, 10) == 1


def test_large_metadata_lets_no_damaged_pixels_pass() -> None:
    data = image_bytes(corners(), "PNG")
    place = data.index(b"IDAT") - 4
    data = data[:place] + chunk(b"zTXt", b"a\0\0" + ZIPPED) + data[place:]
    assert fault(data[:-40]).stage in ("open", "decode")


def test_a_jpeg_is_read_behind_megabytes_of_metadata() -> None:
    data = image_bytes(corners(), "JPEG", quality=100, subsampling=0)
    parts = b"".join(b"\xff" + bytes([m]) + b"\xff\xff" + bytes(65533) for m in (0xE1, 0xE2, 0xFE))
    assert np.abs(pixels(data[:2] + parts * 40 + data[2:]) - np.asarray(corners())).max() <= 4


# --- 12 bits in files of 16 ---------------------------------------------------------------------

TWELVE = SampleRange(bits=12)


def greys(data: bytes, sample_range: SampleRange | None = None) -> list[int]:
    photo = decode(data, sample_range=sample_range)
    assert isinstance(photo, Image.Image), photo
    return [int(v) for v in np.asarray(photo)[0, :, 0]]


def test_the_range_of_the_folder_counts_where_the_file_says_none() -> None:
    ramp = np.array([[0, 2048, 4095, 60000]], np.uint16)
    for format in ("PNG", "TIFF", "PPM"):
        data = image_bytes(Image.fromarray(ramp), format)
        assert greys(data, TWELVE) == [0, 128, 255, 255], format
        assert greys(data, SampleRange()) == greys(data) == [0, 8, 16, 233], format
    data = image_bytes(Image.fromarray(np.array([[-5.0, 0.0, 5.0]], np.float32)), "TIFF")
    assert greys(data, SampleRange(floats=(0.0, 10.0))) == [0, 0, 128]


def test_the_range_that_a_file_says_counts_first() -> None:
    ramp = Image.fromarray(np.array([[0, 2048, 4095]], np.uint16))
    data = image_bytes(ramp, "PNG")
    said = data[:33] + chunk(b"sBIT", b"\x0c") + data[33:]
    assert greys(said) == greys(said, SampleRange(bits=14)) == [0, 128, 255]
    moved_up = image_bytes(Image.fromarray(np.array([[0, 32768, 65535]], np.uint16)), "PNG")
    assert greys(moved_up[:33] + chunk(b"sBIT", b"\x0c") + moved_up[33:]) == [0, 128, 255]
    assert greys(image_bytes(ramp, "TIFF", tiffinfo={281: 4095})) == [0, 128, 255]
    assert greys(image_bytes(ramp, "TIFF", tiffinfo={281: 4000})) == [0, 8, 16]  # a statistic


def test_colours_of_12_bits_in_16_keep_their_levels() -> None:
    row = b"\0" + struct.pack(">6H", 4095, 2048, 0, 1000, 4095, 16)
    data = png(2, 1, depth=16, color=2, rows=row)
    photo = decode(data, sample_range=TWELVE)
    assert isinstance(photo, Image.Image)
    assert np.asarray(photo)[0].tolist() == [[255, 128, 0], [62, 255, 1]]
    assert pixels(data)[0, 0].tolist() == [15, 8, 0]  # as before, where nothing is known
    said = data[:33] + chunk(b"sBIT", b"\x0c\x0c\x0c") + data[33:]
    assert pixels(said)[0].tolist() == [[255, 128, 0], [62, 255, 1]]


@pytest.mark.parametrize("bits", [12, 16])
def test_every_kind_of_colour_keeps_its_levels(bits: int) -> None:
    rng = np.random.default_rng(0)
    samples = rng.integers(0, 4096, (3, 2, 3)).astype(np.uint16)
    alpha = np.full((3, 2, 1), 65535, np.uint16)
    rows = lambda array: b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)  # noqa: E731
    words = " ".join(map(str, samples.ravel())).encode()
    grey = samples[..., :1]
    for name, data, expected in (
        ("rgb", png(2, 3, depth=16, color=2, rows=rows(samples)), samples),
        ("rgba", png(2, 3, depth=16, color=6, rows=rows(np.dstack([samples, alpha]))), samples),
        ("grey", png(2, 3, depth=16, color=0, rows=rows(grey)), grey),
        ("la", png(2, 3, depth=16, color=4, rows=rows(np.dstack([grey, alpha]))), grey),
        ("P6", b"P6 2 3 65535\n" + samples.astype(">u2").tobytes(), samples),
        ("P3", b"P3 2 3 65535\n" + words, samples),
    ):
        found = sample_extremes(data)
        assert found is not None and found.high == expected.max(), name
        photo = decode(data, sample_range=SampleRange(bits))
        assert isinstance(photo, Image.Image)
        exact = expected.astype(float) * 255 / ((1 << bits) - 1)
        assert np.abs(np.asarray(photo) - exact).max() <= (0.51 if bits == 12 else 1), name


# --- scaled decoding ----------------------------------------------------------------------------


def clouds(width: int, height: int) -> Image.Image:
    """A picture without sharp edges, as large photos are at the scale of their pixels."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (8, 12, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(
    ("at_least", "size"),
    [
        (None, (700, 500)),
        (501, (700, 500)),
        (251, (700, 500)),
        (250, (350, 250)),
        (126, (350, 250)),
        (125, (175, 125)),
        (1, (88, 63)),
    ],
)
def test_a_jpeg_is_decoded_at_the_least_size_that_is_enough(
    at_least: int | None, size: tuple[int, int]
) -> None:
    data = image_bytes(clouds(700, 500), "JPEG")
    photo = decode(data, at_least)
    assert isinstance(photo, Image.Image) and photo.size == size
    if at_least:
        assert reduction(data, at_least) == round(700 / size[0])


def test_other_formats_are_decoded_at_their_size() -> None:
    for format in ("PNG", "WEBP", "GIF", "BMP", "TIFF"):
        data = image_bytes(clouds(70, 50), format)
        photo = decode(data, 5)
        assert isinstance(photo, Image.Image) and photo.size == (70, 50), format
        assert reduction(data, 5) == 1


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("orientation", [1, 6])
def test_every_kind_of_jpeg_looks_the_same_decoded_small(
    mode: str, progressive: bool, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = clouds(640, 480).convert(mode)
    data = image_bytes(picture, "JPEG", quality=95, exif=exif, progressive=progressive)
    whole, small = decode(data), decode(data, 100)
    assert isinstance(whole, Image.Image) and isinstance(small, Image.Image)
    assert small.size == ((160, 120) if orientation == 1 else (120, 160))
    view = Preprocess(40)
    assert needed(view) <= 100
    assert np.abs(to_input(whole, view).astype(int) - to_input(small, view)).max() <= 4


def test_damage_counts_at_full_size() -> None:
    rng = np.random.default_rng(0)
    data = image_bytes(Image.fromarray(rng.integers(0, 256, (300, 400, 3), np.uint8)), "JPEG")
    for kept in (0.3, 0.6, 0.9, 0.98):
        assert fault(data[: int(kept * len(data))], at_least=30).stage == "decode"


def test_no_photo_is_reduced_that_is_none() -> None:
    assert reduction(b"no photo", 10) == 1


def test_a_view_needs_more_the_more_it_crops() -> None:
    assert needed(Preprocess(224)) == 448 == needed(Preprocess(224, crop=0.5))
    assert needed(Preprocess(224, "pad")) == 448
    assert needed(Preprocess(224, "crop", 0.875)) == 512


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "empty"),
        (b"%PDF-1.4\n", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
        (b"\xc5\xd0\xd3\xc6" + bytes(30), "PostScript"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg width='3'/>", "SVG"),
        (b"\n <!DOCTYPE html><p>404", "HTML"),
        (b"<HTML><body>Not found", "HTML"),
        ("just words, übrigens".encode(), "text"),
        pytest.param(
            *(b"\0\0\0\x18ftypheic" + bytes(20), "HEIC"),
            marks=pytest.mark.skipif(bool(find_spec("pillow_heif")), reason="HEIC is decoded here"),
        ),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (bytes(100), "only zero bytes"),
        (b"\0\0\0\x18ftypmp42" + bytes(20), "video"),
        (b"PK\x03\x04" + bytes(30), "zip"),
        (bytes(range(256)), "none of JPEG"),
    ],
)
def test_what_is_no_picture_is_named_by_its_content(data: bytes, named: str) -> None:
    refused = fault(data)
    assert refused.stage == "identify" and refused.kind == "UnidentifiedImageError"
    assert named in refused.sentence
    assert refused.sentence.startswith("is not a picture that imgcli reads: ")


def test_other_formats_that_pillow_could_read_are_refused() -> None:
    for format in ("TGA", "ICO", "JPEG2000", "PCX"):
        assert fault(image_bytes(corners(), format)).kind == "UnidentifiedImageError"


def test_pixel_limit_is_checked_before_decoding() -> None:
    # A header alone: were anything decoded, it would fail as truncated.
    huge = png(20_000, 16_000, depth=8, color=2, rows=b"")  # more than Pillow's own limit
    assert fault(huge).sentence == (
        "is too large: 20000 × 16000 are 320 million pixels; the limit is 200 million "
        "(--max-pixels, or IMGCLI_MAX_PIXELS for all commands)"
    )
    assert fault(image_bytes(corners(10, 10), "PNG"), max_pixels=99).stage == "limit"
    assert isinstance(decode(image_bytes(corners(10, 10), "PNG"), max_pixels=100), Image.Image)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpegs_pixels_are_counted_at_the_size_it_is_decoded_at(mode: str) -> None:
    data = image_bytes(clouds(800, 600).convert(mode), "JPEG")
    photo = decode(data, 30, max_pixels=7_500)
    assert isinstance(photo, Image.Image) and photo.size == (100, 75)
    assert fault(data, at_least=30, max_pixels=7_499).kind == "TooManyPixels"


def test_a_jpeg_beyond_pillows_own_limit_is_read_reduced() -> None:
    data = image_bytes(Image.new("L", (16_400, 12_300), 99), "JPEG")
    photo = decode(data, 448)
    assert isinstance(photo, Image.Image) and photo.size == (2050, 1538)
    assert reduction(data, 448) == 8


def test_the_coefficients_that_a_progressive_jpeg_holds_count_too() -> None:
    picture = clouds(800, 600)
    data = image_bytes(picture, "JPEG", progressive=True, subsampling=0)
    assert isinstance(decode(data, 30, max_pixels=800 * 600), Image.Image)
    assert fault(data, at_least=30, max_pixels=7_500).kind == "TooManyPixels"


def test_the_environment_moves_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    data = image_bytes(corners(10, 10), "PNG")
    monkeypatch.setenv("IMGCLI_MAX_PIXELS", "99")
    assert fault(data).stage == "limit"
    monkeypatch.setenv("IMGCLI_MAX_PIXELS", "100")
    assert isinstance(decode(data), Image.Image)
    for wrong in ("many", "-1", "1e9"):
        monkeypatch.setenv("IMGCLI_MAX_PIXELS", wrong)
        with pytest.raises(WrongUsage, match=f"IMGCLI_MAX_PIXELS={wrong} is not a number"):
            decode(data)


def test_a_limit_above_pillows_own_ends_in_a_fault_and_no_warning() -> None:
    for width, height in ((10_000, 10_000), (20_000, 10_000)):
        data = png(width, height, depth=8, color=2, rows=b"")
        assert fault(data, max_pixels=10**9).stage in ("decode", "limit")


def test_a_truncated_photo_is_a_fault_and_not_half_a_picture() -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8))
    for format in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF"):
        data = image_bytes(noise, format)
        assert fault(data[: len(data) // 2]).stage in ("open", "decode"), format


def test_a_photo_cut_in_its_header_is_named_by_its_format() -> None:
    cut = fault(b"\0\0\0\x18ftypavif" + bytes(20))
    assert cut.sentence == "is damaged at the beginning: its AVIF header cannot be read"


def test_errors_of_any_kind_become_faults() -> None:
    cut_chunk = png(1, 1, depth=8, color=2, rows=bytes(4), tRNS=b"\0")
    assert fault(cut_chunk) == Fault("open", "ValueError", "Truncated tRNS chunk (ValueError)")
    assert fault(cut_chunk).sentence.startswith("is damaged at the beginning: ")


@settings(max_examples=60, deadline=None)
@given(
    format=st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF"]),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    kept=st.floats(0, 1),
)
def test_no_damage_lets_an_exception_or_a_warning_out(
    format: str, flips: list[tuple[float, int]], kept: float
) -> None:
    data = bytearray(image_bytes(corners(), format))
    for place, byte in flips:
        data[int(place * len(data))] = byte
    result = decode(bytes(data[: int(kept * len(data))]))
    if isinstance(result, Fault):
        assert result.reason and "\n" not in result.sentence
    else:
        assert result.mode == "RGB"


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_at_all_give_a_fault(data: bytes) -> None:
    assert isinstance(decode(data), Fault)


def test_threads_decode_without_a_warning_and_leave_the_filters_alone() -> None:
    broken = image_bytes(corners(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12\0\x03")
    with pytest.warns(UserWarning):  # it does make Pillow warn
        Image.open(io.BytesIO(broken)).getexif()
    before = list(warnings.filters)
    results: list[object] = []
    threads = [
        threading.Thread(target=lambda: results.extend(decode(broken) for _ in range(50)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 200 and all(isinstance(r, Image.Image) for r in results)
    assert list(warnings.filters) == before


# --- reading ------------------------------------------------------------------------------------


def test_read_photo_never_waits_for_a_pipe_and_says_why(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for name, said in (
        ("pipe.jpg", "cannot be read: not a regular file"),
        ("gone.jpg", "cannot be read: No such file or directory"),
        (".", "cannot be read: Is a directory"),
    ):
        result = read_photo(tmp_path / name)
        assert isinstance(result, Fault) and result.sentence == said
    (tmp_path / "a.jpg").write_bytes(b"12345")
    assert read_photo(tmp_path / "a.jpg") == b"12345"
    limited = read_photo(tmp_path / "a.jpg", max_bytes=4)
    assert isinstance(limited, Fault) and limited.stage == "limit"


# --- to_input -----------------------------------------------------------------------------------


def test_squash_keeps_the_whole_photo() -> None:
    out = to_input(corners(40, 20), Preprocess(10, "squash", interpolation="bilinear"))
    assert out.shape == (10, 10, 3) and out.dtype == np.uint8
    assert out[0, 0].tolist() == list(RED) and out[0, 9].tolist() == list(GREEN)
    assert out[9, 0].tolist() == list(BLUE) and out[9, 9].tolist() == [0, 0, 0]


def test_crop_takes_the_centre_and_pad_adds_black() -> None:
    stripes = Image.new("RGB", (60, 20), GREEN)
    stripes.paste(RED, (0, 0, 20, 20))
    stripes.paste(BLUE, (40, 0, 60, 20))
    assert (to_input(stripes, Preprocess(10, "crop"))[:, 1:-1] == GREEN).all()
    padded = to_input(stripes, Preprocess(30, "pad"))
    assert (padded[:10] == 0).all() and (padded[20:] == 0).all()
    assert (padded[11:19, 0] == RED).all() and (padded[11:19, 29] == BLUE).all()


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    size=st.integers(1, 40),
    crop=st.sampled_from([0.5, 0.875, 0.9, 1.0]),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
)
def test_crop_is_resize_then_centre_crop(
    width: int, height: int, size: int, crop: float, interpolation: str
) -> None:
    """The usual two steps (torchvision's Resize, CenterCrop) as the oracle of our one."""
    rng = np.random.default_rng(width * 100 + height)
    # No black or white: Pillow chooses which side it resizes first, and clips in between.
    photo = Image.fromarray(rng.integers(64, 192, (height, width, 3), np.uint8))
    short = round(size / crop)
    if width <= height:
        resized_to = (short, int(short * height / width))
    else:
        resized_to = (int(short * width / height), short)
    resized = photo.resize(resized_to, Image.Resampling[interpolation.upper()])
    left, top = (round((length - size) / 2) for length in resized_to)
    expected = np.asarray(resized.crop((left, top, left + size, top + size))).astype(int)
    found = to_input(photo, Preprocess(size, "crop", crop, interpolation))
    assert found.shape == (size, size, 3)
    assert np.abs(found - expected).max() <= 2


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 3000),
    height=st.integers(1, 4),
    turned=st.booleans(),
    fit=st.sampled_from(["squash", "crop", "pad"]),
)
def test_the_input_has_its_size_for_photos_of_any_shape(
    width: int, height: int, turned: bool, fit: str
) -> None:
    photo = Image.new("RGB", (height, width) if turned else (width, height), WHITE)
    assert to_input(photo, Preprocess(17, fit, 0.875)).shape == (17, 17, 3)


def test_shrinking_is_antialiased() -> None:
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    photo = Image.fromarray(board.astype(np.uint8)).convert("RGB")
    for interpolation in ("bilinear", "bicubic"):
        out = to_input(photo, Preprocess(8, interpolation=interpolation)).astype(int)
        assert np.abs(out - 127).max() <= 8  # without antialiasing: 0 or 255


# --- real files ---------------------------------------------------------------------------------


@pytest.mark.shared
def test_every_awkward_file_is_decoded_or_has_a_fault(shared: Path) -> None:
    decoded = {}
    with zipfile.ZipFile(shared / "data/awkward-images.zip") as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        for name in names:
            result = decode(archive.read(name))
            if isinstance(result, Fault):
                assert result.reason and result.sentence.isprintable(), name
            else:
                assert result.mode == "RGB" and 0 not in result.size
                decoded[name.removeprefix("awkward/")] = result
    assert len(names) == 389
    # All of the PNG suite, all orientations; of the others what this Pillow was seen to decode.
    assert sum(name.startswith("pngsuite/") for name in decoded) == 51
    assert len(decoded) >= 260
    for kind in ("Landscape", "Portrait"):
        upright = _thumbnail(decoded[f"exif-orientation/{kind}_1.jpg"])
        for i in range(9):  # the photos differ by the number printed on them
            other = _thumbnail(decoded[f"exif-orientation/{kind}_{i}.jpg"])
            assert np.abs(other - upright).mean() < 6, (kind, i)


def _thumbnail(photo: Image.Image) -> NDArray[np.int64]:
    return to_input(photo, Preprocess(32)).astype(np.int64)


# --- PNG by hand, for what Pillow cannot write --------------------------------------------------


def png(width: int, height: int, depth: int, color: int, rows: bytes, **chunks: bytes) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    extra = b"".join(chunk(name.encode(), body) for name, body in chunks.items())
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
