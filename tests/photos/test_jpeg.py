"""JPEGs decoded by libjpeg-turbo called directly are Pillow's: equal pixels, equal faults."""

import io
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from PIL.Image import Transpose

from imgcli.photos import decode as decode_module
from imgcli.photos import jpeg
from imgcli.photos.decode import TURNS, Fault, decode_picture

pytest.importorskip("simplejpeg", reason="no simplejpeg on this machine: Pillow decodes JPEGs")


def by_pillow(data: bytes, at_least: int | None = None) -> Image.Image | Fault:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jpeg, "simplejpeg", None)
        found = decode_picture(data, at_least)
    assert not isinstance(found, np.ndarray)
    return found


def agree(data: bytes, at_least: int | None = None) -> bool:
    """Whether both ways end alike, which they must; and whether the shorter one was gone."""
    found, expected = decode_picture(data, at_least), by_pillow(data, at_least)
    if isinstance(expected, Fault):
        assert found == expected
    else:
        assert not isinstance(found, Fault)
        assert np.array_equal(np.asarray(found), np.asarray(expected))
    return isinstance(found, np.ndarray)


def picture(width: int, height: int, seed: int) -> Image.Image:
    """Smooth colours with noise on them: all frequencies."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(rng.integers(0, 255, 3), rng.integers(0, 255, 3), width)[None]
    noisy = slope + rng.normal(0, 20, (height, width, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def saved(image: Image.Image, **options: object) -> bytes:
    made = io.BytesIO()
    image.save(made, "JPEG", **options)
    return made.getvalue()


OPTIONS = st.fixed_dictionaries(
    {
        "quality": st.integers(1, 100),
        "subsampling": st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]),
        "progressive": st.booleans(),
        "restart_marker_rows": st.integers(0, 2),
    }
)
AT_LEAST = st.sampled_from([None, 1, 20, 45])


@given(
    width=st.integers(1, 20) | st.integers(1, 200),
    height=st.integers(1, 20) | st.integers(1, 200),
    seed=st.integers(0, 9),
    mode=st.sampled_from(["RGB", "L", "keep RGB", "CMYK"]),
    options=OPTIONS,
    at_least=AT_LEAST,
)
@example(3, 3, 0, "RGB", {"quality": 1, "subsampling": "4:4:4"}, 1)  # 3/8 of it is as large as 1/2
@example(5, 16, 0, "RGB", {"quality": 1, "subsampling": "4:4:4"}, 1)  # 1/4 of it is 2/5 as wide
def test_the_pixels_are_those_of_pillow(
    width: int, height: int, seed: int, mode: str, options: dict, at_least: int | None
) -> None:
    image = picture(width, height, seed).convert(mode.split()[-1])
    if mode == "keep RGB":
        options = {**options, "keep_rgb": True, "subsampling": "4:4:4"}
    data = saved(image, **options)
    assert agree(data, at_least) == (mode != "CMYK") or (max(width, height) < 16 and at_least)


@given(
    cut=st.none() | st.integers(1, 2000),
    flips=st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 255)), max_size=3),
    options=OPTIONS,
    at_least=AT_LEAST,
)
def test_a_damaged_file_ends_as_with_pillow(
    cut: int | None, flips: list[tuple[int, int]], options: dict, at_least: int | None
) -> None:
    data = bytearray(saved(picture(60, 50, 0), **options)[:cut])
    for place, bits in flips:
        data[place % len(data)] ^= bits
    agree(bytes(data), at_least)


@pytest.mark.parametrize("tag", [None, 1, *TURNS, 9])
def test_it_is_turned_upright_as_pillow_turns_it(tag: int | None) -> None:
    exif = Image.Exif()
    if tag is not None:
        exif[decode_module.ORIENTATION] = tag
    image = picture(37, 23, 1)
    assert agree(saved(image, exif=exif))
    found = decode_picture(saved(image, exif=exif))
    assert np.shape(found)[:2] == ((37, 23) if (tag or 0) in range(5, 9) else (23, 37))


def test_every_turn_is_tried() -> None:
    assert set(TURNS.values()) == set(Transpose)


def test_what_is_warned_of_is_left_to_pillow() -> None:
    """A restart marker's number is wrong: libjpeg finds its way, and says so."""
    data = saved(picture(60, 50, 0), restart_marker_rows=1)
    spoilt = data.replace(b"\xff\xd1", b"\xff\xd2", 1)
    assert agree(data) and not agree(spoilt)
    assert not isinstance(decode_picture(spoilt), Fault)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["caltech30", "awkward-images"])
def test_the_pixels_of_public_photos_are_those_of_pillow(shared: Path, name: str) -> None:
    with ZipFile(shared / "data" / f"{name}.zip") as archive:
        members = [member for member in archive.infolist() if not member.is_dir()][::5]
        photos = [archive.read(member) for member in members]
    ways = [agree(data, at_least) for data in photos for at_least in (None, 100)]
    assert sum(ways) > (0.99 if name == "caltech30" else 0.05) * len(ways)
