"""What a figure shows, once it has been drawn."""

from collections.abc import Iterable
from itertools import pairwise

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from imgcli.report.plots import style
from tests.support.evaluations import ODD_NAMES


def style_context():  # type: ignore[no-untyped-def]
    from matplotlib import style as sheets

    return sheets.context(["default", style.HOUSE])


def drawn(figure: Figure) -> Figure:
    """The figure after it has been laid out on a canvas, as `save` would."""
    with style_context():
        FigureCanvasAgg(figure).draw()
    return figure


def title(figure: Figure) -> str:
    """The words above the figure, with its line ends and bound spaces as plain spaces."""
    axes = figure.axes[0]
    bold = [text.get_text() for text in axes.texts if text.get_fontweight() == "bold"]
    return " ".join([*bold, axes.get_title(loc="left")]).replace("\n", " ").replace("\u00a0", " ")


def ticks(axes: Axes, side: str = "y") -> list[str]:
    return [label.get_text() for label in getattr(axes, f"get_{side}ticklabels")()]


def boxes(labels: Iterable[Text]) -> list[Bbox]:
    with style_context():
        shown = [label for label in labels if label.get_text() and label.get_visible()]
        return [label.get_window_extent() for label in shown]


def overlaps(labels: Iterable[Text]) -> int:
    """How many neighbouring labels touch."""
    return sum(bool(a.overlaps(b)) for a, b in pairwise(boxes(labels)))


def all_labels(axes: Axes) -> list[list[Text]]:
    """Every axis's tick labels, the ones above and at the ends of rows too."""
    ticks = axes.xaxis.get_major_ticks()
    ends = [child.get_yticklabels() for child in axes.child_axes]
    return [axes.get_xticklabels(), axes.get_yticklabels(), [t.label2 for t in ticks], *ends]


def long_names(k: int) -> list[str]:
    """Sorted, half of them longer than 40 characters, some odd."""
    plain = [f"class_{i:03d}_" + "long_" * (i % 2 * 10) for i in range(k)]
    return [ODD_NAMES[i // 10 % 10] + str(i) if i % 10 == 7 else plain[i] for i in range(k)]


def curves(axes: Axes) -> dict[str, list[list[float]]]:
    named = [line for line in axes.lines if not str(line.get_label()).startswith("_")]
    return {str(line.get_label()): line.get_xydata().tolist() for line in named}


def dots(figure: Figure) -> list[list[float]]:
    """The points of each box, from left to right."""
    lines = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    lines.sort(key=lambda line: float(np.min(line.get_xdata())))
    return [sorted(line.get_ydata().tolist()) for line in lines]


def lightness(colour: str) -> float:
    red, green, blue = matplotlib.colors.to_rgb(colour)
    return 0.299 * red + 0.587 * green + 0.114 * blue
