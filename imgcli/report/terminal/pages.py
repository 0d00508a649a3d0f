"""A guide for the terminal: Markdown whose tables are read in a narrow one too."""

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Markdown, TableElement
from rich.table import Table

from imgcli.report.terminal.narrow import fitted


class _FittedTable(TableElement):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for shown in super().__rich_console__(console, options):
            if isinstance(shown, Table):
                for column in shown.columns:
                    column.overflow = "fold"  # no word is cut
                yield fitted(shown, console)
            else:
                yield shown


class _Page(Markdown):
    elements = {**Markdown.elements, "table_open": _FittedTable}  # noqa: RUF012  as its base's


def page(text: str) -> Markdown:
    """Markdown as it is shown."""
    return _Page(text)
