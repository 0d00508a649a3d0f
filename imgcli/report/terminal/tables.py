"""The look of every table and list in the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from imgcli.text import printable

COMMANDS = ("Next: ", "Undo: ", "Again: ")  # what lines with a command begin with
MAX_LISTED = 10  # lines of one kind on the terminal; --json has all of them


def table(*columns: Column, gap: int = 1) -> Table:
    """A table without rows yet; `gap` is the number of blanks between columns."""
    padding = (0, gap, 0, 0)
    return Table(
        *columns, box=box.SIMPLE_HEAD, padding=padding, pad_edge=False, header_style="bold"
    )


def text(title: str) -> Column:
    """A column of text, which folds where it is too narrow."""
    return Column(title, overflow="fold")


def label(title: str) -> Column:
    """A column of short text, which never folds."""
    return Column(title, no_wrap=True)


def number(title: str) -> Column:
    """A column of numbers, aligned on the right."""
    return Column(title, justify="right", no_wrap=True)


def reasons(rejected: Sequence[Mapping[str, Any]]) -> list[str]:
    """The first files of a list with their reasons."""
    return first([f"{item['path']}: {item['reason']}" for item in rejected])


def first(lines: Sequence[str], most: int = MAX_LISTED) -> list[str]:
    """The first lines, indented, and the number of further ones."""
    shown = [f"  {line}" for line in lines[:most]]
    if len(lines) > most:
        shown.append(f"  and {len(lines) - most:,} more; --json lists all")
    return shown


def texts(lines: Sequence[str]) -> list[RenderableType]:
    """Lines as they go to a terminal; a command to be copied stays in one line, however long."""
    return [Text(printable(line), no_wrap=line.startswith(COMMANDS)) for line in lines]
