"""The photos that a page shows: larger in the galleries, small in the cells, within its size."""

from base64 import b64encode
from collections.abc import Callable, Generator, Iterable, Sequence

from imgcli.progress import track

# A thumbnail of each photo, by its path, with a side in pixels; None for one that cannot be shown.
# Made while they are read, and no further.
Thumbnails = Callable[[Iterable[str], int], Generator[bytes | None, None, None]]

GALLERY = 160  # pixels of the longer side, about 2.7 kB
CELL = 96  # about 1.2 kB


def gallery_images(paths: Iterable[str], thumbnails: Thumbnails) -> dict[str, str]:
    """The images of galleries as data URIs, by the photos' paths."""
    once = list(dict.fromkeys(paths))
    made = zip(once, thumbnails(once, GALLERY), strict=True)
    return {
        path: f"data:image/webp;base64,{_text(data)}"
        for path, data in track(made, "Galleries", len(once), "photos")
        if data is not None
    }


def cell_images(paths: Sequence[str], thumbnails: Thumbnails, room: int) -> dict[int, str]:
    """Images in base64, by the photos' positions in `paths`, as many as there is room for.

    Args:
        paths: the photos to show first first.
        room: characters that all images may take together.
    """
    images: dict[int, str] = {}
    made = thumbnails(paths, CELL)
    for position, data in enumerate(track(made, "Thumbnails", len(paths), "photos")):
        if data is None:
            continue
        text = _text(data)
        room -= len(text) + len(f'"{position}":"",')
        if room < 0:
            made.close()  # begins no more of them
            break
        images[position] = text
    return images


def _text(data: bytes) -> str:
    return b64encode(data).decode()
