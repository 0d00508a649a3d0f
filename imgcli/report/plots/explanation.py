"""Why a photo is predicted as it is: its evidence as an overlay, and the photos most like it."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgcli.report.plots import style
from imgcli.text import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOR, AGAINST = "#E69F00", "#0072B2"  # Okabe and Ito's orange and blue
_STRONGEST = 0.8  # opacity where the evidence is strongest
_WIDTH = 12.0  # inches
_CAPTION = 0.62  # inches above a row of pictures
_HEADING = 0.42  # inches between the two rows
_PER_ROW = 5  # training photos
_SMALL = 1.7  # inches, height of the training photos


@dataclass(frozen=True)
class NearPhoto:
    """A training photo of the lower row."""

    picture: bytes | None  # an image file; None for one that is gone
    label: str
    similarity: float
    duplicate: bool


@dataclass(frozen=True, eq=False)
class EvidencePicture:
    """What the figure of one photo shows."""

    name: str
    picture: bytes  # the photo, an image file
    box: tuple[float, float, float, float]  # where the maps are in it: left, top, right, bottom
    explained: str  # class
    against: str  # class
    probability: float  # of the class explained
    label: str | None
    evidence: NDArray[np.float32]  # (S, S)
    contrast: NDArray[np.float32]  # (S, S)
    nearest: Sequence[NearPhoto]


@style.styled
def explanation(shown: EvidencePicture) -> "Figure":
    """The photo, the evidence for its class, that against another, and the photos most like it."""
    from matplotlib.figure import Figure

    opened = Image.open(io.BytesIO(shown.picture)).convert("RGB")
    photo = np.asarray(opened)
    height = _WIDTH / 3 * min(1.25, max(0.45, photo.shape[0] / photo.shape[1]))
    rows = -(-len(shown.nearest) // _PER_ROW)
    below = rows * (_SMALL + _CAPTION) + _HEADING if rows else 0.0
    total = _CAPTION + height + below
    figure = Figure(figsize=(_WIDTH, total))
    explained, against = style.labels([shown.explained, shown.against], 20)
    bottom = below / total
    titles = (
        (_first_title(shown, explained), style.drawable(shown.name)),
        (f"Evidence for {explained}", "orange: for it · blue: against it"),
        (f"{explained} rather than {against}", f"orange: for {explained} · blue: for {against}"),
    )
    maps = (None, shown.evidence, shown.contrast)
    for i, ((title, line), values) in enumerate(zip(titles, maps, strict=True)):
        axes = figure.add_axes((i / 3 + 0.004, bottom, 1 / 3 - 0.008, height / total))
        drawn = photo if values is None else overlay(opened, values, shown.box)
        _picture(axes, drawn, title, line)
    if shown.nearest:
        heading = f"The training photos most like it ({_frames(explained, against)})"
        top = (below - _HEADING + 0.06) / total
        figure.text(0.004, top, heading, fontsize=style.NORMAL + 2, va="bottom")
    for i, near in enumerate(shown.nearest):
        row, column = divmod(i, _PER_ROW)
        y = (rows - 1 - row) * (_SMALL + _CAPTION)
        place = (column / _PER_ROW + 0.004, y / total, 1 / _PER_ROW - 0.008, _SMALL / total)
        axes = figure.add_axes(place)
        _near(axes, near, shown)
    return figure


def _frames(explained: str, against: str) -> str:
    return f"framed orange: {explained}, blue: {against}"


def _first_title(shown: EvidencePicture, explained: str) -> str:
    title = f"{explained} {percent(shown.probability)}"
    if shown.label is not None and shown.label != shown.explained:
        title += f", labelled {style.labels([shown.label], 20)[0]}"
    return title


def _picture(axes: "Axes", photo: NDArray[np.uint8], title: str, line: str) -> None:
    axes.imshow(photo, extent=(0, photo.shape[1], photo.shape[0], 0), interpolation="antialiased")
    axes.set_xlim(0, photo.shape[1])
    axes.set_ylim(photo.shape[0], 0)
    axes.set_axis_off()
    axes.set_anchor("NW")
    size = style.NORMAL + 2
    axes.annotate(title, (0, 1), (0, 17), **_above, fontsize=size, fontweight="bold")
    axes.annotate(line, (0, 1), (0, 5), **_above, fontsize=style.NORMAL - 1, color=style.FAINT)


_above: dict[str, Any] = {
    "xycoords": "axes fraction",
    "textcoords": "offset points",
    "annotation_clip": False,
}


def overlay(
    photo: Image.Image, evidence: NDArray[np.float32], box: tuple[float, ...]
) -> NDArray[np.uint8]:
    """A photo in grey, (height, width, 3), and the evidence over it: the stronger, the more opaque.

    Args:
        evidence: (S, S); above 0 it is orange, below blue.
        box: where it is in the photo: left, top, right, bottom, in shares of it.
    """
    grey = np.asarray(photo.convert("L"), np.float32)[:, :, None] * 0.85 + 255 * 0.12
    width, height = photo.size
    values = _placed(evidence, box, width, height)
    strongest = float(np.quantile(np.abs(evidence), 0.995)) or 1.0
    opacity = _STRONGEST * np.clip(np.abs(values) / strongest, 0, 1)[:, :, None]
    colour = np.where(values[:, :, None] > 0, _rgb(FOR), _rgb(AGAINST))
    return np.clip(grey * (1 - opacity) + colour * opacity, 0, 255).astype(np.uint8)


def _placed(
    evidence: NDArray[np.float32], box: tuple[float, ...], width: int, height: int
) -> NDArray[np.float32]:
    """The evidence at every pixel of a photo; 0 where the network does not see it."""
    left, top, right, bottom = box
    across, down = width * (right - left), height * (bottom - top)
    # The part of the map that is in the photo, and the pixels that it covers.
    inner = [max(0.0, left), max(0.0, top), min(1.0, right), min(1.0, bottom)]
    cells = len(evidence)
    source = [
        (inner[i] - (left, top)[i % 2]) * (width, height)[i % 2] / (across, down)[i % 2] * cells
        for i in range(4)
    ]
    pixels = [round(inner[i] * (width, height)[i % 2]) for i in range(4)]
    size = max(1, pixels[2] - pixels[0]), max(1, pixels[3] - pixels[1])
    drawn = Image.fromarray(evidence).resize(
        size, Image.Resampling.BICUBIC, box=(source[0], source[1], source[2], source[3])
    )
    values = np.zeros((height, width), np.float32)
    part = np.asarray(drawn)[: height - pixels[1], : width - pixels[0]]
    values[pixels[1] : pixels[1] + part.shape[0], pixels[0] : pixels[0] + part.shape[1]] = part
    return values


def _rgb(colour: str) -> NDArray[np.float32]:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.float32)


def _near(axes: "Axes", near: NearPhoto, shown: EvidencePicture) -> None:
    """A training photo with its label and similarity; framed in the colour of its class."""
    same = {shown.explained: FOR, shown.against: AGAINST}
    label = style.labels([near.label], 22)[0]
    twin = ", nearly the same photo" if near.duplicate else ""
    if near.picture is None:
        photo = np.full((3, 4, 3), 235, np.uint8)
        twin += ", not found"
    else:
        photo = np.asarray(Image.open(io.BytesIO(near.picture)).convert("RGB"))
    _picture(axes, photo, label, f"similarity {near.similarity:.2f}{twin}")
    if colour := same.get(near.label):
        axes.set_axis_on()
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set(visible=True, color=colour, linewidth=2.5)
