"""What both pages are made with: the jinja environment and the photos, within a page's size.

The environment escapes names and refuses unknown variables.
"""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Generator, Iterable, Sequence
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from imgcli.progress import track
from imgcli.text import count, interval, percent, plus_minus, printable


def environment() -> Environment:
    """The templates with their filters."""
    found = Environment(
        loader=PackageLoader("imgcli.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "bound": _bound,
        "count": count,
        "interval": interval,
        "name": _name,
        "path": _path,
        "percent": percent,
        "plus_minus": plus_minus,
        "printable": printable,
    }
    found.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return found


def source(name: str) -> str:
    """A style sheet or script of the templates, as it is."""
    return (files("imgcli.report.page") / "templates" / name).read_text("utf-8")


def policy_hash(text: str) -> str:
    """The hash by which a page's policy allows a script or style sheet."""
    return "sha256-" + b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _name(text: str) -> Markup:
    """A user's name for something, kept to itself whatever direction it is written in."""
    return Markup("<bdi>{}</bdi>").format(printable(text))


def _path(text: str) -> Markup:
    """A photo's path, which may be broken after a folder."""
    return Markup("<bdi>{}</bdi>").format(Markup("/<wbr>").join(printable(text).split("/")))


def _bound(text: str) -> str:
    """A sentence in which no line ends between a number and its sign."""
    return text.replace(" %", "\u00a0%").replace(" ± ", "\u00a0±\u00a0")


# --- photos --------------------------------------------------------------------------------------

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
        path: f"data:image/webp;base64,{_base64(data)}"
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
        text = _base64(data)
        room -= len(text) + len(f'"{position}":"",')
        if room < 0:
            made.close()  # begins no more of them
            break
        images[position] = text
    return images


def _base64(data: bytes) -> str:
    return b64encode(data).decode()
