"""Figures in a folder, drawn again only when what they show has changed.

`drawn.json` beside them keeps for each what it was drawn of, its title and lines, and the digests
of its files, so that one that was changed or taken away is drawn again. matplotlib is imported
only to draw.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imgcli import __version__
from imgcli.documents import DocumentError, Sha256, read_document
from imgcli.files import write_json
from imgcli.reading import digest_of, hash_of_arrays, read_regular
from imgcli.report.plots.style import Heading, heading, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "drawn.json"  # in a folder of figures


@dataclass(frozen=True)
class _Drawn:
    """What a figure was drawn of, and its files then."""

    made_of: Sha256
    png: Sha256
    svg: Sha256
    heading: Heading


@dataclass(frozen=True)
class StoredFigure:
    """A figure in a folder, with its heading apart."""

    png: Path
    svg: str  # the text of the file beside it
    heading: Heading


def draw_changed(
    folder: Path, drawings: "Mapping[str, Callable[[], Figure]]", shown: Any
) -> dict[str, StoredFigure]:
    """Draw figures that are not there, or were drawn of something else; all of them by name.

    Args:
        drawings: what draws each figure, by its name without a suffix.
        shown: all that decides them: dataclasses, mappings, sequences, arrays, text and numbers.
            Text that is not ASCII is drawn with the fonts at hand, which are not known here: with
            such, figures are always drawn.
    """
    made_of, before = _digest(shown), _read(folder / NAME)
    now, stored = dict(before), {}
    for name, draw in drawings.items():
        png = folder / f"{name}.png"
        if name in now and now[name] == _found(png, made_of, now[name].heading):
            stored[name] = _stored(png, now[name].heading)
            continue
        figure = draw()
        save(figure, png)
        stored[name] = _stored(png, heading(figure))
        now.pop(name, None)
        if made_of and (drawn := _found(png, made_of, stored[name].heading)):
            now[name] = drawn
    if now != before:
        write_json(folder / NAME, {name: asdict(one) for name, one in now.items()})
    return stored


def _stored(png: Path, headed: Heading) -> StoredFigure:
    return StoredFigure(png, read_regular(png.with_suffix(".svg")).decode(), headed)


def _found(png: Path, made_of: str, headed: Heading) -> _Drawn | None:
    try:
        return _Drawn(made_of, digest_of(png), digest_of(png.with_suffix(".svg")), headed)
    except OSError:
        return None


def _read(path: Path) -> dict[str, _Drawn]:
    try:
        return read_document(path, dict[str, _Drawn])
    except (OSError, DocumentError):
        return {}


def _digest(shown: Any) -> str:
    """SHA-256 of what is shown and of what draws it; empty where fonts at hand decide, too."""
    text = json.dumps(shown, default=_plain, ensure_ascii=False, sort_keys=True)
    if not text.isascii():
        return ""
    drawn_by = f"{__version__} {version('matplotlib')} {version('numpy')}"
    return hashlib.sha256(f"{drawn_by}\n{text}".encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return hash_of_arrays({"": value})
    if isinstance(value, np.generic):
        return value.item()
    return asdict(value)
