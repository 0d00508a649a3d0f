"""A hyper-parameter search for the terminal: its best trials, and a CSV of all."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from imgcli.report.terminal.tables import number, table, text
from imgcli.text import csv_text, duration, percent, printable

Rows = Sequence[Mapping[str, Any]]

MAX_SHOWN = 5  # trials in the table
STATES = {"pruned": "pruned", "impossible": "could not be trained"}
_FACTS = ("number", "state", "value", "loss", "n", "last", "steps", "seconds", "reason")


def best(ranked: Rows, options: Mapping[str, str]) -> Table:
    """The best five trials, best first, each with what it chose.

    Args:
        options: the name of each choice's option, by its field.
    """
    numbers = map(number, ("trial", "accuracy", "loss", "time"))
    shown = table(*numbers, text("choices"), gap=2)
    for row in ranked[:MAX_SHOWN]:
        facts = (f"{row['number']}", percent(row["value"]), f"{row['loss']:.3f}")
        chosen = (f"{options[field]} {_short(v)}" for field, v in row["choices"].items())
        shown.add_row(*map(Text, (*facts, duration(row["seconds"]), ", ".join(chosen))))
    return shown


def tally(rows: Rows) -> str:
    """The number of trials by state: "12 finished, 7 pruned, 1 could not be trained"."""
    states = [row["state"] for row in rows]
    parts = [f"{states.count('finished')} finished"]
    parts += [f"{states.count(state)} {how}" for state, how in STATES.items() if state in states]
    return ", ".join(parts)


def verdict(rows: Rows, evaluated_on: str) -> str:
    """The number of trials, and a warning that the best of them is optimistic."""
    return (
        f"{tally(rows)}. The best was chosen by its accuracy on the same {evaluated_on}, which is "
        "therefore optimistic: run `imgcli evaluate`."
    )


def table_of_all(rows: Rows) -> str:
    """Every trial as CSV: its result, then its choices."""
    fields = sorted({field for row in rows for field in row["choices"]})
    of_rows = (
        [*(row[fact] for fact in _FACTS), *(row["choices"].get(field) for field in fields)]
        for row in rows
    )
    return csv_text([[*_FACTS, *fields], *of_rows])


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else printable(str(value))
