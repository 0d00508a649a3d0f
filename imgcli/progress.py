"""The one place that shows how far long work has come: a bar on stderr.

Beside `errors` and `workspace` because every room has long work; `--quiet` turns it off here.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

_quiet = False


def be_quiet(quiet: bool = True) -> None:
    """Show no bars from now on."""
    global _quiet
    _quiet = quiet


def is_quiet() -> bool:
    return _quiet


def track(items: Iterable[T], label: str, total: int | None = None, unit: str = "") -> Iterator[T]:
    """Yield `items` while a bar on stderr counts them; no bar for work under half a second.

    Args:
        total: how many there are, where `items` has no length.
        unit: what is counted, such as "photos".
    """
    from tqdm import tqdm  # here: `imgcli --help` has no use for it

    yield from tqdm(
        items,
        desc=label,
        total=total,
        unit=f" {unit}" if unit else "it",
        delay=0.5,
        leave=False,
        dynamic_ncols=True,
        disable=_quiet,
    )
