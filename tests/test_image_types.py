import pytest
from PIL import Image

from imgcli.image_types import HEAD, PLUGINS, SUFFIXES, photo_format, refusal
from tests.support.photos import photo

OWN = [name for name in SUFFIXES if name not in PLUGINS]  # that Pillow reads by itself


@pytest.mark.parametrize("name", [*OWN, "MPO"])
def test_photos_are_told_by_their_first_bytes(name: str) -> None:
    head = photo(1, name)[:HEAD]
    assert photo_format(head) == ("JPEG" if name == "MPO" else name)
    assert refusal(head) is None


def test_the_suffixes_are_ones_that_pillow_knows_for_the_format() -> None:
    Image.init()
    for name in OWN:
        for suffix in SUFFIXES[name]:
            assert Image.EXTENSION[suffix] in (name.upper(), "MPO", "DIB")


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"", "an empty file: a cloud folder's placeholder"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"\xef\xbb\xbf \n<HTML>", "an HTML page"),
        (b"<svg xmlns=", "an SVG drawing"),
        (b'<?xml version="1.0"?>\n<!-- made by hand -->\n<svg', "an SVG drawing"),
        (b'<?xml version="1.0"?><annotation>', "an XML document"),
        (b"%PDF-1.4", "a PDF document"),
        (b"%!PS-Adobe-3.0 EPSF", "a PostScript drawing"),
        (bytes(30), "only zero bytes"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "run `git lfs pull`"),
        (b"/annex/objects/SHA256E-s31--ab.jpg\n", "run `git annex get`"),
        (b"outs:\n- md5: 0\n", "run `dvc pull`"),
        (b"IIU\0" + bytes(9), "a camera's raw file"),
        (b"\0\0\0\x18ftypcrx " + bytes(8), "a camera's raw file"),
        (bytes(128) + b"DICM" + bytes(9), "a DICOM picture"),
        (b'{"error": "not found"}', "a server's error message"),
        (b"\0\0\0\x18ftypmp42" + bytes(8), "a video"),
        (b"BMW is a car, not a bitmap", "by its content"),
        (b"RIFF\0\0\0\0WAVEfmt ", "by its content"),
        (b"just text", "by its content"),
        (b"\xff\xd8", "by its content"),
    ],
)
def test_what_is_no_photo_is_refused_with_the_reason(head: bytes, reason: str) -> None:
    assert photo_format(head) is None
    assert reason in (refusal(head) or "")


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIF"),
        (b"\0\0\0\x18ftypavis\0\0\0\0avismsf1", "AVIF"),
        (b"\xff\x0a\xfa\x1f", "JXL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl ", "JXL"),
        (b"P5\n# CREATOR: a program\n3 2\n255\n", "PPM"),
        (b"P1 3 2 1", "PPM"),
        (b"P5 is a name", None),
        (b"P9\n3 2\n", None),
    ],
)
def test_formats_are_told_by_brand_and_magic_number(head: bytes, name: str | None) -> None:
    assert photo_format(head) == name


def test_what_needs_a_package_is_refused_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgcli.image_types.find_spec", lambda name: None)
    heic = refusal(b"\0\0\0\x18ftypheic") or ""
    assert heic.startswith("a HEIC picture, which needs pillow-heif (pip install 'imgcli[heif]')")
    assert "pip install 'imgcli[jxl]'" in (refusal(b"\xff\x0a\xfa") or "")
