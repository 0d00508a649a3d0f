"""What is known of a photo beside what it shows."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from imgcli.errors import DataError
from imgcli.photos.metadata import Metadata, read_metadata, sharpness
from imgcli.photos.near_duplicates import fingerprint_files
from imgcli.photos.quality import BLURRED
from imgcli.records import FloatArray
from tests.support.photos import image_bytes, make_photo


def facts(folder: Path, *contents: bytes) -> Metadata[FloatArray]:
    files = [folder / f"{i}" for i in range(len(contents))]
    for file, data in zip(files, contents, strict=True):
        file.write_bytes(data)
    return read_metadata(
        files, [hashlib.sha256(data).hexdigest() for data in contents], folder / "c"
    )


def exif(orientation: int | None = None, gps: bool = False) -> Image.Exif:
    made = Image.Exif()
    if orientation:
        made[0x0112] = orientation
    if gps:
        made.get_ifd(0x8825)[1] = "N"
    return made


PHOTO = make_photo(0, (90, 60))
DEEP = Image.fromarray(np.arange(90 * 60, dtype=np.uint16).reshape(60, 90))
FLAGS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "turned": ("exif_orientation", lambda: image_bytes(PHOTO, exif=exif(6))),
    "mirrored png": ("exif_orientation", lambda: image_bytes(PHOTO, "PNG", exif=exif(2))),
    "gps": ("gps", lambda: image_bytes(PHOTO, exif=exif(gps=True))),
    "gif": (
        "animated",
        lambda: image_bytes(PHOTO, "GIF", save_all=True, append_images=[make_photo(1, (90, 60))]),
    ),
    "cmyk": ("cmyk", lambda: image_bytes(PHOTO.convert("CMYK"))),
    "16 bits": ("more_than_8_bits", lambda: image_bytes(DEEP, "PNG")),
    "alpha": ("alpha", lambda: image_bytes(PHOTO.convert("RGBA"), "PNG")),
}


@pytest.mark.parametrize("case", FLAGS)
def test_metadata_is_counted_where_it_is_and_nowhere_else(case: str, tmp_path: Path) -> None:
    flag, make = FLAGS[case]
    found = facts(tmp_path, make(), image_bytes(PHOTO))
    for name in ("exif_orientation", "gps", "animated", "cmyk", "more_than_8_bits", "alpha"):
        assert getattr(found, name).tolist() == [name == flag, 0], name


def test_sizes_are_those_of_the_upright_photo(tmp_path: Path) -> None:
    found = facts(
        tmp_path,
        image_bytes(PHOTO),
        image_bytes(PHOTO, exif=exif(6)),
        image_bytes(PHOTO, exif=exif(3)),
    )
    assert list(zip(found.width, found.height, strict=True)) == [(90, 60), (60, 90), (90, 60)]


def test_broken_exif_is_no_fault(tmp_path: Path) -> None:
    found = facts(tmp_path, image_bytes(PHOTO, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"))
    assert (found.width.tolist(), found.gps.tolist()) == ([90], [0])


@pytest.mark.parametrize("size", [(60, 50), (300, 200), (900, 700)])
def test_a_blurred_photo_is_told_from_a_sharp_one(size: tuple[int, int], tmp_path: Path) -> None:
    photo = make_photo(0, size)
    edged = Image.composite(photo, Image.new("RGB", size, "white"), mask(size))
    radius = 5 * max(1, min(size) / 224)
    blurred = edged.filter(ImageFilter.GaussianBlur(radius))
    half = edged.copy()
    half.paste(blurred.crop((0, 0, size[0] // 2, size[1])), (0, 0))
    found = facts(tmp_path, image_bytes(edged), image_bytes(half), image_bytes(blurred)).sharpness
    assert (found > BLURRED).tolist() == [True, True, False]


def mask(size: tuple[int, int]) -> Image.Image:
    """Stripes."""
    columns = np.arange(size[0]) * 8 // size[0] % 2 * 255
    return Image.fromarray(np.tile(columns, (size[1], 1)).astype(np.uint8))


def test_flat_and_small_photos_are_neither_sharp_nor_blurred(tmp_path: Path) -> None:
    found = facts(
        tmp_path, image_bytes(Image.new("RGB", (300, 300))), image_bytes(make_photo(0, (300, 40)))
    )
    assert np.isnan(found.sharpness).all()


def test_a_step_is_sharp() -> None:
    view = np.zeros((224, 224, 3), np.uint8)
    view[:, 56:112] = view[:, 168:] = 255
    assert sharpness(view, 500, 400) == 1


def test_sharpness_does_not_depend_on_whether_the_view_was_kept(tmp_path: Path) -> None:
    data = image_bytes(make_photo(3, (300, 200)))
    before = facts(tmp_path, data).sharpness
    shutil.rmtree(tmp_path / "c")
    files, digests = [tmp_path / "0"], [hashlib.sha256(data).hexdigest()]
    fingerprint_files(files, digests, tmp_path / "c")
    assert read_metadata(files, digests, tmp_path / "c").sharpness == before


def test_a_second_pass_opens_no_file(tmp_path: Path) -> None:
    data = [image_bytes(PHOTO), image_bytes(make_photo(1, (60, 60)))]
    before = facts(tmp_path, *data)
    digests = [hashlib.sha256(content).hexdigest() for content in data]
    again = read_metadata(["gone", "gone too"], digests, tmp_path / "c")
    assert np.array_equal(np.array(before), np.array(again), equal_nan=True)


def test_a_photo_that_changed_since_it_was_hashed_is_refused_and_nothing_kept_of_it(
    tmp_path: Path,
) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(image_bytes(PHOTO))
    digest = hashlib.sha256(image_bytes(PHOTO)).hexdigest()
    file.write_bytes(image_bytes(make_photo(1, (60, 90))))
    with pytest.raises(DataError, match=r"a.jpg' changed while it was being looked at. Run"):
        read_metadata([file], [digest], tmp_path / "c")
    file.unlink()
    with pytest.raises(DataError, match=r"a.jpg' changed while"):
        read_metadata([file], [digest], tmp_path / "c")
    file.write_bytes(image_bytes(PHOTO))
    assert read_metadata([file], [digest], tmp_path / "c").width.tolist() == [90]
