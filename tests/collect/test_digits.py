"""The demo's photos: a hundred of each digit, each as it is in scikit-learn."""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from imgcli.collect.digits import CLASSES, digits
from imgcli.collect.ingest import open_store


def test_every_digit_is_placed_in_its_class_and_one_of_them_in_two(tmp_path: Path) -> None:
    with open_store(tmp_path / "raw") as store:
        assert sum(store.place(digit) for digit in digits()) == 1000
        sevens = {"seven": 50, "sevens": 50}
        assert store.counts() == dict.fromkeys(CLASSES, 100) | sevens
    target = load_digits().target
    for photo in (tmp_path / "raw").glob("*/*.png"):
        label = CLASSES[target[int(photo.stem)]]
        assert photo.parent.name == label or (label, photo.parent.name) == ("seven", "sevens")


def test_a_digit_is_drawn_as_it_is_there() -> None:
    images = load_digits().images
    for digit in list(digits())[:20]:
        picture = Image.open(io.BytesIO(digit.read())).convert("L").resize((12, 12))
        ink = 255 - np.asarray(picture, dtype=float)[2:-2, 2:-2]
        number = int(digit.name.removesuffix(".png"))
        assert np.corrcoef(ink.ravel(), images[number].ravel())[0, 1] > 0.9
