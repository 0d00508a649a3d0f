"""The handwritten digits of scikit-learn, as photos for the demo.

1,797 pictures of 8×8 pixels with 17 grey levels: the test part of "Optical Recognition of
Handwritten Digits", E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np

from imgcli.collect.imports.formats.source import as_png
from imgcli.collect.imports.labelled_photo import LabelledPhoto


def digits() -> Iterator[LabelledPhoto]:
    """Every digit as a PNG, labelled "0" to "9"."""
    from sklearn.datasets import load_digits

    bundle = load_digits()
    for number, (picture, target) in enumerate(zip(bundle.images, bundle.target, strict=True)):
        yield LabelledPhoto(
            label=str(target),
            name=f"{number:04}.png",
            origin=f"sklearn.datasets.load_digits()[{number}]",
            read=partial(as_png, np.round(picture * (255 / 16)).astype(np.uint8)),
        )
