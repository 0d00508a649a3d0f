"""What reaches the terminal as a result, on stdout; notes and progress are `imgcli.progress`'s."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console, RenderableType


def show(*renderables: RenderableType) -> None:
    """Print results for people, on stdout."""
    console = Console(highlight=False)
    for renderable in renderables:
        console.print(renderable)


def show_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document on stdout; names that are not UTF-8 survive as escapes."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
