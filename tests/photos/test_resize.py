"""Resizing is Pillow's own, but faster; the oracle is Pillow."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imgcli.photos import resize as module
from imgcli.photos.resize import LARGE, resize


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """No black or white: what overshoots is clipped between the two sides, in whatever order."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(100, 156, (height, width, 3), dtype=np.uint8))


def by_pillow(photo: Image.Image, size: tuple[int, int], interpolation: str) -> np.ndarray:
    return np.asarray(photo.resize(size, Image.Resampling[interpolation.upper()])).astype(int)


side = st.one_of(st.integers(1, 8), st.integers(1, 300), st.integers(1000, 20_000))


@given(
    width=side,
    height=st.integers(1, 60),
    turned=st.booleans(),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
)
def test_it_rounds_as_pillow_does_but_for_a_level(
    width: int, height: int, turned: bool, size: tuple[int, int], interpolation: str
) -> None:
    photo = noise(height, width) if turned else noise(width, height)
    found = resize(photo, size, interpolation)
    assert found.shape == (size[1], size[0], 3) and found.dtype == np.uint8
    assert np.abs(found - by_pillow(photo, size, interpolation)).max() <= 2


def test_without_the_package_pillow_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "simd", None)
    photo = noise(90, 70)
    assert (resize(photo, (32, 20), "bicubic") == by_pillow(photo, (32, 20), "bicubic")).all()


def test_a_box_is_resized_alone() -> None:
    photo = noise(23, 45)  # whose box brings the faster package down
    box = (1.333, 12.667, 21.333, 32.667)
    expected = np.asarray(photo.resize((60, 60), Image.Resampling.BICUBIC, box))
    assert (resize(photo, (60, 60), "bicubic", box) == expected).all()


@pytest.mark.parametrize("package", [module.simd, None], ids=["simd", "pillow"])
def test_a_large_photo_looks_as_if_resized_at_once(
    package: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "simd", package)
    photo = noise(120, 100).resize((2400, 2000), Image.Resampling.BICUBIC)
    assert photo.width * photo.height > LARGE
    found = resize(photo, (40, 40), "bicubic")
    assert np.abs(found - by_pillow(photo, (40, 40), "bicubic")).max() <= 3  # 7 from half as many


def test_threads_do_not_disturb_each_other() -> None:
    photos = [noise(60 + i, 50, seed=i) for i in range(40)]
    alone = [resize(photo, (32, 32), "bicubic") for photo in photos]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda photo: resize(photo, (32, 32), "bicubic"), photos * 5))
    assert all((a == b).all() for a, b in zip(alone * 5, together, strict=True))
