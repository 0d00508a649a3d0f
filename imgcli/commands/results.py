"""What the results of all commands share: how they read in a shell, in a notebook and as JSON."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from html import escape
from reprlib import Repr
from typing import Any, ClassVar

from imgcli.text import printable

_SHORT = Repr()
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = 4  # items shown
_SHORT.maxstring = _SHORT.maxother = 80  # characters shown


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """A command's result: frozen fields, a short text and table of them, and a JSON document."""

    _keys: ClassVar[tuple[str, ...]] = ()  # attributes in the document, where not all fields are

    def to_json(self) -> dict[str, Any]:
        """The document that the command prints with --json."""
        from imgcli.files import as_json

        keys = self._keys or [field.name for field in fields(self)]
        return {key: as_json(getattr(self, key)) for key in keys}

    def _rows(self) -> Iterable[tuple[str, str]]:
        """Names and values to show: all fields, long lists cut short."""
        return ((field.name, _shown(getattr(self, field.name))) for field in fields(self))

    def __repr__(self) -> str:
        rows = dict(self._rows())
        width = max(map(len, rows))
        lines = (f"  {name:{width}}  {printable(value)}" for name, value in rows.items())
        return "\n".join((type(self).__name__, *lines))

    def _repr_html_(self) -> str:
        cells = (
            f"<tr><th style='text-align:left'>{escape(name)}</th>"
            f"<td style='text-align:left'>{escape(printable(value))}</td></tr>"
            for name, value in dict(self._rows()).items()
        )
        return f"<table>{''.join(cells)}</table>"


def _shown(value: object) -> str:
    if not isinstance(value, dict | list | tuple):
        return str(value)
    return _SHORT.repr(value) + (f", {len(value):,} in all" if len(value) > 4 else "")
