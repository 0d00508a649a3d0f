"""The demo's photos: all of them, each as it is in scikit-learn."""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from imgcli.collect.digits import digits
from imgcli.collect.ingest import open_store


def test_every_digit_is_placed_in_its_class_and_can_be_read_back(tmp_path: Path) -> None:
    with open_store(tmp_path / "raw") as store:
        assert sum(store.place(digit) for digit in digits()) == 1797
    bundle = load_digits()
    for number in (0, 17, 1796):
        data = (tmp_path / f"raw/{bundle.target[number]}/{number:04}.png").read_bytes()
        pixels = np.asarray(Image.open(io.BytesIO(data)))
        np.testing.assert_array_equal(np.round(pixels / 255 * 16), bundle.images[number])
