"""Photos that are probably labelled wrong: as a table, and as a plan for the user to edit.

`issues` are those of the JSON document throughout, worst first.
"""

import csv
import difflib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from imgcli import storage
from imgcli.errors import DataError
from imgcli.wording import count, percent, printable

MOST_LISTED = 20  # rows of the table
COLUMNS = ("path", "label", "new_label", "score", "reason")

Issue = Mapping[str, Any]


@dataclass(frozen=True)
class Relabel:
    """A photo that is to have another label."""

    path: str  # as in the predictions: relative to the dataset
    label: str
    new_label: str


def table(issues: Sequence[Issue]) -> RenderableType:
    """The worst of them: the photo, its label, what it looks like, and what speaks for that."""
    if not issues:
        return Text("No photo looks as if it were labelled wrong.")
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for title in ("photo", "label", "looks like"):
        shown.add_column(title, overflow="fold")
    for title in ("believed\nin %", "nearest\nphotos"):
        shown.add_column(title, justify="right", no_wrap=True)
    for issue in issues[:MOST_LISTED]:
        texts = [printable(issue[key]) for key in ("path", "label", "suggestion")]
        shown.add_row(*map(Text, texts), _believed(issue), _nearest(issue))
    legend = "Believed, and nearest photos: of the label → of what it looks like."
    more = len(issues) - MOST_LISTED
    rest = f" {count(more, 'photo')} more: --json lists them all." if more > 0 else ""
    return Group(shown, Text(legend + rest))


def _believed(issue: Issue) -> str:
    return f"{percent(issue['probability'], '')} → {percent(issue['suggested_probability'], '')}"


def _nearest(issue: Issue) -> str:
    if issue["nearest"] is None:
        return "–"
    return f"{issue['nearest_as_labelled']} → {issue['nearest_as_suggested']}"


# --- the plan -----------------------------------------------------------------------------------


def write_plan(path: Path, issues: Sequence[Issue]) -> None:
    """Write the plan: a row per photo, its new label what it looks like until the user says else.

    A row that is deleted, or whose new label is its label or empty, leaves the photo as it is.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for issue in issues:
        row = (issue["path"], issue["label"], issue["suggestion"])
        writer.writerow([*row, f"{issue['score']:.4f}", issue["reason"]])
    storage.write_atomic(path, text.getvalue())


def read_plan(path: Path, classes: Sequence[str]) -> list[Relabel]:
    """The relabellings of a plan as the user left it.

    Args:
        classes: those there are; a photo can get no other label.

    Raises:
        DataError: the file cannot be read, lacks a column, names a photo twice or a class that
            does not exist; the message names the line.
    """
    try:
        text = path.read_text("utf-8", "surrogateescape").removeprefix("\ufeff")
    except OSError as error:
        raise DataError(
            f"The plan '{path}' cannot be read ({error.strerror}). Write one with "
            "`imgcli check --labels`."
        ) from None
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    if missing := [name for name in COLUMNS[:3] if name not in (reader.fieldnames or ())]:
        raise DataError(
            f"The plan '{path}' has no column '{missing[0]}'. Keep its first line: "
            f"{','.join(COLUMNS)}"
        )
    found: dict[str, Relabel] = {}
    for row in reader:
        photo, label, new = ((row[name] or "").strip() for name in COLUMNS[:3])
        if new in ("", label):
            continue
        where = f"Line {reader.line_num} of '{path}'"
        if new not in classes:
            near = difflib.get_close_matches(new, classes, 1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise DataError(f"{where} gives '{photo}' the label '{new}', which is no class.{hint}")
        if photo in found:
            raise DataError(f"{where} names '{photo}' a second time. Keep one of the two lines.")
        found[photo] = Relabel(photo, label, new)
    return list(found.values())


def _delimiter(text: str) -> str:
    """Spreadsheets of some countries write semicolons."""
    first = text.partition("\n")[0]
    return ";" if first.count(";") > first.count(",") else ","
