"""The class map: classes that get similar probabilities are close together."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from imgcli.records import FloatArray, IntArray, Predictions
from imgcli.report.plots import style
from imgcli.report.plots.style import canvas, styled, titled
from imgcli.report.projection import places_by_distance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MIN_CLASSES = 3  # with photos; two have one distance and no map
MAX_CLASSES = 120

Box = tuple[float, float, float, float]  # left, bottom, right, top


def distances(predictions: Predictions) -> FloatArray:
    """The Hellinger distance between the mean probabilities of any two classes' photos, (K, K).

    0: the same probabilities; 1: no class in common.
    """
    k = len(predictions.classes)
    sums = np.zeros((k, k))
    np.add.at(sums, predictions.targets, predictions.probs)
    roots = np.sqrt(sums / np.maximum(sums.sum(axis=1, keepdims=True), 1e-12))
    far: FloatArray = np.sqrt(1 - np.clip(roots @ roots.T, 0, 1))
    np.fill_diagonal(far, 0)
    return far


def has_map(confusion: IntArray) -> bool:
    """Whether there are classes enough for a map."""
    return int((confusion.sum(axis=1) > 0).sum()) >= MIN_CLASSES


@styled
def class_map(predictions: Predictions, confusion: IntArray) -> "Figure | None":
    """Each class a dot, joined by lines to those it is confused with; None for too few classes."""
    n = confusion.sum(axis=1)
    shown = np.sort(np.argsort(-n, kind="stable")[: min(MAX_CLASSES, int((n > 0).sum()))])
    if not has_map(confusion):
        return None
    far = distances(predictions)[np.ix_(shown, shown)]
    points = places_by_distance(far)
    width, height = 6.5 + 0.04 * len(shown), 3.2 + 0.06 * len(shown)  # inches
    figure, axes = canvas(width, height)
    axes.set(xlim=(0, width), ylim=(0, height), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    points = 0.3 + points * (width - 0.6, height - 0.6)
    confused = (confusion + confusion.T)[np.ix_(shown, shown)]
    lines = _draw_lines(axes, points, confused / np.minimum.outer(n[shown], n[shown]))
    axes.plot(*points.T, "o", color=style.HELD_OUT, markersize=6, mec="white", mew=0.8)
    _write_names(axes, points, lines, [predictions.classes[i] for i in shown])
    titled(
        figure,
        "Class map",
        "Classes close together get similar probabilities (t-SNE). Large distances have no meaning",
        "Lines: the pairs confused most; width: confused photos per photo of the smaller class",
    )
    return figure


def _draw_lines(axes: "Axes", points: FloatArray, shares: FloatArray) -> FloatArray:
    """A line for each of the pairs that are confused most, as many as there are classes.

    Returns:
        Their ends, (L, 2, 2), and nothing of their widths.
    """
    from matplotlib.collections import LineCollection

    order = np.argsort(-np.triu(shares, 1), axis=None, kind="stable")[: len(points)]
    pairs = [divmod(int(cell), len(points)) for cell in order if shares.flat[cell] > 0]
    pairs = [(a, b) for a, b in pairs if a < b]
    widths = [0.5 + 9 * float(np.sqrt(min(shares[pair], 1.0))) for pair in pairs]
    lines = LineCollection([points[list(pair)] for pair in pairs], linewidths=widths, zorder=1)
    lines.set(color=style.TRAIN, alpha=0.45, capstyle="round")
    axes.add_collection(lines)
    return points[np.array(pairs, dtype=np.int64).reshape(-1, 2)]


# --- names --------------------------------------------------------------------------------------

DOT = 0.07  # inches, half of a dot with the room around it
NEAR = 0.45  # inches from a dot; no name goes farther to be off a line


def _write_names(axes: "Axes", points: FloatArray, lines: FloatArray, names: Sequence[str]) -> None:
    """Write each name at the nearest place that is free, joined to its dot where that is far.

    A line between dots is not free either, unless the free places are all farther than NEAR.
    """
    shown = style.labels(names, most=32)
    taken: list[Box] = [(x - DOT, y - DOT, x + DOT, y + DOT) for x, y in points]
    height = 1.3 * style.SMALL / 72
    for (x, y), text in zip(points, shown, strict=True):
        width = style.text_width(text, style.SMALL) + 0.04
        box = _place(x, y, width, height, taken, lines)
        taken.append(box)
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        axes.text(*middle, text, fontsize=style.SMALL, ha="center", va="center")
        nearest = (np.clip(x, box[0], box[2]), np.clip(y, box[1], box[3]))
        if np.hypot(nearest[0] - x, nearest[1] - y) > 2 * DOT:
            axes.plot((x, nearest[0]), (y, nearest[1]), color=style.FAINT, lw=0.6, zorder=1)


def _place(
    x: float, y: float, width: float, height: float, taken: Sequence[Box], lines: FloatArray
) -> Box:
    crossed: Box | None = None  # the nearest free place but for lines
    for box in _around(x, y, width, height):
        if crossed is not None and abs(box[1] + height / 2 - y) > NEAR + height:
            return crossed
        if _hits(box, taken):
            continue
        if not _crosses(box, lines):
            return box
        crossed = crossed or box
    raise AssertionError("there are places without end")


def _crosses(box: Box, lines: FloatArray) -> bool:
    """Whether any line (L, 2, 2) passes through a box.

    By slabs: a line is inside the box where its ranges inside both sides overlap.
    """
    start, along = lines[:, 0], lines[:, 1] - lines[:, 0]
    along = np.where(along == 0, 1e-12, along)
    one, other = (box[:2] - start) / along, (box[2:] - start) / along
    enters = np.minimum(one, other).max(axis=1, initial=0)
    leaves = np.maximum(one, other).min(axis=1, initial=1)
    return bool((enters < leaves).any())


def _around(x: float, y: float, width: float, height: float) -> Iterator[Box]:
    """Places for a name around a dot, without end: right, left, above, below, then farther off."""
    distance = DOT
    while True:
        for right, up in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)):
            left = x + right * (distance + width / 2) - width / 2
            bottom = y + up * (distance + height / 2) - height / 2
            yield left, bottom, left + width, bottom + height
        distance += height / 2


def _hits(box: Box, others: Sequence[Box]) -> bool:
    return any(
        box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
        for other in others
    )
