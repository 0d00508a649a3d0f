"""The house style: what every figure is drawn with, and how names are written in it.

matplotlib is imported where it draws, so that a table in the terminal does not pay for it.
"""

import io
import textwrap
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from imgcli.files import atomic_file
from imgcli.text import escaped, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.transforms import BboxBase

P = ParamSpec("P")
R = TypeVar("R")

# Of Okabe and Ito's palette: told apart with any colour vision, and by lightness in grey print.
HELD_OUT = "#0072B2"  # blue, darker
TRAIN = "#E69F00"  # orange, lighter
TEST = "#000000"
INK = "#222222"
FAINT = "#666666"
LINE = "#D9D9D9"

Rgba = tuple[float, float, float, float]


@dataclass(frozen=True)
class Scale:
    """Colours from one to the next, at even distances; a page needs no matplotlib to use them."""

    colours: tuple[str, ...]  # "#RRGGBB"

    def __call__(self, share: float) -> Rgba:
        """The colour at a share of the way, each part in [0, 1]."""
        stops = np.array([[*bytes.fromhex(colour[1:])] for colour in self.colours]) / 255
        at = np.linspace(0, 1, len(stops))
        red, green, blue = (float(np.interp(share, at, part)) for part in stops.T)
        return red, green, blue, 1.0

    def colormap(self) -> "Colormap":
        """The same for matplotlib."""
        from matplotlib.colors import LinearSegmentedColormap

        return LinearSegmentedColormap.from_list("scale", list(self.colours))


DPI = 150
SMALL, NORMAL, LARGE = 8.0, 9.0, 12.0  # points
MAX_CLASSES = 200  # in one figure; of more, the worst are drawn
TALL = 40  # classes; a taller figure has its column labels on top too

HOUSE = {
    "font.size": NORMAL,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called "$x_1$"
    "text.usetex": False,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.labelsize": NORMAL,
    "axes.titlesize": NORMAL,
    "axes.titlelocation": "left",
    "axes.titlepad": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.frameon": False,
    "legend.fontsize": SMALL,
    "svg.fonttype": "none",  # text stays text: to be searched, read aloud and edited
    "svg.hashsalt": "imgcli",
}

# Tried in turn for what DejaVu Sans, which comes with matplotlib, cannot write.
FALLBACK_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "WenQuanYi Micro Hei",
    "PingFang SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Noto Sans",
    "Arial Unicode MS",
)


# --- names --------------------------------------------------------------------------------------


def labels(names: Sequence[str], most: int = 48) -> list[str]:
    """Names as a figure writes them: drawable, no two alike, at most `most` characters.

    A longer name keeps its head and its tail around "…"; where two names would then read the same,
    their positions stand between.
    """
    whole = [drawable(name) for name in names]
    shown = [text if len(text) <= most else _shortened(text, most, "…") for text in whole]
    times = Counter(shown)
    return [
        text if times[text] == 1 else _shortened(whole[position], most, f"…{position + 1}…")
        for position, text in enumerate(shown)
    ]


def _shortened(text: str, most: int, gap: str) -> str:
    head = (most - len(gap)) * 2 // 3
    tail = most - len(gap) - head
    return text[:head] + gap + text[head:][-tail:]


# --- drawing ------------------------------------------------------------------------------------


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Draw in the house style, whatever the user's matplotlibrc says, and leave no trace of it."""

    @wraps(draw)
    def in_style(*args: P.args, **kwargs: P.kwargs) -> R:
        from matplotlib import style

        with style.context(["default", {**HOUSE, "font.family": list(_families())}]):
            return draw(*args, **kwargs)

    return in_style


@styled
def save(figure: "Figure", path: Path) -> None:
    """Write `figure` as `path`, a PNG, and as SVG beside it, grown to hold every label."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bounds = _bounds(figure)  # once for both, for it takes long
    for file, metadata in ((path, None), (path.with_suffix(".svg"), UNDATED)):
        with atomic_file(file) as temporary:
            kind = file.suffix.removeprefix(".")
            figure.savefig(temporary, format=kind, dpi=DPI, metadata=metadata, bbox_inches=bounds)


@styled
def save_png(figure: "Figure", path: Path, software: str) -> None:
    """Write `figure` as a PNG alone, grown to hold every label, with who made it in its head."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        metadata = {"Software": software}
        figure.savefig(
            temporary, format="png", dpi=DPI, pad_inches=0.15, metadata=metadata, **TIGHT
        )


@styled
def png(figure: "Figure") -> bytes:
    """`figure` as a PNG for a notebook, of 100 pixels per inch, grown to hold every label."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=100, pad_inches=0.2, **TIGHT)
    return data.getvalue()


@styled
def svg(figure: "Figure") -> str:
    """`figure` as the text of an SVG document, the same that `save` writes."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata=UNDATED, bbox_inches=_bounds(figure))
    return text.getvalue()


def _bounds(figure: "Figure") -> "BboxBase":
    """The part of the canvas, in inches, that holds every label and some room around them."""
    figure.set_dpi(DPI)
    return figure.get_tightbbox().padded(0.2)


TIGHT: dict[str, Any] = {"bbox_inches": "tight"}
UNDATED = dict.fromkeys(("Date", "Creator", "Format", "Type"))  # the same figure is the same file


def canvas(width: float, height: float) -> tuple["Figure", "Axes"]:
    """A figure of so many inches, and axes that fill it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    return figure, figure.add_axes((0.0, 0.0, 1.0, 1.0))


def legend_below(axes: "Axes", columns: int = 4) -> None:
    """A legend under the axes and their label, where no line of a grid or curve crosses it."""
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.14), borderaxespad=0.0, ncols=columns)


def titled(figure: "Figure", title: str, *lines: str) -> None:
    """A bold title and plain lines under it, above whatever labels the first axes have on top.

    They are the figure's label too, for `heading`.
    """
    figure.set_label("\n".join((title, *lines)))
    columns = max(92, int(figure.get_figwidth() * 72 / (NORMAL * 0.51)))
    # No line ends between a number and what belongs to it.
    bound = (line.replace(" %", "\u00a0%").replace(" ± ", "\u00a0±\u00a0") for line in lines)
    text = "\n".join(textwrap.fill(line, columns) for line in bound)
    below = figure.axes[0].set_title(text, color=FAINT, linespacing=1.4, gid=LINES)
    figure.axes[0].annotate(
        title,
        xy=(0, 1),
        xycoords=below,
        xytext=(0, 5),
        textcoords="offset points",
        fontsize=LARGE,
        fontweight="bold",
        annotation_clip=False,
        gid=TITLE,
    )


def left_out(shown: int, classes: int, which: str) -> list[str]:
    """The line that says so where not every class is drawn."""
    return [] if shown == classes else [f"Shown: the {shown} of {classes:,} classes with {which}"]


TITLE, LINES = "title", "lines"  # ids of a figure's title and the lines under it, in its SVG too


@dataclass(frozen=True)
class Heading:
    """A figure's title and lines, for a page that writes them itself, and what is left below."""

    title: str
    lines: tuple[str, ...]
    box: tuple[float, float, float, float]  # of the rest in the SVG: left, top, width, height


@styled
def heading(figure: "Figure") -> Heading:
    """The heading of a figure that `titled` has given one."""
    whole = _bounds(figure)
    texts = figure.findobj(lambda artist: artist.get_gid() in (TITLE, LINES))
    for text in texts:
        text.set_visible(False)
    rest = figure.get_tightbbox().padded(0.02)
    for text in texts:
        text.set_visible(True)
    corner = (rest.x0 - whole.x0, whole.y1 - rest.y1)
    left, top, width, height = (round(72 * inches, 2) for inches in (*corner, *rest.size))
    title, *lines = str(figure.get_label()).split("\n")
    return Heading(title, tuple(lines), (left, top, width, height))


def in_percent(axis: "Axis") -> None:
    """Write the shares along `axis` as percentages."""
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(xmax=1, symbol=" %"))


def draw_box(
    axes: "Axes",
    at: float,
    values: Sequence[float],
    colour: str,
    *,
    horizontal: bool = False,
    room: float = 1.0,
) -> None:
    """A box and, after it, every value's point, spread so that all can be seen.

    Args:
        at: where on the axis of the boxes; together they take up 0.64 of `room` around it.
    """
    line = {"color": colour, "linewidth": 1.2}
    axes.boxplot(
        list(values),
        positions=[at - 0.12 * room],
        widths=0.36 * room,
        whis=(0, 100),
        showmeans=True,
        showfliers=False,  # the whiskers reach them all
        patch_artist=True,
        boxprops={"facecolor": f"{colour}40", "edgecolor": colour, "linewidth": 1.2},
        whiskerprops=line,
        capprops=line,
        medianprops={"color": INK, "linewidth": 1.6},
        meanprops={"marker": "D", "mfc": "white", "mec": INK, "markersize": 5},
        manage_ticks=False,
        orientation="horizontal" if horizontal else "vertical",
    )
    rank = np.argsort(values).argsort()
    spread = rank * 0.618034 % 1  # multiples of the golden ratio keep neighbours apart
    places = at + (0.14 + 0.2 * spread) * room
    dots = (values, places) if horizontal else (places, values)
    axes.plot(*dots, "o", color=colour, markersize=4, mec="white", mew=0.4)


def write_at_ends(axes: "Axes", rows: ArrayLike, texts: Sequence[str], size: float) -> None:
    """Write a text at the right end of each row, beyond the axes."""
    ends = axes.secondary_yaxis("right")
    ends.set_yticks(rows, labels=texts, fontsize=size)
    ends.tick_params(length=0, labelcolor=FAINT)


@styled
def text_width(text: str, size: float) -> float:
    """How wide the widest line of `text` will be drawn, in inches."""
    figure, axes = canvas(1, 1)
    return float(axes.text(0, 0, text, fontsize=size).get_window_extent().width) / figure.dpi


def drawable(text: str) -> str:
    """Printable text with what no font at hand can write escaped too, instead of empty boxes."""
    return "".join(c if _has_glyph(c) else escaped(c) for c in printable(text))


@cache
def _has_glyph(char: str) -> bool:
    return any(font.get_char_index(ord(char)) for font in _fonts())


@cache
def _fonts() -> list[Any]:
    from matplotlib import font_manager

    families = (font_manager.FontProperties(family=[family]) for family in _families())
    return [font_manager.get_font(font_manager.findfont(family)) for family in families]


@cache
def _families() -> tuple[str, ...]:
    """The fonts of figures, those that are installed."""
    from matplotlib import font_manager

    installed = set(font_manager.fontManager.get_font_names())
    fallback = (family for family in FALLBACK_FONTS if family in installed)
    # The last for an SVG's viewer, which may have no DejaVu.
    return ("DejaVu Sans", *fallback, "sans-serif")
