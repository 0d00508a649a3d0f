"""What the results of all commands share: how they read in a shell, in a notebook and as JSON."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from html import escape
from reprlib import Repr
from typing import TYPE_CHECKING, Any, ClassVar

from imgcli.errors import WrongUsage
from imgcli.text import listed, printable

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from imgcli.report.table_formats import Format, TableRecord

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


@dataclass(frozen=True, eq=False, repr=False)
class Tabular(Result, ABC):
    """A result that has tables: as text for a paper or a program, and as pandas frames."""

    @abstractmethod
    def tables(self) -> "Mapping[str, TableRecord]":
        """The result's tables by name, the main one first."""

    def to_frame(self, table: str | None = None) -> "pandas.DataFrame":
        """One of the tables as a pandas DataFrame; its values as they are, shares of 1.

        Args:
            table: a name out of `tables()`; by default the main one.

        Raises:
            WrongUsage: there is no such table.
            Refused: pandas is not installed.
        """
        from imgcli.report.table_formats import as_frame

        tables = self.tables()
        return as_frame(self._table(tables, table or next(iter(tables))))

    def to_text(self, form: "Format", table: str | None = None) -> str:
        """The tables as the command prints them with --format.

        Args:
            form: "csv", "json", "md" or "latex".
            table: a name out of `tables()`; by default those that the command prints, of which CSV
                has the main one.
        """
        from imgcli.report.table_formats import tables_text

        tables = self.tables()
        if table is not None:
            return tables_text({table: self._table(tables, table)}, form)
        return tables_text({name: one for name, one in tables.items() if one.shown}, form)

    def _table(self, tables: "Mapping[str, TableRecord]", name: str) -> "TableRecord":
        if name not in tables:
            raise WrongUsage(f"No table '{name}'; there are {listed(list(tables))}.")
        return tables[name]


def image_html(figure: "Figure") -> str:
    """A figure inside a result's HTML, which a notebook shows."""
    from base64 import b64encode

    from imgcli.report.plots.style import png

    return f"<img alt='' src='data:image/png;base64,{b64encode(png(figure)).decode()}'>"


def _shown(value: object) -> str:
    if not isinstance(value, dict | list | tuple):
        return str(value)
    return _SHORT.repr(value) + (f", {len(value):,} in all" if len(value) > 4 else "")
