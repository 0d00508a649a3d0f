"""Folders of photos made in code, for tests of every room."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.Image import Resampling

ORIENTATION = 0x0112  # the EXIF tag
COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (200, 50, 40)}


def coloured_photo(colour: Sequence[float], seed: int, size: int = 24) -> Image.Image:
    """A noisy square of about one colour; no two seeds give the same."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 45, (size, size, 3))
    return Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8))


def write_classes(root: Path, per_class: int = 12, classes: int = 3) -> Path:
    """`root/<colour>/<nn>.png`, classes that even a small network tells apart."""
    for number, (name, colour) in enumerate(list(COLOURS.items())[:classes]):
        (root / name).mkdir(parents=True)
        for i in range(per_class):
            coloured_photo(colour, 1000 * number + i).save(root / name / f"{i:02}.png")
    return root


def write_dataset(root: Path, train: int = 12, test: int = 4, classes: int = 3) -> Path:
    """A dataset made elsewhere: `root/train` and `root/test`, no manifest."""
    write_classes(root / "all", train + test, classes)
    for name in list(COLOURS)[:classes]:
        for i, photo in enumerate(sorted((root / "all" / name).iterdir())):
            part = root / ("train" if i < train else "test") / name
            part.mkdir(parents=True, exist_ok=True)
            photo.rename(part / photo.name)
        (root / "all" / name).rmdir()
    (root / "all").rmdir()
    return root


def make_photo(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Coloured clouds: noise of ever finer grain and smaller height, as in photographs."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size[1], size[0], 3))
    for octave in range(6):
        noise = rng.uniform(-1, 1, (2 << octave, 2 << octave, 3)) + rng.uniform(
            -1, 1, (2 << octave, 2 << octave, 1)
        )
        for channel in range(3):
            plane = Image.fromarray(noise[:, :, channel].astype(np.float32))
            total[:, :, channel] += (
                np.asarray(plane.resize(size, Resampling.BICUBIC)) / 1.25**octave
            )
    return Image.fromarray(np.clip(110 + 30 * total, 0, 255).astype(np.uint8))


def image_bytes(photo: Image.Image, image_format: str = "JPEG", **options: object) -> bytes:
    """The bytes of a file of that format."""
    file = io.BytesIO()
    photo.save(file, image_format, **options)
    return file.getvalue()


def jpeg(photo: Image.Image, quality: int = 90, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return image_bytes(photo, quality=quality, exif=exif)


def png(photo: Image.Image, level: int = 6) -> bytes:
    return image_bytes(photo, "PNG", compress_level=level)


def photo(number: int, image_format: str = "PNG") -> bytes:
    """A photo whose bytes are unlike those of any other number."""
    colour = (number % 256, number // 256 % 256, 77)
    return image_bytes(Image.new("RGB", (4, 3), colour), image_format)


def write_cats_and_dogs(root: Path) -> Path:
    """`root/cat` and `root/dog` of six photos each, `0.jpg` to `5.jpg`, no two alike."""
    for number, label in enumerate(("cat", "dog")):
        (root / label).mkdir(parents=True)
        for i in range(6):
            (root / label / f"{i}.jpg").write_bytes(jpeg(make_photo(10 * number + i)))
    return root


def write_photo(path: str | Path, seed: int) -> None:
    """A picture of large random blots, unlike any of another seed."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    blots = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(blots).resize((48, 48), Resampling.BICUBIC).save(path)


def write_tree(root: str | Path, counts: Mapping[str, int]) -> Path:
    """Pictures in the folders named, such as "train/cat": 3, all different."""
    for folder, n in counts.items():
        for i in range(n):
            seed = int(hashlib.sha256(f"{folder}{i}".encode()).hexdigest()[:8], 16)
            write_photo(f"{root}/{folder}/{i:02d}.png", seed)
    return Path(root)
