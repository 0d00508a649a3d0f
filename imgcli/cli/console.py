"""Prints results, on stdout; notes and progress are `imgcli.progress`'s, on stderr."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from imgcli.text import printable


class _PlainConsole(Console):
    """Escapes control characters of any text, so that none from a user's name takes effect."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            lines = text if control else "\n".join(map(printable, text.split("\n")))
            yield Segment(lines, style, control)


class Document(Protocol):
    """A command's result."""

    def to_json(self) -> Mapping[str, Any]: ...


Result = TypeVar("Result", bound=Document)


def render(
    result: Result, *, json: bool, people: Callable[[Result], Iterable[RenderableType]]
) -> None:
    """Print a command's result: as one JSON document, or as what `people` makes of it."""
    if json:
        show_json(result.to_json())
    else:
        show(*people(result))


def show(*renderables: RenderableType) -> None:
    """Print results for people, on stdout; no text in them is markup."""
    console = _PlainConsole(highlight=False, markup=False)
    for renderable in renderables:
        console.print(renderable)


def show_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document on stdout; names that are not UTF-8 survive as escapes."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
