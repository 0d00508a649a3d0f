"""How a training went, read from the run's `history.csv`."""

import csv
import io
import os
from collections.abc import Mapping
from typing import Any

from imgcli.config import TrainConfig
from imgcli.reading import read_regular
from imgcli.runs import Run

NAME = "history.csv"  # in a run's folder


def rows(run: Run) -> list[dict[str, Any]]:
    """The rows of a history as `figures.history` takes them; none where there is no such file.

    Raises:
        RunError: the file is damaged.
    """
    if not check(run):
        return []
    try:
        text = read_regular(run.folder / NAME).decode()
        return [_row(row) for row in csv.DictReader(io.StringIO(text, newline=""))]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise run.damaged(NAME, error) from None


def check(run: Run) -> bool:
    """Whether the run has a history.

    Raises:
        RunError: it has changed since it was written.
    """
    if not os.path.lexists(run.folder / NAME):
        return False
    run.check_file(NAME)
    return True


def _row(row: Mapping[str, str]) -> dict[str, Any]:
    figures = {key: float(row[key]) if row[key] else None for key in ("loss", "accuracy")}
    n = int(row["n"]) if row["n"] else None
    return {"epoch": int(row["epoch"]), "part": row["part"], "n": n, **figures}


def unit(config: TrainConfig) -> str:
    """What a step of the history is: "epoch" or "iteration"."""
    return "iteration" if config.optim.is_probe else "epoch"
