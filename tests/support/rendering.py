"""Figures that are drawn, and rendered only where a test looks at their files.

Rendering takes most of the time of an `evaluate` on small photos. What it gives is looked at in
tests/report, and where a test asks for the fixture `rendered`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from imgcli.files import atomic_file
from imgcli.report.plots import style
from tests.support.photos import png

_PIXEL = png(Image.new("RGB", (1, 1)))
_NOTHING = b'<svg xmlns="http://www.w3.org/2000/svg"/>\n'

_render = style.save
_wanted = False


def save(figure: Figure, path: Path) -> None:
    """`style.save`, but that its two files hold one pixel where no more is wanted."""
    if _wanted:
        _render(figure, path)
        return
    assert figure.axes and path.suffix == ".png"
    path.parent.mkdir(parents=True, exist_ok=True)
    for file, data in ((path, _PIXEL), (path.with_suffix(".svg"), _NOTHING)):
        with atomic_file(file) as temporary:
            temporary.write_bytes(data)


@contextmanager
def rendering() -> Iterator[None]:
    """Figures are rendered inside it."""
    global _wanted
    before, _wanted = _wanted, True
    try:
        yield
    finally:
        _wanted = before
