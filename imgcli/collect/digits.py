"""The handwritten digits that ship inside scikit-learn, as class folders of PNGs.

1,797 pictures of 8×8 pixels with 17 grey levels: the test part of "Optical Recognition of
Handwritten Digits", E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998.
"""

import io
from pathlib import Path

import numpy as np

from imgcli import workspace


def write_digits(out: Path, force: bool = False) -> int:
    """Write the digits to `out/<digit>/<number>.png`.

    Returns:
        How many.

    Raises:
        StorageError: `out` exists and `force` was not given.
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    names = [str(name) for name in digits.target_names]
    with workspace.staged_folder(out, replace=force) as folder:
        for name in names:
            (folder / name).mkdir()
        for number, (picture, target) in enumerate(zip(digits.images, digits.target, strict=True)):
            grey = np.round(picture * (255 / 16)).astype(np.uint8)
            data = io.BytesIO()
            Image.fromarray(grey).save(data, "PNG")
            (folder / names[target] / f"{number:04}.png").write_bytes(data.getvalue())
    return len(digits.images)
