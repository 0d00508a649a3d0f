"""Pixels that came without a picture file, as PNG: not a bit of them is lost."""

import io

import numpy as np
from numpy.typing import NDArray


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A grey (H, W) or colour (H, W, 3) picture as a PNG file."""
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()
