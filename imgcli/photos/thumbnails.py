"""Photos made small enough for a page to hold thousands."""

import hashlib
import io
from collections.abc import Container, Generator, Iterable, Mapping
from pathlib import Path

from imgcli.photos.decode import Fault, decode, read_photo
from imgcli.photos.hashing import in_threads

QUALITY = 50  # of WebP; a photo of 96 pixels takes about 1.2 kB


def thumbnails(
    root: Path,
    paths: Iterable[str],
    side: int,
    digests: Mapping[str, str],
    among: Container[str],
) -> Generator[bytes | None, None, None]:
    """A thumbnail of each photo, in order, made in threads only a little ahead of the reader.

    Args:
        paths: relative to `root`.
        digests: SHA-256 of the bytes that a file must still hold, by path, where that is known.
        among: the photos that the folder itself has. Paths come from files that a stranger may have
            written, to have any picture of this machine shown; no other file is opened.
    """

    def made(path: str) -> bytes | None:
        return thumbnail(root / path, side, digests.get(path)) if path in among else None

    yield from in_threads(made, paths)


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
