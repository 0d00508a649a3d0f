"""A photo's size by its header: what Pillow says of it, for every format that is read."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imgcli.image_types import HEAD, SUFFIXES, lacking, photo_format
from imgcli.photo_sizes import pixels_to_decode, size_in
from tests.support.photos import image_bytes

OPTIONS = [
    *(("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("GIF", {}), ("BMP", {})),
    *(("WebP", {}), ("WebP", {"lossless": True}), ("WebP", {"exif": b"Exif\0\0MM"})),
    *(("TIFF", {}), ("TIFF", {"big_tiff": True}), ("PPM", {}), ("AVIF", {})),
]


@pytest.mark.parametrize(("image_format", "options"), OPTIONS)
def test_the_header_says_the_size(image_format: str, options: dict[str, object]) -> None:
    if lacking(image_format):
        pytest.skip("this Pillow writes no AVIF")
    for size in ((37, 501), (640, 3), (300, 300)):
        data = image_bytes(Image.new("RGB", size, (9, 99, 200)), image_format, **options)
        assert photo_format(data[:HEAD]) == image_format
        assert size_in(data, image_format) == size == Image.open(io.BytesIO(data)).size


def test_a_jpeg_is_decoded_at_an_eighth_of_its_sides() -> None:
    photo = Image.new("RGB", (800, 400))
    assert pixels_to_decode(image_bytes(photo), "JPEG") == 5000
    assert pixels_to_decode(image_bytes(photo, "PNG"), "PNG") == 320_000


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(SUFFIXES)), st.binary(max_size=200), st.integers(0, 60))
def test_no_bytes_raise(image_format: str, rest: bytes, kept: int) -> None:
    name = image_format if image_format in ("PNG", "GIF", "BMP", "TIFF", "WebP", "PPM") else "JPEG"
    data = image_bytes(Image.new("RGB", (40, 30)), name)[:kept] + rest
    pixels_to_decode(data, image_format)
