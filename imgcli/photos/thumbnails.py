"""Photos made small enough for a page to hold thousands."""

import hashlib
import io
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path

from imgcli.photos.decode import Fault, decode, read_photo
from imgcli.photos.digests import in_threads

QUALITY = 50  # of WebP; a photo of 96 pixels takes about 1.2 kB


def thumbnails(
    root: Path, paths: Iterable[str], side: int, digests: Mapping[str, str]
) -> Generator[bytes | None, None, None]:
    """A thumbnail of each photo, in order, made in threads only a little ahead of the reader.

    Args:
        paths: relative to `root`.
        digests: SHA-256 of the bytes that a file must still hold, by path, where that is known.
    """
    yield from in_threads(lambda path: thumbnail(root / path, side, digests.get(path)), paths)


def thumbnail(file: Path, side: int, sha256: str | None = None) -> bytes | None:
    """A WebP of a photo, its longer side `side` pixels at most.

    Returns:
        None for a photo that is gone, has changed or cannot be decoded.
    """
    data = read_photo(file)
    if isinstance(data, Fault):
        return None
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        return None
    photo = decode(data, at_least=side)
    if isinstance(photo, Fault):
        return None
    photo.thumbnail((side, side))
    made = io.BytesIO()
    photo.save(made, "WEBP", quality=QUALITY)
    return made.getvalue()
