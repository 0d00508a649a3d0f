"""The one resize: a photo at another size, antialiased where it shrinks.

Resizing takes longer than decoding, and Pillow does it one number at a time. The same convolution
on the CPU's vector units (cykooz.resizer) takes 0.27 ms for a photo of 300 × 200 at 224 × 224,
bicubic, where Pillow takes 0.95 ms; torch 0.21 ms, but two seconds to be imported; numpy, by blocks
of matrix products, 0.84 ms. (CPU time on an AMD EPYC with AVX2, 294 photos of caltech30.) It rounds
as Pillow does but for one level; 0.2 % of the pixels differ by more, where one side shrinks, the
other grows, and what overshoots is clipped in between.
"""

import threading
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling

try:
    import cykooz_resizer as simd
except ImportError:  # no wheel for this machine
    simd = None

# RGB; of most JPEGs the array (H, W, 3), of what Pillow decodes its image.
Picture: TypeAlias = Image.Image | NDArray[np.uint8]
Box = tuple[float, float, float, float]  # left, top, right, bottom


# Part of the name under which resized photos are kept, for they differ by a level.
BY = "simd" if simd else "pillow"

# What a photo is shrunk to may be made from this many times its width and height, got by cheaper
# means: JPEG's scaled decoding, or a plain mean. From so many pixels the features of
# mobilenetv2_100 tell caltech30's photos apart as they do from all: 2,056 photos decoded at half
# their size, logistic regression, 3 × 10 folds, for views of 40, 48 and 56 pixels; the error
# changes by -0.42 ± 0.24, 0.47 ± 0.28 and -0.11 ± 0.26 points, in the mean by -0.02. With 1.6 times
# (64 pixels) it is 0.24 ± 0.26 higher, with 1.3 times (80 pixels) 0.62 ± 0.22.
MARGIN = 2
LARGE = 4_000_000  # pixels; below, the mean is not worth its while

_of_thread = threading.local()


def resize(
    photo: Picture, size: tuple[int, int], interpolation: str, box: Box | None = None
) -> NDArray[np.uint8]:
    """An RGB photo, or the box cut out of it, at `size` (width, height): (height, width, 3).

    Args:
        interpolation: "bilinear" or "bicubic".
    """
    width, height = size_of(photo)
    large = width * height > LARGE
    # Boxes crash it (4.0.1: a photo of 23 × 45 is enough). Whole photos came out right 200,000
    # times.
    if simd is None or box is not None:
        gap = MARGIN if large else None
        filter = Resampling[interpolation.upper()]
        return np.asarray(as_image(photo).resize(size, filter, box, gap))
    if large:
        factors = [n // (m * MARGIN) or 1 for n, m in zip((width, height), size, strict=True)]
        photo = as_image(photo).reduce((factors[0], factors[1]))  # a sixth of the time and memory
    return _vectorised(photo, size, interpolation)


def size_of(photo: Picture) -> tuple[int, int]:
    """Width and height."""
    if isinstance(photo, Image.Image):
        return photo.size
    return photo.shape[1], photo.shape[0]


def as_image(photo: Picture) -> Image.Image:
    """The picture for Pillow to work on."""
    return photo if isinstance(photo, Image.Image) else Image.fromarray(photo)


def _vectorised(photo: Picture, size: tuple[int, int], interpolation: str) -> NDArray[np.uint8]:
    kernel = {"bilinear": simd.FilterType.bilinear, "bicubic": simd.FilterType.catmull_rom}
    options = simd.ResizeOptions(simd.ResizeAlg.convolution(kernel[interpolation]))
    source = simd.ImageData(*size_of(photo), simd.PixelType.U8x3, photo.tobytes())
    target = simd.ImageData(*size, simd.PixelType.U8x3)
    if not hasattr(_of_thread, "resizer"):
        _of_thread.resizer = simd.Resizer()  # it keeps its buffers, and is for one thread
    _of_thread.resizer.resize(source, target, options)
    return np.frombuffer(target.get_buffer(), np.uint8).reshape(size[1], size[0], 3)
