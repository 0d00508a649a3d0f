"""A figure as part of a page: its SVG without style attributes, in the page's own colours.

matplotlib gives every mark a `style` of its own. As classes, which many marks share, they take less
room, the page's policy need not allow them, and colours can be the page's: a figure turns dark
with it.
"""

import re
from xml.etree import ElementTree

from markupsafe import Markup

from imgcli.report.plots import style
from imgcli.report.plots.style import Heading

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

    def add(self, svg: str, heading: Heading, name: str) -> Markup:
        """The markup of a figure without its heading, which is what it says to a screen reader.

        Args:
            svg: the document, as `style.save` writes it.
            name: unlike that of any other figure of the page.
        """
        root = ElementTree.fromstring(svg)
        general = root.find(f"{{{SVG}}}defs")  # the first: a style rule for the whole page
        if general is not None:
            root.remove(general)
        for parent in root.iter():
            for headline in [one for one in parent if one.get("id") in (style.TITLE, style.LINES)]:
                parent.remove(headline)
        referred = set(re.findall(r"#([\w-]+)", " ".join(_references(root))))
        for element in root.iter():
            self._restyle(element, f"{name}-", referred)
        box = " ".join(f"{side:g}" for side in heading.box)
        width, height = (f"{side * POINT:.0f}" for side in heading.box[2:])
        root.attrib = {"viewBox": box, "width": width, "height": height, "role": "img"}
        root.set("aria-label", ". ".join((heading.title, *heading.lines)))
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
