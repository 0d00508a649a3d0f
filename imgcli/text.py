"""How names and numbers are written for people, the same in errors, tables, figures and pages."""

import csv
import io
import itertools
import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from numbers import Number


def printable(text: str) -> str:
    """A user's text as it may go to a terminal: control characters and stray bytes escaped."""
    return "".join(c if c.isprintable() else escaped(c) for c in text)


def escaped(char: str) -> str:
    """A character as Python writes it in ASCII: "\\x1b" for the one that starts a command."""
    return ascii(char)[1:-1]


def is_plain() -> bool:
    """Whether a terminal gets text alone: by NO_COLOR (no-color.org), or as it knows no more.

    Weight is left out with colour.
    """
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") in ("dumb", "unknown")


def listed(names: Sequence[object], most: int = 5) -> str:
    """Join names for a sentence, the first `most` of them: "'a', 'b' and 7 more"."""
    shown = [f"'{printable(str(name))}'" for name in names[:most]]
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def reason_of(error: Exception) -> str:
    """The first line with words of what a library says, for a sentence."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return text.rstrip(".:!") or type(error).__name__


def count(n: int, what: str, plural: str | None = None) -> str:
    """A number of things: "1 photo", "1,850 photos"."""
    return f"{n:,} {what if n == 1 else plural or what + 's'}"


def free_suffixes() -> Iterator[str]:
    """What to append to a name until it is free: "", "-2", "-3", …"""
    return itertools.chain([""], (f"-{n}" for n in itertools.count(2)))


def percent(share: float | None, sign: str = " %", digits: int = 1) -> str:
    """A share of 1 as "94.6 %"; "–" where there is none. Only what is whole reads "100.0 %"."""
    if share is None or math.isnan(share):
        return "–"
    rounded = round(share * 100, digits)
    nearly = rounded == 100 and share < 1 - 1e-9  # an interval's end may miss 1 by a rounding
    return f"{100 - 10**-digits if nearly else rounded:.{digits}f}{sign}"


def times(factor: float) -> str:
    """A factor as "30 times" or "4.5 times"."""
    return f"{factor:.0f} times" if factor >= 10 else f"{factor:.1f} times"


def interval(ends: tuple[float, float] | None, sign: str = " %") -> str:
    """Two shares as "93.5–95.6 %"; "–" where there is no interval."""
    return "–" if ends is None else f"{percent(ends[0], '')}–{percent(ends[1], sign)}"


def plus_minus(mean: float | None, std: float | None, sign: str = " %") -> str:
    """Mean and standard deviation as "94.6 ± 1.6 %"; "–" where there are none."""
    return "–" if mean is None else f"{percent(mean, '')} ± {percent(std, sign)}"


def megabytes(size: int) -> str:
    """A number of bytes as "308 MB"; small ones as "0.3 MB"."""
    return f"{size / 1e6:,.1f} MB" if size < 1e7 else f"{size / 1e6:,.0f} MB"


def duration(seconds: float) -> str:
    """A time as "0.4 s", "17 s", "4 min" or "2 h 5 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def time_range(low: float, high: float) -> str:
    """Two times as "17 to 25 s" or "50 s to 2 min"; one where they read the same."""
    first, last = duration(low), duration(high)
    if first == last:
        return last
    number, _, unit = first.partition(" ")
    return f"{number if last.endswith(f' {unit}') and last.count(' ') == 1 else first} to {last}"


# --- tables for spreadsheets --------------------------------------------------------------------

# What makes a spreadsheet compute a cell (OWASP, "CSV Injection"), also in its full-width form, at
# the start and where a spreadsheet of some countries would start another cell.
_FORMULA = re.compile(r"(?:^|;)[\s\"']*[=+\-@\uff1d\uff0b\uff0d\uff20]")
_ESCAPE = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[nrt\\])")


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV that a spreadsheet or a terminal may show: no text in it is a formula or command.

    `from_cell` gives back what a text was.
    """
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([_cell(value) for value in row] for row in rows)
    return file.getvalue()


def from_cell(cell: str) -> str:
    """The text that `csv_text` wrote as this cell; a cell that it would not write is the text."""
    text = _ESCAPE.sub(_unescaped, cell[1:])
    return text if cell.startswith("'") and _cell(text) == cell else cell


def _cell(value: object) -> object:
    """A cell; a text that is not safe as it is starts with an apostrophe, and has escapes.

    So does one that starts with an apostrophe itself, or nobody could tell the two apart.
    """
    if value is None or isinstance(value, Number):
        return value
    text = str(value)
    if text.isprintable() and not text.startswith("'") and not _FORMULA.search(text):
        return text
    return "'" + printable(text.replace("\\", r"\\")).replace(";", r"\x3b")


def _unescaped(found: re.Match[str]) -> str:
    code = found[0][1:]
    return {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}.get(code) or chr(int(code[1:], 16))
