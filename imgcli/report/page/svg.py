"""A figure as part of a page: its SVG without style attributes, in the page's own colours.

matplotlib gives every mark a `style` of its own. As classes, which many marks share, they take less
room, the page's policy need not allow them, and colours can be the page's: a figure turns dark
with it.
"""

import re
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib.figure import Figure

from imgcli.report.plots import style

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
REFERENCE = f"{{{XLINK}}}href"
POINT = 4 / 3  # CSS pixels

# The names that a page's style sheet gives to the colours of figures.
COLOURS = {
    style.INK: "var(--ink)",
    style.FAINT: "var(--faint)",
    style.LINE.lower(): "var(--line)",
    style.HELD_OUT.lower(): "var(--held-out)",
    style.TRAIN.lower(): "var(--train)",
    style.TEST: "var(--ink)",
    "#ffffff": "var(--paper)",
}

ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", XLINK)


class Drawings:
    """The figures of one page, and the style rules that they share."""

    def __init__(self) -> None:
        self._classes: dict[str, str] = {}  # by the declarations that they stand for

    def add(self, figure: Figure, name: str, alt: str) -> Markup:
        """The markup of a figure.

        Args:
            name: unlike that of any other figure of the page.
            alt: what is to be seen, for those who cannot see it.
        """
        root = ElementTree.fromstring(style.svg(figure))
        general = root.find(f"{{{SVG}}}defs")  # the first: a style rule for the whole page
        if general is not None:
            root.remove(general)
        referred = set(re.findall(r"#([\w-]+)", " ".join(_references(root))))
        for element in root.iter():
            self._restyle(element, f"{name}-", referred)
        box = root.attrib["viewBox"]
        width, height = (f"{float(side) * POINT:.0f}" for side in box.split()[2:])
        root.attrib = {"viewBox": box, "width": width, "height": height, "role": "img"}
        root.set("aria-label", alt)
        return Markup(ElementTree.tostring(root, encoding="unicode"))

    @property
    def rules(self) -> str:
        """The style sheet of all figures that were added."""
        return "\n".join(f".{name}{{{css}}}" for css, name in self._classes.items())

    def _restyle(self, element: ElementTree.Element, prefix: str, referred: set[str]) -> None:
        """Turn its style into a class, and keep its id apart from those of other figures."""
        declared = element.attrib.pop("style", "")
        if declared:
            css = re.sub("#[0-9a-f]{6}", lambda hit: COLOURS.get(hit[0], hit[0]), declared)
            element.set("class", self._classes.setdefault(css, f"s{len(self._classes)}"))
        own = element.attrib.pop("id", None)
        if own in referred:
            element.set("id", prefix + own)
        for key, value in element.attrib.items():
            if _refers(key, value):
                element.set(key, value.replace("#", f"#{prefix}", 1))


def _references(root: ElementTree.Element) -> list[str]:
    pairs = (pair for element in root.iter() for pair in element.attrib.items())
    return [value for key, value in pairs if _refers(key, value)]


def _refers(key: str, value: str) -> bool:
    return key == REFERENCE or value.startswith("url(#")
