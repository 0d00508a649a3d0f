"""Networks for the terminal: the catalogue, and the layers of one of them."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from imgcli.report.terminal.tables import label, number, table, text
from imgcli.text import count, listed, printable

MAX_HERE = 6  # networks whose weights are at hand, that are named
MAX_NAMES = 40  # of a library that are listed; --json has them all
_ZOO_WIDTH = 39  # characters of a notation, beside the longest name in a terminal of 80

Archs = Sequence[Mapping[str, Any]]


def catalogue(document: Mapping[str, Any]) -> list[RenderableType]:
    """The zoo, and how many networks the libraries have.

    Args:
        document: of the JSON contract of `archs`, of all networks.
    """
    lines = [
        f"{library} has {count(len(archs), 'network')}, "
        f"{sum(arch['weights'] for arch in archs):,} with published weights."
        for library, archs in _libraries(document)
    ]
    here = [
        f"{printable(arch['name'])} ({_at_hand(arch)})"
        for _, archs in _libraries(document)
        for arch in archs
        if arch["installed"] or arch["cached"]
    ]
    if here:
        more = f" and {len(here) - MAX_HERE:,} more" if len(here) > MAX_HERE else ""
        lines += [f"At hand, without network: {', '.join(here[:MAX_HERE])}{more}."]
    lines += [
        "Search by name:          imgcli archs resnet 50",
        "Layers and parameters:   imgcli archs describe mnist-best",
        "A network of your own:   imgcli archs describe 32C5-P2-64C5-P2-128",
    ]
    return [_zoo(document["zoo"]), Text("\n".join(lines))]


def found(document: Mapping[str, Any]) -> list[RenderableType]:
    """The networks with all the words in their names.

    Args:
        document: of the JSON contract of `archs`, of the networks that were found.
    """
    shown: list[RenderableType] = [_zoo(document["zoo"])] if document["zoo"] else []
    for library, archs in _libraries(document):
        if archs:
            shown.append(_names(library, archs))
        if len(archs) > MAX_NAMES:
            rest = f"… and {len(archs) - MAX_NAMES:,} more; add a word, or see all with --json."
            shown.append(Text(rest))
    words = listed([printable(word) for word in document["words"]], most=20)
    return shown or [Text(f"No network has {words} in its name. See the zoo: imgcli archs")]


def description(document: Mapping[str, Any]) -> list[RenderableType]:
    """One network, layer by layer.

    Args:
        document: of the JSON contract of `archs describe`.
    """
    numbers = map(number, ("output", "parameters", "multiply-adds"))
    layers = table(text("layer"), text("kind"), *numbers, gap=2)
    for layer in document["layers"]:
        cells = (_by(layer["output"]), _or_dash(layer["params"]), _or_dash(layer["macs"]))
        layers.add_row(_Wrapped(layer["name"], "."), _Wrapped(layer["kind"], ", "), *cells)
    params, macs = document["params"], document["macs"]
    totals = Table.grid(padding=(0, 2, 0, 0))
    totals.add_column()
    totals.add_column(justify="right", no_wrap=True)
    totals.add_column()
    totals.add_row("trainable", f"{params['trainable']:,}", "")
    totals.add_row(
        "non-trainable",
        f"{params['non_trainable']:,}",
        "running means and variances, fixed filters",
    )
    totals.add_row("parameters", Text(f"{params['total']:,}", style="bold"), "in all")
    counted = "for one photo, in convolutions and matrix products"
    totals.add_row("multiply-adds", Text(f"{macs:,}", style="bold"), counted)
    return [_title(document), layers, totals]


def _title(document: Mapping[str, Any]) -> Text:
    arch, notation = document["arch"], document["notation"]
    classes = count(document["classes"], "class", "classes")
    weights = {
        "installed": "installed",
        "cached": "cached",
        "hub": "fetched when they are first used",
        "": "none",
    }
    title = Text.assemble((printable(arch), "bold"))
    title.append(f" for photos of {_by(document['input'])} and {classes}")
    if notation not in (None, arch):
        title.append(f"\n{_wrapped(f'as built: {notation}', 78, '-')}")
    if notation is None:
        title.append(f"\npretrained weights: {weights[_at_hand(document)]}")
    return title


def _zoo(entries: Archs) -> Table:
    shown = table(label("network"), number("photos"), text("description, and layers"), gap=2)
    for entry in entries:
        about = Text(f"{entry['about']}\n{_wrapped(entry['notation'], _ZOO_WIDTH, '-')}")
        shown.add_row(Text(entry["name"], style="bold"), _by(entry["input"]), about)
    return shown


def _names(library: str, archs: Archs) -> Table:
    shown = table(text(library), number("photos"), label("published weights"), gap=2)
    for arch in archs[:MAX_NAMES]:
        photos = _by(arch["input"]) if arch["input"] else "–"
        shown.add_row(Text(arch["name"]), photos, _at_hand(arch) or "–")
    return shown


def _at_hand(arch: Mapping[str, Any]) -> str:
    """Where an arch's weights are: installed, cached, or to be fetched; empty if there are none."""
    places = {"installed": "installed", "cached": "cached", "weights": "hub"}
    return next((word for key, word in places.items() if arch[key]), "")


def _libraries(document: Mapping[str, Any]) -> list[tuple[str, Archs]]:
    return [(name, document[name]) for name in ("timm", "torchvision")]


@dataclass(frozen=True)
class _Wrapped:
    """A cell in lines that end with `mark`, as far as its column is too narrow for one."""

    text: str
    mark: str

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield Text(_wrapped(self.text, options.max_width, self.mark))

    def __rich_measure__(self, _: Console, __: ConsoleOptions) -> Measurement:
        return Measurement(1, len(self.text))


def _wrapped(text: str, width: int, mark: str) -> str:
    """In lines that end with `mark`, as rich would not wrap it."""
    wrapper = textwrap.TextWrapper(width, break_long_words=False)
    wrapper.wordsep_re = re.compile(f"(?<={re.escape(mark)})")
    return wrapper.fill(text)


def _by(lengths: Sequence[int]) -> str:
    return "×".join(map(str, lengths))


def _or_dash(number: int) -> str:
    return f"{number:,}" if number else "–"
