"""Pixels become what a network wants to see."""

import pytest
import torch

from imgcli.learn.augment import to_planes
from imgcli.learn.inputs import normalise, to_images
from imgcli.records import Preprocess

VIEW = Preprocess(48, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25))


@pytest.mark.parametrize("n", [1, 3, 70])  # 70 are more than are done at once
def test_images_are_normalised_by_channel(n: int) -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (n, 48, 48, 3), dtype=torch.uint8, generator=generator)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (VIEW.mean, VIEW.std))
    expected = (to_planes(pixels) / 255 - mean) / std
    images = to_images(pixels, VIEW)
    assert images.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(images, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(normalise(to_planes(pixels), VIEW), images, atol=1e-6, rtol=0)


def test_images_that_are_not_channels_last_are_normalised_too() -> None:
    images = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(1)) * 255
    expected = normalise(images.clone(memory_format=torch.channels_last), VIEW)
    torch.testing.assert_close(normalise(images, VIEW), expected)
