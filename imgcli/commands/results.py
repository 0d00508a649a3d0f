"""What the results of all commands share."""

from collections.abc import Iterable
from dataclasses import fields
from reprlib import Repr
from typing import TYPE_CHECKING, Any

from imgcli.commands.notebook import as_html, as_text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from imgcli.records import Rejected

_SHORT = Repr()
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = 4  # items shown
_SHORT.maxstring = _SHORT.maxother = 80  # characters shown


def short_repr(result: "DataclassInstance") -> str:
    """A result's fields, long lists cut short, for `__repr__`."""
    return as_text(type(result).__name__, _rows(result))


def short_html(result: "DataclassInstance") -> str:
    """The same as a table, for `_repr_html_`."""
    return as_html(_rows(result))


def _rows(result: "DataclassInstance") -> dict[str, str]:
    return {field.name: _shown(getattr(result, field.name)) for field in fields(result)}


def _shown(value: object) -> str:
    if not isinstance(value, dict | list | tuple):
        return str(value)
    return _SHORT.repr(value) + (f", {len(value):,} in all" if len(value) > 4 else "")


def rejected_json(rejected: "Iterable[Rejected]") -> list[dict[str, Any]]:
    """Rejected files as in the JSON contract."""
    return [{"path": item.path, "reason": item.reason} for item in rejected]
