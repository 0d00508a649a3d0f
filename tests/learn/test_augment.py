"""Augmentation: seeded, within its bounds, and absent where it is not asked for."""

import pytest
import torch

from imgcli.learn.augment import RECIPES, Recipe, augment


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_none_leaves_the_images_alone() -> None:
    images = torch.rand(3, 3, 8, 8)
    assert augment(images, RECIPES["none"], seeded()) is images


@pytest.mark.parametrize("name", ["shift", "photo"])
def test_a_seed_gives_one_result_and_shapes_stay(name: str) -> None:
    images = torch.rand(4, 3, 16, 16)
    one, same, other = (augment(images, RECIPES[name], seeded(s)) for s in (1, 1, 2))
    assert one.shape == images.shape
    assert torch.equal(one, same) and not torch.equal(one, other)


@pytest.mark.parametrize("name", ["shift", "photo"])
def test_nothing_is_invented_beyond_the_values_of_the_image(name: str) -> None:
    images = torch.rand(8, 3, 16, 16)
    out = augment(images, RECIPES[name], seeded())
    assert out.min() >= images.min() - 1e-5 and out.max() <= images.max() + 1e-5


def test_half_of_the_images_are_mirrored_and_no_more_is_done_by_a_flip_alone() -> None:
    image = torch.arange(64.0).view(1, 1, 8, 8).expand(400, 1, 8, 8)
    out = augment(image, Recipe((1.0, 1.0), True, 0.0), seeded())
    mirrored = torch.isclose(out, image.flip(3), atol=1e-3).flatten(1).all(1)
    kept = torch.isclose(out, image, atol=1e-3).flatten(1).all(1)
    assert (mirrored ^ kept).all()
    assert 150 < mirrored.sum() < 250


def test_a_shift_never_mirrors() -> None:
    ramp = torch.linspace(0, 1, 32).view(1, 1, 1, 32).expand(100, 1, 32, 32)
    out = augment(ramp, RECIPES["shift"], seeded())
    assert (out[..., -1] > out[..., 0]).all()
