"""Markdown of a card: texts that are no markup, and tables."""

import re
from collections.abc import Iterable, Iterator, Sequence

from imgcli.report.table_formats import in_markdown, markdown_lines
from imgcli.text import printable


def md(text: str) -> str:
    """A text as Markdown shows it, in one line; a dot where there is none."""
    return in_markdown(" ".join(text.split())) or "·"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table, numbers to the right."""
    rows = list(rows)
    numeric = [all(_is_number(row[i]) for row in rows) for i in range(len(head))]
    return markdown_lines(head, rows, numeric)


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[*\d.,·–±% ]+", cell))


def fenced(text: str) -> str:
    """A text between back-quotes, where nothing is markup but they are."""
    return printable(text).replace("`", "'")


def sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
