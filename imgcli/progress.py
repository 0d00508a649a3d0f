"""The one place that says on stderr how far work has come, and what happened on the way.

Beside `errors` and `runs` because every room has long work; `--quiet` turns it off here.
"""

import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from imgcli.text import is_plain, printable

if TYPE_CHECKING:
    from tqdm import tqdm

T = TypeVar("T")

NARROW = 60  # columns of a terminal that has no room for a bar with its times

_quiet = False
_said: set[str] = set()  # by `note_once`, since the command began


def be_quiet(quiet: bool = True) -> None:
    """Show no bars and no notes from now on, or show them; what was said once may be said again."""
    global _quiet
    _quiet = quiet
    _said.clear()


def is_quiet() -> bool:
    """Whether no bars and no notes are shown."""
    return _quiet


@contextmanager
def quietly(quiet: bool) -> Iterator[None]:
    """Be quiet, or not, for the time of one command."""
    before = _quiet
    be_quiet(quiet)
    try:
        yield
    finally:
        be_quiet(before)


def note(message: str) -> None:
    """Say something that is not the result, in one line; control characters in it are escaped."""
    if _quiet:
        return
    from rich.console import Console
    from tqdm import tqdm

    with tqdm.external_write_mode(sys.stderr):  # above a bar that is being drawn
        Console(stderr=True, highlight=False, color_system=None).print(
            printable(message), markup=False, soft_wrap=True
        )


def note_once(message: str) -> None:
    """Say something that is not the result, however often it comes up in a command."""
    if message not in _said:
        _said.add(message)
        note(message)


def track(items: Iterable[T], label: str, total: int | None = None, unit: str = "") -> Iterator[T]:
    """Yield `items` while a bar on stderr counts them; no bar for work under half a second.

    Args:
        total: how many there are, where `items` has no length.
        unit: what is counted, such as "photos".
    """
    yield from _bar(items, label, total, unit)


def counter(label: str, total: int, unit: str) -> "tqdm[Any]":
    """A bar to `update` by hand, for work that is done in batches; use it in a `with`."""
    return _bar(None, label, total, unit)


def _bar(items: Iterable[Any] | None, label: str, total: int | None, unit: str) -> "tqdm[Any]":
    from tqdm import tqdm  # here: `imgcli --help` has no use for it

    narrow = shutil.get_terminal_size().columns < NARROW
    return tqdm(
        items,
        desc=label,
        total=total,
        unit=f" {unit}" if unit else "it",
        delay=0.5,
        mininterval=0.1 if sys.stderr.isatty() else 10.0,  # seconds; a log wants few lines
        leave=False,
        dynamic_ncols=True,
        bar_format="{desc}: {n_fmt}/{total_fmt}" if narrow else None,
        disable=_quiet or (is_plain() and _drawing(tqdm)),
    )


def _drawing(kind: "type[tqdm[Any]]") -> bool:
    """Whether a bar is being drawn; another one below it takes moves of the cursor."""
    return any(not bar.disable for bar in getattr(kind, "_instances", ()))
