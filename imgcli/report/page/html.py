"""The one jinja environment of both pages: it escapes names and refuses unknown variables."""

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

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


def _name(text: str) -> Markup:
    """A user's name for something, kept to itself whatever direction it is written in."""
    return Markup("<bdi>{}</bdi>").format(printable(text))


def _path(text: str) -> Markup:
    """A photo's path, which may be broken after a folder."""
    return Markup("<bdi>{}</bdi>").format(Markup("/<wbr>").join(printable(text).split("/")))


def _bound(text: str) -> str:
    """A sentence in which no line ends between a number and its sign."""
    return text.replace(" %", "\u00a0%").replace(" ± ", "\u00a0±\u00a0")
