"""The look of every table in the terminal."""

from rich import box
from rich.table import Column, Table


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
