"""A JPEG's pixels by the shorter way: libjpeg-turbo called once, RGB straight into an array.

Pillow reads the header, and says what the picture is and whether it may be decoded; it would also
decode it, by pieces, into four bytes a pixel that are then copied out as three. Both programs are
libjpeg-turbo with the same inverse DCT ("islow", whose result its authors define bit for bit) and
the same smooth upsampling of colours, so their pixels are equal, at 1/2, 1/4 and 1/8 of the size
too. What libjpeg so much as warns about, and every colour space but grey and RGB, is left to
Pillow: there is one set of rules for what is damaged.
"""

import numpy as np
from numpy.typing import NDArray
from PIL.JpegImagePlugin import JpegImageFile

try:
    import simplejpeg
except ImportError:  # no wheel for this machine: Pillow gives the same pixels
    simplejpeg = None

HAS_SIMPLEJPEG = simplejpeg is not None


def decode_jpeg(data: bytes, image: JpegImageFile) -> NDArray[np.uint8] | None:
    """The pixels (H, W, 3) of a JPEG as it is stored; None: Pillow has to decode it.

    Args:
        image: its header, at the size that is wanted.
    """
    if simplejpeg is None or image.mode not in ("L", "RGB"):
        return None
    width, height = image.size
    scale = image.decoderconfig[0] if image.decoderconfig else 1
    least = {"min_height": height, "min_width": width, "min_factor": scale} if scale > 1 else {}
    if least and (max(width, height) - 1) * scale < 8:
        return None  # so small that 3/8 of it are as many pixels as 1/2, and not the same ones
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "RGB", **least)
    except ValueError:  # of errors and warnings alike
        return None
    return pixels if pixels.shape == (height, width, 3) else None
