"""How a command's result reads in a Python shell and in a notebook."""

from collections.abc import Mapping
from html import escape

from imgcli.text import printable

Rows = Mapping[str, str]  # the name of a figure, and the figure as text


def as_text(title: str, rows: Rows) -> str:
    """A result as aligned lines, for `__repr__`."""
    width = max(map(len, rows))
    lines = (f"  {name:{width}}  {printable(value)}" for name, value in rows.items())
    return "\n".join((title, *lines))


def as_html(rows: Rows) -> str:
    """A result as a table of two columns, for `_repr_html_`."""
    cells = (
        f"<tr><th style='text-align:left'>{escape(name)}</th>"
        f"<td style='text-align:left'>{escape(printable(value))}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table>{''.join(cells)}</table>"
