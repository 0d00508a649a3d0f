"""What the results of all commands share."""

from collections.abc import Iterable
from dataclasses import fields
from reprlib import Repr
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from imgcli.records import Rejected

_SHORT = Repr()
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = 4  # items shown
_SHORT.maxstring = _SHORT.maxother = 80  # characters shown


def short_repr(result: "DataclassInstance", **instead: object) -> str:
    """A result for a notebook: a line per field, long lists cut short.

    Args:
        instead: shorter values of some fields.
    """
    values = {field.name: getattr(result, field.name) for field in fields(result)} | instead
    lines = (f"  {name}={_shown(value)}," for name, value in values.items())
    return "\n".join([f"{type(result).__name__}(", *lines, ")"])


def _shown(value: object) -> str:
    items = len(value) if isinstance(value, dict | list | tuple) else 0
    return _SHORT.repr(value) + (f"  # {items:,} in all" if items > 4 else "")


def rejected_json(rejected: "Iterable[Rejected]") -> list[dict[str, Any]]:
    """Rejected files as in the JSON contract."""
    return [{"path": item.path, "reason": item.reason} for item in rejected]
