"""Photos made small enough for a page to hold thousands."""

import io
from collections.abc import Container, Generator, Iterable, Mapping
from contextlib import closing
from pathlib import Path

import numpy as np

from imgcli.photos.decode import Fault
from imgcli.photos.pipeline import Photo, Transform, derive

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

    Yields:
        A WebP of `side` pixels at most; None for a photo that is not among them, is gone, has
        changed or cannot be decoded.
    """
    paths = list(paths)
    wanted = np.array([[path in among for path in paths]], dtype=bool)
    files, known = [f"{root}/{path}" for path in paths], [digests.get(path) for path in paths]
    with closing(derive([_thumbnail_of(side)], files, known, wanted=wanted)) as derived:
        for is_wanted in wanted[0].tolist():
            made = next(derived)[1] if is_wanted else {}
            yield None if isinstance(made, Fault) else made.get(0)


def thumbnail(file: Path, side: int, sha256: str | None = None) -> bytes | None:
    """A thumbnail of one photo, as of `thumbnails`."""
    digests = {} if sha256 is None else {file.name: sha256}
    return next(thumbnails(file.parent, [file.name], side, digests, {file.name}))


def _thumbnail_of(side: int) -> Transform:
    def apply(photo: Photo) -> bytes:
        small = photo.decoded(side).copy()
        small.thumbnail((side, side))
        made = io.BytesIO()
        small.save(made, "WEBP", quality=QUALITY)
        return made.getvalue()

    return Transform(apply)
