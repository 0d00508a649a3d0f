"""How the commands that take photos in show what they took, and what they did not."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

MOST_LISTED = 10  # lines of one kind on the terminal; --json has all of them


def class_table(classes: Mapping[str, int]) -> "RenderableType":
    """Photos per class, and in all."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from imgcli.text import printable

    table = Table("class", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("photos", justify="right")
    for name, photos in classes.items():
        table.add_row(Text(printable(name)), f"{photos:,}")
    table.add_section()
    table.add_row(f"{len(classes)} in all", f"{sum(classes.values()):,}")
    return table


def first(lines: Sequence[str]) -> list[str]:
    """The first lines, set in, and how many more there are."""
    shown = [f"  {line}" for line in lines[:MOST_LISTED]]
    if len(lines) > MOST_LISTED:
        shown.append(f"  and {len(lines) - MOST_LISTED:,} more; --json lists all")
    return shown
