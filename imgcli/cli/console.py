"""What reaches the terminal: results on stdout, notes on stderr."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console, RenderableType

from imgcli.progress import is_quiet


def show(*renderables: RenderableType) -> None:
    """Print results for people, on stdout."""
    console = Console(highlight=False)
    for renderable in renderables:
        console.print(renderable)


def show_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document on stdout; names that are not UTF-8 survive as escapes."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def note(message: str) -> None:
    """Say something on stderr that is not the result; silent with --quiet."""
    if not is_quiet():
        Console(stderr=True, highlight=False).print(message, markup=False)
