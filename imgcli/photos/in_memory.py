"""Photos that are in memory, as PIL images or arrays, on their way to the one decoder."""

import io
import os
from typing import Any

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from imgcli.errors import WrongUsage
from imgcli.photos.decode import ORIENTATION

_PNG = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}  # modes that it keeps
_TIFF = {"CMYK", "I", "F"}
_ALPHA = {"PA", "La", "RGBa"}
_KINDS = "a path, a PIL image, or an array of uint8 and shape (H, W, 3), (H, W, 4) or (H, W)"


def check_photo(photo: object) -> None:
    """Refuse what is no photo.

    Raises:
        WrongUsage: of another type, dtype or shape.
    """
    if isinstance(photo, np.ndarray):
        height_and_width, channels = photo.shape[:2], photo.shape[2:]
        known = photo.ndim in (2, 3) and channels in ((), (1,), (3,), (4,))
        if photo.dtype != np.uint8 or not known or 0 in height_and_width:
            raise WrongUsage(
                f"An array of {photo.dtype} and shape {photo.shape} is no photo. Give {_KINDS}; "
                "values from 0 to 1 are turned into these by (255 * values).astype('uint8')."
            )
    elif not isinstance(photo, str | bytes | os.PathLike | Image.Image):
        raise WrongUsage(f"A photo of type {type(photo).__name__} cannot be read. Give {_KINDS}.")


def content_of(photo: Any) -> str | bytes:
    """What the decoder takes of a photo: its path, or the bytes of a file without loss.

    A JPEG that PIL has opened and not yet decoded gives its own bytes: it is then prepared as its
    path is, which decodes a large one at a reduced size.

    Raises:
        WrongUsage: as of `check_photo`.
    """
    check_photo(photo)
    if isinstance(photo, bytes):
        return photo
    if isinstance(photo, np.ndarray):
        return _lossless(Image.fromarray(photo[..., 0] if photo.shape[2:] == (1,) else photo))
    if isinstance(photo, Image.Image):
        return _own_bytes(photo) or _lossless(photo)
    return str(os.fspath(photo))


def _own_bytes(image: Image.Image) -> bytes | None:
    """The bytes of a JPEG that has not been decoded, nor asked for at another size."""
    if not isinstance(image, JpegImageFile) or not image.tile or image.decoderconfig:
        return None
    if image.fp is None or image.tell() != 0:
        return None
    file, position = image.fp, image.fp.tell()
    file.seek(0)
    data = bytes(file.read())
    file.seek(position)
    if getattr(image, "_exclusive_fp", False):  # PIL's own, which it would close after decoding
        image.fp = io.BytesIO(data)
        image.fp.seek(position)
        file.close()
    return data


def _lossless(image: Image.Image) -> bytes:
    if image.mode not in _PNG | _TIFF:
        image = image.convert("RGBA" if image.mode in _ALPHA else "RGB")
    file = io.BytesIO()
    if image.mode in _TIFF:
        image.save(file, "TIFF")
    else:
        exif = Image.Exif()
        if turn := image.getexif().get(ORIENTATION):
            exif[ORIENTATION] = turn
        image.save(file, "PNG", compress_level=1, exif=exif)
    return file.getvalue()


def photos_of(given: Any) -> list[Any]:
    """One photo or several, as a list: a PIL image, a path, an array (H, W, 3) or (N, H, W, 3)."""
    if isinstance(given, str | bytes | os.PathLike | Image.Image):
        return [given]
    if isinstance(given, np.ndarray) and given.dtype == np.uint8 and given.ndim in (2, 3):
        return [given]
    return list(given)


def all_paths(given: Any) -> bool:
    """Whether what is given names photos, by paths alone."""
    if isinstance(given, np.ndarray) and given.dtype.kind not in "UO":
        return False
    return all(isinstance(one, str | os.PathLike) for one in photos_of(given))
