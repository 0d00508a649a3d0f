"""The photos that everything is measured on: given ones, or else drawn in code.

`--data` names a folder like this, or a zip or folder of class folders, which then are the photos:

    data/caltech30.zip         photos of about 300 × 200
    data/cifar10-train.zip     pictures of 32 × 32
    data/mnist-train.zip       digits, grey, 28 × 28
    weights/mobilenetv2_100.safetensors

Whatever is missing is drawn: enough to time any of it, and to learn a little.
"""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar
from zipfile import ZipFile

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from imgcli.compute.local import in_threads
from tests.benchmarks.machine import PROJECT

_P = TypeVar("_P", bound=PurePath)

SHARED = PROJECT.parent / "shared"
SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Photos:
    """A folder of class folders."""

    root: Path
    name: str  # for people, such as "caltech30"
    files: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.files)

    def __str__(self) -> str:
        return f"{self.name}, {len(self):,} photos"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.stat().st_size for file in self.files)


@dataclass(frozen=True)
class Material:
    """Photos of each kind, unpacked or drawn under `work` when they are first asked for."""

    data: Path  # see above; need not exist
    work: Path

    @property
    def weights(self) -> Path | None:
        """ImageNet weights of mobilenetv2_100, where they are at hand."""
        file = self.data / "weights" / "mobilenetv2_100.safetensors"
        return file if file.is_file() else None

    def photos(self, at_most: int = 2056, classes: int = 30) -> Photos:
        """Photos as people have them, about 300 × 200."""
        own = self.data.is_file() or (self.data.is_dir() and not (self.data / "data").is_dir())
        source = self.data if own else self.data / "data" / "caltech30.zip"
        return self._given(source, at_most, classes) or self._drawn(
            "photos", at_most, classes, (300, 200), ".jpg"
        )

    def pictures(self, at_most: int = 50_000) -> Photos:
        """Small colour pictures of 32 × 32 in ten classes."""
        return self._given(self.data / "data" / "cifar10-train.zip", at_most, 10) or self._drawn(
            "pictures", at_most, 10, (32, 32), ".jpg"
        )

    def digits(self, at_most: int = 60_000) -> Photos:
        """Small grey pictures of 28 × 28 in ten classes."""
        return self._given(self.data / "data" / "mnist-train.zip", at_most, 10) or self._drawn(
            "grey pictures", at_most, 10, (28, 28), ".png"
        )

    def enlarged(self, count: int, size: tuple[int, int]) -> Photos:
        """Photos brought to `size` with the noise of a camera, JPEG of quality 90."""
        small = self.photos(count, classes=max(2, min(30, count // 4)))
        width, height = size

        def fill(root: Path) -> None:
            rng = np.random.default_rng(0)
            grain = rng.normal(0, 5, (height, width, 3)).astype(np.int16)
            shifts = rng.integers(0, height, (count, 2))

            def one(i: int) -> None:
                file = small.files[i % len(small)]
                photo = Image.open(file).convert("RGB").resize(size, Image.Resampling.BICUBIC)
                noisy = np.asarray(photo) + np.roll(grain, shifts[i], (0, 1))
                image = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
                image.save(_place(root, file.parent.name, f"{i:05}.jpg"), quality=90)

            for _ in in_threads(one, range(count)):
                pass

        name = f"{small.name} enlarged to {width} × {height}"
        return self._once(f"{small.root.name}-{width}x{height}", name, fill)

    def _given(self, source: Path, at_most: int, classes: int) -> Photos | None:
        """The photos of an archive or a folder, or evenly spaced ones of them."""
        if not source.exists():
            return None

        def fill(root: Path) -> None:
            if source.is_dir():
                for file in _chosen(source.rglob("*"), at_most, classes):
                    shutil.copy(file, _place(root, file.parent.name, file.name))
            else:
                with ZipFile(source) as archive:
                    for member in _chosen(map(PurePath, archive.namelist()), at_most, classes):
                        place = _place(root, member.parent.name, member.name)
                        place.write_bytes(archive.read(str(member)))

        return self._once(f"{source.stem}-{at_most}-of-{classes}", source.stem, fill)

    def _drawn(
        self, name: str, count: int, classes: int, size: tuple[int, int], suffix: str
    ) -> Photos:
        def fill(root: Path) -> None:
            for i in range(count):
                label = i % classes
                photo = draw_photo(label, i, size).convert("L" if suffix == ".png" else "RGB")
                photo.save(_place(root, f"class-{label:02}", f"{i:05}{suffix}"), quality=85)

        folder = f"{name.replace(' ', '-')}-{count}-of-{classes}"
        return self._once(folder, f"{name} drawn in code", fill)

    def _once(self, folder: str, name: str, fill: Callable[[Path], None]) -> Photos:
        """The photos in a folder under `work`, filled now if it is not there yet."""
        root = self.work / folder
        if not root.exists():
            part = root.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            fill(part)
            part.rename(root)
        return Photos(root, name, tuple(sorted(root.glob("*/*"))))


def draw_photo(label: int, seed: int, size: tuple[int, int]) -> Image.Image:
    """Shapes in the colours of a class on a shaded ground, blurred a little, with noise."""
    rng = np.random.default_rng(seed)
    width, height = size
    shade = np.linspace(rng.integers(0, 120), rng.integers(120, 255), width)
    ground = np.broadcast_to(shade[None, :, None], (height, width, 3))
    image = Image.fromarray(ground.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(4 + label):
        colour = tuple(np.clip(rng.normal(128, 50, 3) + 60 * np.cos(label + np.arange(3)), 0, 255))
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        w, h = rng.uniform(0.1, 0.5) * width, rng.uniform(0.1, 0.5) * height
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((x - w / 2, y - h / 2, x + w / 2, y + h / 2), fill=tuple(map(int, colour)))
    blurred = np.asarray(image.filter(ImageFilter.GaussianBlur(min(size) / 100)), np.int16)
    noise = rng.integers(-8, 9, blurred.shape, np.int16)
    return Image.fromarray((blurred + noise).clip(0, 255).astype(np.uint8))


def _chosen(files: Iterable[_P], at_most: int, classes: int) -> list[_P]:
    """Photos of the first so many class folders, evenly spaced."""
    photos = sorted(file for file in files if file.suffix.lower() in SUFFIXES)
    labels = sorted({photo.parent.name for photo in photos})[:classes]
    photos = [photo for photo in photos if photo.parent.name in labels]
    count = min(at_most, len(photos))
    return [photos[i * len(photos) // count] for i in range(count)]


def _place(root: Path, label: str, name: str) -> Path:
    """Where a photo of a class goes, its folder made."""
    (root / label).mkdir(parents=True, exist_ok=True)
    return root / label / name
