"""Prints results, on stdout; notes and progress are `imgcli.progress`'s, on stderr."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from imgcli.commands.results import Result, Tabular
from imgcli.progress import note
from imgcli.text import is_plain, printable


class _PlainConsole(Console):
    """Escapes control characters of any text, so that none from a user's name takes effect."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            lines = text if control else "\n".join(map(printable, text.split("\n")))
            yield Segment(lines, style, control)


R = TypeVar("R", bound=Result)
T = TypeVar("T", bound=Tabular)


def render(
    result: R,
    *,
    json: bool,
    people: Callable[[R], Iterable[RenderableType]],
    notes: Iterable[str] = (),
) -> None:
    """Print a command's result: as what `people` makes of it, or as one JSON document.

    Args:
        notes: sentences that go to stderr beside a document, which does not have them.
    """
    if not json:
        show(*people(result))
        return
    show_json(result.to_json())
    for sentence in notes:
        note(sentence)


def render_tables(
    result: T,
    *,
    json: bool,
    form: Literal["csv", "json", "md", "latex"] | None,
    table: str | None,
    people: Callable[[T], Iterable[RenderableType]],
) -> None:
    """Print a command's result as `render` does, or its tables, alone, in another form."""
    if form is None:
        render(result, json=json, people=people)
        return
    sys.stdout.write(result.to_text(form, table))
    others = [name for name, one in result.tables().items() if one.shown][1:]
    if form == "csv" and table is None and others:
        note(f"Further tables: --table {' or '.join(others)}.")


def show(*renderables: RenderableType) -> None:
    """Print results for people, on stdout; no text in them is markup.

    A text that is not to be wrapped, such as a command to copy, is one line, however long.
    """
    from imgcli.report.terminal.narrow import fitted

    console = _PlainConsole(
        highlight=False, markup=False, color_system=None if is_plain() else "auto"
    )
    for renderable in renderables:
        whole = isinstance(renderable, Text) and renderable.no_wrap
        console.print(fitted(renderable, console), soft_wrap=bool(whole))


def show_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document on stdout; names that are not UTF-8 survive as escapes."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
