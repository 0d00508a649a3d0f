"""A table for other programs and for papers: CSV, JSON, GitHub Markdown, LaTeX and pandas.

CSV, JSON and pandas take the values as they are: shares of 1, unrounded, the ends of an interval in
columns of their own. Markdown and LaTeX take cells for readers, rounded, with the interval beside
the figure; names are escaped, so that none of them is markup.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from imgcli.errors import Refused
from imgcli.text import csv_text, printable

if TYPE_CHECKING:
    import pandas

Format = Literal["csv", "json", "md", "latex"]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A column for readers."""

    title: str
    cell: Callable[[Row], str]
    name: bool = False  # names, which are aligned left and escaped; else figures


@dataclass(frozen=True, eq=False)
class TableRecord:
    """One table: its values row by row, and how readers see them."""

    caption: str
    rows: Sequence[Row]
    columns: Sequence[Column]
    keys: Sequence[str] = ()  # of the rows, in their order; needed where there may be no row
    shown: bool = True  # printed where no table is named

    @property
    def header(self) -> list[str]:
        """The names of the values of a row."""
        return list(self.keys or (self.rows[0] if self.rows else ()))


def tables_text(tables: Mapping[str, TableRecord], form: Format) -> str:
    """Tables as a text to be written as it is; of several, CSV has the first alone.

    Args:
        tables: by name; JSON of one table is a list of rows, of several an object by their names.
    """
    every = list(tables.values())
    match form:
        case "csv":
            return as_csv(every[0])
        case "json":
            rows = {name: as_rows(table) for name, table in tables.items()}
            return json.dumps(rows if len(rows) > 1 else next(iter(rows.values())), indent=2) + "\n"
        case "md":
            return "\n".join(map(as_markdown, every))
        case "latex":
            labels = [f"tab:{re.sub(r'[^a-z0-9]+', '-', name.lower())}" for name in tables]
            return "\n".join(map(as_latex, every, labels))


def as_rows(table: TableRecord) -> list[dict[str, Any]]:
    """The values of each row by name."""
    return [{name: row.get(name) for name in table.header} for row in table.rows]


def as_csv(table: TableRecord) -> str:
    """CSV with a header; no text in it is a spreadsheet's formula."""
    rows = ([row.get(name) for name in table.header] for row in table.rows)
    return csv_text([table.header, *rows])


def as_frame(table: TableRecord) -> "pandas.DataFrame":
    """A pandas DataFrame.

    Raises:
        Refused: pandas is not installed.
    """
    return need_pandas().DataFrame(as_rows(table), columns=table.header)


def need_pandas() -> Any:
    """The module pandas.

    Raises:
        Refused: it is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise Refused("A frame needs pandas, which is not installed: pip install pandas") from None
    return pandas


# --- Markdown -------------------------------------------------------------------------------------

_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~$&@#!]|:(?=[\w+-]+:))")


def as_markdown(table: TableRecord) -> str:
    """A table of GitHub's Markdown under its caption."""
    rows = []
    for row in table.rows:
        cells = ((column, column.cell(row)) for column in table.columns)
        rows.append([in_markdown(c) if column.name else printable(c) for column, c in cells])
    titles = [in_markdown(column.title) for column in table.columns]
    lines = markdown_lines(titles, rows, [not column.name for column in table.columns])
    return "\n".join((in_markdown(table.caption), "", *lines, ""))


def markdown_lines(
    titles: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[bool]
) -> Iterator[str]:
    """The lines of a table of cells that are Markdown.

    Args:
        right: which columns are aligned right.
    """
    for cells in (titles, ["---:" if one else ":---" for one in right], *rows):
        yield f"| {' | '.join(cells)} |"


def in_markdown(text: str) -> str:
    """A text as Markdown shows it: nothing in it is markup, and it stays in its line and cell."""
    return _MARKDOWN.sub(r"\\\1", printable(text))


# --- LaTeX ----------------------------------------------------------------------------------------

_LATEX = {
    **{char: f"\\{char}" for char in "{}$&#_%"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}",  # a letter of its own in some languages
    "`": r"\textasciigrave{}",
    "[": "{[}",  # after the end of a row, the beginning of an option
    "*": "{*}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "−": "$-$",
    "–": "--",
    "…": r"\dots{}",
    "↓": r"$\downarrow$",
    "→": r"$\rightarrow$",
    "\u00a0": "~",
}
_LATEX_CHAR = re.compile("|".join(map(re.escape, _LATEX)))


def as_latex(table: TableRecord, label: str) -> str:
    """A floating table of LaTeX with the rules of booktabs."""
    kinds = "".join("l" if column.name else "r" for column in table.columns)
    rows = [" & ".join(_in_latex(c.cell(row)) for c in table.columns) for row in table.rows]
    return "\n".join(
        (
            r"% \usepackage{booktabs}",
            r"\begin{table}",
            r"  \centering",
            f"  \\caption{{{_in_latex(table.caption)}}}",
            f"  \\label{{{label}}}",
            f"  \\begin{{tabular}}{{{kinds}}}",
            r"    \toprule",
            f"    {' & '.join(_in_latex(column.title) for column in table.columns)} \\\\",
            r"    \midrule",
            *(f"    {row} \\\\" for row in rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        )
    )


def _in_latex(text: str) -> str:
    """Text whose characters mean themselves; two hyphens are no dash."""
    plain = printable(text).replace("--", "-\0-").replace("--", "-\0-")
    return _LATEX_CHAR.sub(lambda found: _LATEX[found[0]], plain).replace("\0", "{}")
