"""Tables in a terminal that is too narrow for them: a record per row in place of a cut table.

class: water_lilly
  n: 19
  recall in %: 84.2
"""

from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

READABLE = 14  # characters of a name, of which a column that folds keeps so many in a line
_WIDE = 10_000


def fitted(shown: RenderableType, console: Console) -> RenderableType:
    """What is shown, with records in place of tables that would be cut or squeezed."""
    if isinstance(shown, Group):
        return Group(*(fitted(one, console) for one in shown.renderables))
    if isinstance(shown, Table) and _needed(shown, console) > console.width:
        return Group(*_records(shown, console))
    return shown


def _needed(table: Table, console: Console) -> int:
    """Columns of the terminal that a table needs to be read."""
    padding = sum(table.padding[i] for i in (1, 3)) * len(table.columns)
    edges = (len(table.columns) + 1) if table.box else 0
    return sum(_width(column, console, table) for column in table.columns) + padding + edges


def _width(column: Column, console: Console, table: Table) -> int:
    options = console.options.update(max_width=_WIDE, width=_WIDE)

    def least(cell: RenderableType) -> int:
        found = Measurement.get(console, options, cell)
        if column.no_wrap:
            return found.maximum
        # What renders itself knows where it may break.
        folds = isinstance(cell, str | Text)
        return min(found.maximum, READABLE) if folds else found.minimum

    heads = [column.header] if table.show_header else []
    return max(map(least, (*heads, *column.cells)), default=0)


def _records(table: Table, console: Console) -> Iterator[RenderableType]:
    """A few lines per row: its first cell, then each other one that is not empty by its title."""
    titles = [
        _joined(_text(column.header, console)) if table.show_header else ""
        for column in table.columns
    ]
    if table.title:
        yield Text(_joined(_text(table.title, console)), style="bold")
    for cells in zip(*(list(column.cells) for column in table.columns), strict=True):
        texts = [_text(cell, console) for cell in cells]
        first, *lines = texts[0].split("\n")
        yield _line(titles[0], first.strip(), style="bold")
        yield from (Text(f"  {line}", overflow="fold") for line in lines)
        for title, text in zip(titles[1:], texts[1:], strict=True):
            if text.strip():
                yield Padding(_line(title, _joined(text, "; ")), (0, 0, 0, 2))


def _line(title: str, text: str, style: str = "") -> Text:
    return Text(f"{title}: {text}" if title and text else text or title, style, overflow="fold")


def _text(cell: RenderableType, console: Console) -> str:
    """A cell's text; of what renders itself, the lines that it takes where there is room."""
    if isinstance(cell, str | Text):
        return cell.plain if isinstance(cell, Text) else cell
    options = console.options.update(width=_WIDE, max_width=_WIDE)
    lines = console.render_lines(cell, options, pad=False)
    return "\n".join("".join(segment.text for segment in line).rstrip() for line in lines)


def _joined(text: str, between: str = " ") -> str:
    return between.join(line.strip() for line in text.split("\n") if line.strip())
