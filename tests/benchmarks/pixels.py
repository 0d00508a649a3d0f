"""Decoding once: the pixel store beside loaders of torchvision.

PEER is what torchvision's own examples build. BEST is what its parts allow: libjpeg-turbo by way of
`decode_jpeg`, resizing in uint8 on the vector units, batches that are never floats.
"""

import sys
import warnings
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
from tests.benchmarks.timing import Contender, Costs, Goal, Result, alternate

if TYPE_CHECKING:
    import torch
    from torch.utils.data import DataLoader

    from imgcli.training.inputs import DevicePixels, PixelInputs

BATCH = 64
PEER = "ImageFolder + DataLoader (2 workers)"
BEST = "decode_jpeg + v2 resize in uint8, DataLoader (2 workers)"
VIEW = Preprocess(224)  # the whole photo squashed, bicubic: what most of timm's networks get


def measure(setting: Setting) -> Iterator[Result]:
    photos = setting.material.photos(200 if setting.quick else 2056)
    large = setting.material.enlarged(6 if setting.quick else 24, (4000, 3000))
    rounds = setting.rounds(5)
    yield from cold_pass(photos, rounds, setting.work, {PEER: 2.0, BEST: 1.3})
    yield from cold_pass(large, rounds, setting.work, {PEER: 6.0, BEST: 6.0})
    yield from later_epoch(photos, rounds, setting)
    yield memory(setting)


def cold_pass(photos: Photos, rounds: int, work: Path, goals: dict[str, float]) -> Iterator[Result]:
    """From class folders to pixels at 224: scanned, hashed and kept by imgcli."""
    passes: dict[str, Contender] = {
        "imgcli": lambda folder: decoded(photos.root, folder),
        PEER: lambda folder: epoch(loader(photos.root)),
        BEST: lambda folder: batches_of(best_loader(photos.root)),
    }
    seconds = alternate(passes, rounds, work)
    processor: dict[str, Costs] = {name: timed.cpu for name, timed in seconds.items()}
    does = {
        PEER: "decodes, resizes to 256 (bilinear), crops to 224, gives float tensors",
        BEST: "decodes, squashes to 224 (bilinear), gives uint8",
    }
    for peer, goal in goals.items():
        for what, costs in (("cold pass", seconds), ("processor time of it", processor)):
            yield Result(
                f"{what}, {photos}",
                costs["imgcli"],
                costs[peer],
                peer,
                "photos/s" if costs is seconds else "photos per second of one core",
                len(photos),
                Goal("faster", goal),
                "imgcli scans, hashes, decodes, squashes to 224 (bicubic) and stores; the peer "
                f"{does[peer]} and keeps nothing",
            )


def later_epoch(photos: Photos, rounds: int, setting: Setting) -> Iterator[Result]:
    """Every photo once more, in random order, as float batches on the device."""
    from imgcli.training.device import choose_device
    from imgcli.training.inputs import DevicePixels
    from tests.benchmarks.peaks import wait_for

    device = choose_device(setting.device)
    inputs = as_inputs(DevicePixels.of(decoded(photos.root, setting.work / "cache"), device), VIEW)
    rng = np.random.default_rng(0)
    batches, fastest = loader(photos.root, shuffle=True), best_loader(photos.root, shuffle=True)

    def ours(folder: Path) -> None:
        for rows in np.array_split(rng.permutation(len(photos)), -(-len(photos) // BATCH)):
            inputs.batch(rows)
        wait_for(device)

    def theirs(folder: Path) -> None:
        epoch(batches, device)
        wait_for(device)

    def their_best(folder: Path) -> None:
        batches_of(fastest)

    seconds = alternate({"imgcli": ours, PEER: theirs, BEST: their_best}, rounds, setting.work)
    for peer, what in ((PEER, "float batches on the device"), (BEST, "uint8 batches on the CPU")):
        yield Result(
            f"a later epoch on the {device.type}, {photos}",
            seconds["imgcli"],
            seconds[peer],
            peer,
            "photos/s",
            len(photos),
            Goal("faster", 10.0),
            f"shuffled batches of {BATCH} in float32, normalised by imgcli; the peer's workers "
            f"persist and give {what}",
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


def _without_warnings(_: int) -> None:
    """torchvision's decoder is to be removed some day, and says so at each photo."""
    warnings.simplefilter("ignore")


def best_loader(root: Path, *, shuffle: bool = False) -> "DataLoader[tuple[torch.Tensor, int]]":
    """Batches (B, 3, 224, 224) in uint8 by the fastest parts of torchvision."""
    import torch
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.io import ImageReadMode, decode_jpeg, read_file
    from torchvision.transforms import v2

    def read(path: str) -> torch.Tensor:
        return decode_jpeg(read_file(path), mode=ImageReadMode.RGB)

    squash = v2.Resize((224, 224), antialias=True)
    return DataLoader(
        ImageFolder(root, squash, loader=read),
        BATCH,
        shuffle=shuffle,
        num_workers=2,
        worker_init_fn=_without_warnings,
        persistent_workers=shuffle,
    )


def batches_of(batches: "DataLoader[tuple[torch.Tensor, int]]") -> None:
    for _ in batches:
        pass


def epoch(batches: "DataLoader[list[torch.Tensor]]", device: "torch.device | None" = None) -> None:
    for images, _ in batches:
        images.to(device, non_blocking=True)


if __name__ == "__main__":
    main(measure, __doc__)
