"""Pixels become what a network wants to see."""

from pathlib import Path

import numpy as np
import pytest
import torch

from imgcli.photos.dataset import load_dataset
from imgcli.photos.views import load_pixels
from imgcli.records import Preprocess
from imgcli.training.augment import to_planes
from imgcli.training.inputs import DevicePixels, normalise, to_images

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


def test_photos_that_are_kept_on_the_device_are_the_same_as_those_that_come_in_batches(
    here: Path,
) -> None:
    samples = load_dataset(Path("dataset")).samples
    (pixels,) = load_pixels(samples, [Preprocess(16)])
    cpu, rows = torch.device("cpu"), np.array([7, 0, 7, 31])
    kept = torch.from_numpy(pixels.gather(np.arange(len(samples))))
    streamed = DevicePixels(pixels, cpu)
    assert torch.equal(DevicePixels(pixels, cpu, kept).gather(rows), streamed.gather(rows))


def test_photos_that_find_no_room_on_the_device_come_in_batches(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    (pixels,) = load_pixels(load_dataset(Path("dataset")).samples, [Preprocess(16)])
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**40, 2**40))
    monkeypatch.setattr(torch, "zeros", full)
    assert DevicePixels.of(pixels, torch.device("cuda")).resident is None
