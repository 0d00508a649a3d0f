"""The handwritten digits of scikit-learn, as photos for the demo.

Pictures of 8×8 pixels with 17 grey levels, from the test part of "Optical Recognition of
Handwritten Digits", E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998 (CC BY 4.0).
They are enlarged and inked, for a network that is made for photos and for people who look at them.
"""

from collections import Counter
from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from imgcli.collect.imports.formats.source import as_png
from imgcli.collect.imports.labelled_photo import LabelledPhoto

PER_DIGIT = 100  # of some 180: enough for the demo, which is to take a minute
CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TWO_NAMES = {"seven": "sevens"}  # every second photo of the class has the second name
_SIDE = 96  # pixels
_PAPER, _INK = np.array([250, 246, 236]), np.array([28, 36, 92])  # RGB
_FAINT, _FULL = 0.3, 0.65  # the grey, of 1, from which there is ink, and from which all of it


def digits() -> Iterator[LabelledPhoto]:
    """The first `PER_DIGIT` of every digit as PNGs, labelled by `CLASSES` and `TWO_NAMES`."""
    from sklearn.datasets import load_digits

    bundle = load_digits()
    seen: Counter[str] = Counter()
    for number, (picture, target) in enumerate(zip(bundle.images, bundle.target, strict=True)):
        label = CLASSES[target]
        seen[label] += 1
        if seen[label] > PER_DIGIT:
            continue
        yield LabelledPhoto(
            label=TWO_NAMES.get(label, label) if seen[label] % 2 == 0 else label,
            name=f"{number:04}.png",
            origin=f"sklearn.datasets.load_digits()[{number}]",
            read=partial(_drawn, picture / 16),
        )


def _drawn(grey: NDArray[np.float64]) -> bytes:
    """A PNG file of a digit `(8, 8)`, 0 to 1, as blue ink on paper."""
    from PIL import Image

    small = Image.fromarray(np.pad(grey, 2).astype(np.float32))
    large = np.asarray(small.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC))
    ink = np.clip((large - _FAINT) / (_FULL - _FAINT), 0, 1)[:, :, None]
    return as_png((_PAPER + ink * (_INK - _PAPER)).round().astype(np.uint8))
