"""Notations that leave numbers open: `{16..64}C{3,5}-P2-D{0.1..0.5}`, for `imgcli tune`.

A range `{low..high}` includes both ends and is of whole numbers if both are written as such; a list
`{3,5,7}` names the numbers to choose from.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from imgcli.models.notation import bad_token, decimal

_NUMBER = r"(?:\d*\.)?\d+"
_BRACES = re.compile(r"\{[^}]*\}?|\}")
_RANGE = re.compile(rf"\{{\s*({_NUMBER})\s*\.\.\s*({_NUMBER})\s*\}}")
_LIST = re.compile(rf"\{{\s*{_NUMBER}(?:\s*,\s*{_NUMBER})*\s*\}}")


@dataclass(frozen=True)
class Range:
    """Numbers that a notation leaves open: from `low` to `high`, or one of `choices`."""

    text: str  # as written, with its braces
    position: int  # characters from the start of the notation, from 1
    low: float  # an int where all its numbers are whole
    high: float
    choices: tuple[float, ...] = ()  # of a list, as written; empty for a range

    def holds(self, value: float) -> bool:
        """Whether `value` is one that may be filled in."""
        whole = isinstance(value, int) or not isinstance(self.low, int)
        return value in self.choices if self.choices else whole and self.low <= value <= self.high


def find_ranges(notation: str) -> list[Range]:
    """What a notation leaves open, from left to right.

    Raises:
        ModelError: braces around something else; the position is marked.
    """
    return [_range(notation, braces) for braces in _BRACES.finditer(notation)]


def fill_ranges(notation: str, values: Sequence[float]) -> str:
    """The notation with a number for each of its ranges, in the order of `find_ranges`."""
    ranges = find_ranges(notation)
    assert len(ranges) == len(values)
    for open_, value in reversed(list(zip(ranges, values, strict=True))):
        assert open_.holds(value), f"{value} in {open_.text}"
        start = open_.position - 1
        notation = notation[:start] + decimal(value) + notation[start + len(open_.text) :]
    return notation


def _range(notation: str, braces: re.Match[str]) -> Range:
    text, position = braces.group(), braces.start() + 1
    if found := _RANGE.fullmatch(text):
        low, high = _numbers(found.groups())
        if low > high:
            raise bad_token(notation, text, position, f"runs backwards; write {{{high}..{low}}}")
        return Range(text, position, low, high)
    if _LIST.fullmatch(text):
        choices = _numbers(text.strip("{}").split(","))
        return Range(text, position, min(choices), max(choices), tuple(choices))
    raise bad_token(notation, text, position, "is no range; ranges look like {16..64} or {3,5,7}")


def _numbers(texts: Sequence[str]) -> list[float]:
    """All as ints if all are whole, else all as floats."""
    return [*map(int if all(text.strip().isdigit() for text in texts) else float, texts)]
