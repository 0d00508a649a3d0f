import pytest
from PIL import Image

from imgcli.image_types import HEAD, SUFFIXES, photo_format, refusal
from tests.support.photos import photo


@pytest.mark.parametrize("name", [*SUFFIXES, "MPO"])
def test_photos_are_told_by_their_first_bytes(name: str) -> None:
    head = photo(1, name)[:HEAD]
    assert photo_format(head) == ("JPEG" if name == "MPO" else name)
    assert refusal(head) is None


def test_the_suffixes_are_ones_that_pillow_knows_for_the_format() -> None:
    Image.init()
    for name, suffixes in SUFFIXES.items():
        for suffix in suffixes:
            assert Image.EXTENSION[suffix] in (name.upper(), "MPO", "DIB")


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"", "empty file"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"\xef\xbb\xbf \n<HTML>", "an HTML page"),
        (b"<svg xmlns=", "an SVG drawing"),
        (b'<?xml version="1.0"?>\n<!-- made by hand -->\n<svg', "an SVG drawing"),
        (b'<?xml version="1.0"?><annotation>', "an XML document"),
        (b"%PDF-1.4", "a PDF document"),
        (b"%!PS-Adobe-3.0 EPSF", "a PostScript drawing"),
        (b"\0\0\0\x18ftypheic", "a HEIC picture"),
        (b"BMW is a car, not a bitmap", "by its content"),
        (b"RIFF\0\0\0\0WAVEfmt ", "by its content"),
        (b"just text", "by its content"),
        (b"\xff\xd8", "by its content"),
    ],
)
def test_what_is_no_photo_is_refused_with_the_reason(head: bytes, reason: str) -> None:
    assert photo_format(head) is None
    assert reason in (refusal(head) or "")
