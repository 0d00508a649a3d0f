"""Decoding once: the pixel store beside torchvision's ImageFolder and DataLoader."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imgcli.photos.hashing import digest_files
from imgcli.photos.layout import find_photos
from imgcli.photos.views import Pixels, load_pixels
from imgcli.records import Preprocess, Samples
from tests.benchmarks.machine import peak_megabytes
from tests.benchmarks.material import Photos
from tests.benchmarks.script import Setting, main
from tests.benchmarks.timing import Goal, Result, alternate

if TYPE_CHECKING:
    import torch
    from torch.utils.data import DataLoader

    from imgcli.training.inputs import DevicePixels, PixelInputs

BATCH = 64
PEER = "ImageFolder + DataLoader (2 workers)"
VIEW = Preprocess(224)  # the whole photo squashed, bicubic: what most of timm's networks get


def measure(setting: Setting) -> Iterator[Result]:
    photos = setting.material.photos(200 if setting.quick else 2056)
    large = setting.material.enlarged(6 if setting.quick else 24, (4000, 3000))
    rounds = setting.rounds(5)
    yield cold_pass(photos, rounds, setting.work, 2.0)
    yield cold_pass(large, rounds, setting.work, 4.0)
    yield later_epoch(photos, rounds, setting)
    yield memory(setting)


def cold_pass(photos: Photos, rounds: int, work: Path, goal: float) -> Result:
    """From class folders to pixels at 224: scanned, hashed and kept by imgcli."""
    seconds = alternate(
        {
            "imgcli": lambda folder: decoded(photos.root, folder),
            PEER: lambda folder: epoch(loader(photos.root)),
        },
        rounds,
        work,
    )
    return Result(
        f"cold pass, {photos}",
        seconds["imgcli"],
        seconds[PEER],
        PEER,
        "photos/s",
        len(photos),
        Goal("faster", goal),
        "imgcli scans, hashes, decodes, squashes to 224 (bicubic) and stores; the peer scans, "
        "decodes, resizes to 256 (bilinear), crops to 224, gives float tensors and keeps nothing",
    )


def later_epoch(photos: Photos, rounds: int, setting: Setting) -> Result:
    """Every photo once more, in random order, as float batches on the device."""
    from imgcli.training.device import choose_device
    from imgcli.training.inputs import DevicePixels
    from tests.benchmarks.peaks import wait_for

    device = choose_device(setting.device)
    inputs = as_inputs(DevicePixels.of(decoded(photos.root, setting.work / "cache"), device), VIEW)
    rng = np.random.default_rng(0)
    batches = loader(photos.root, shuffle=True)

    def ours(folder: Path) -> None:
        for rows in np.array_split(rng.permutation(len(photos)), -(-len(photos) // BATCH)):
            inputs.batch(rows)
        wait_for(device)

    def theirs(folder: Path) -> None:
        epoch(batches, device)
        wait_for(device)

    seconds = alternate({"imgcli": ours, PEER: theirs}, rounds, setting.work)
    return Result(
        f"a later epoch on the {device.type}, {photos}",
        seconds["imgcli"],
        seconds[PEER],
        PEER,
        "photos/s",
        len(photos),
        Goal("faster", 10.0),
        f"shuffled batches of {BATCH} in float32, normalised by imgcli; the peer's workers persist",
    )


def memory(setting: Setting) -> Result:
    """The most memory a cold pass takes, over few photos and over four times as many."""
    few, many = (setting.material.photos(n) for n in ((128, 512) if setting.quick else (514, 2056)))
    code = "from tests.benchmarks.pixels import *; decoded(Path(sys.argv[1]), Path(sys.argv[2]))"
    most = {}
    for photos in (few, many):
        cold = str(setting.work / photos.root.name)
        command = [sys.executable, "-c", code, str(photos.root), cold]
        most[photos] = peak_megabytes(command, setting.work)
    return Result(
        f"most memory in a cold pass, {many}",
        (most[many],),
        (most[few],),
        f"imgcli, {len(few):,} photos",
        "MB",
        goal=Goal("cost", 1.1),
    )


def decoded(root: Path, cache: Path) -> Pixels:
    """imgcli's own way from class folders to pixels, as `train` goes it."""
    photos = [(path, place.label) for path, place in find_photos(root).photos.items()]
    digests = [str(digest) for digest in digest_files([root / path for path, _ in photos], cache)]
    classes = tuple(sorted({label for _, label in photos}))
    samples = Samples(
        root=root,
        paths=tuple(path for path, _ in photos),
        targets=np.array([classes.index(label) for _, label in photos]),
        groups=np.arange(len(photos)),
        digests=tuple(digests),
        classes=classes,
    )
    (pixels,) = load_pixels(samples, [VIEW], cache)
    return pixels


def as_inputs(pixels: "DevicePixels", view: Preprocess) -> "PixelInputs":
    """What imgcli's networks look at: no augmentation."""
    from imgcli.training.augment import RECIPES
    from imgcli.training.inputs import PixelInputs

    return PixelInputs(pixels, pixels, view, RECIPES["none"])


def loader(root: Path, *, shuffle: bool = False) -> "DataLoader[list[torch.Tensor]]":
    """What torchvision's own examples build for validation."""
    import torch
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    steps = [transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()]
    return DataLoader(
        ImageFolder(root, transforms.Compose(steps)),
        BATCH,
        shuffle=shuffle,
        num_workers=2,
        persistent_workers=shuffle,
        pin_memory=torch.cuda.is_available(),
    )


def epoch(batches: "DataLoader[list[torch.Tensor]]", device: "torch.device | None" = None) -> None:
    for images, _ in batches:
        images.to(device, non_blocking=True)


if __name__ == "__main__":
    main(measure, __doc__)
