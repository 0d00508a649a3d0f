"""Folders of photos made in code, for tests of every room."""

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (200, 50, 40)}


def coloured_photo(colour: tuple[int, int, int], seed: int, size: int = 24) -> Image.Image:
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
