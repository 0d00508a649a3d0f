"""How a training went, read from the run's `history.csv`."""

import csv
from collections.abc import Mapping
from typing import Any

from imgcli.records import TrainConfig
from imgcli.workspace import Run


def rows(run: Run) -> list[dict[str, Any]]:
    """The rows of a history as `figures.history` takes them; none where there is no such file.

    Raises:
        RunError: the file is damaged.
    """
    try:
        with open(run.folder / "history.csv", newline="", encoding="utf-8") as file:
            return [_row(row) for row in csv.DictReader(file)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise run.damaged("history.csv", error) from None


def _row(row: Mapping[str, str]) -> dict[str, Any]:
    figures = {key: float(row[key]) if row[key] else None for key in ("loss", "accuracy")}
    n = int(row["n"]) if row["n"] else None
    return {"epoch": int(row["epoch"]), "part": row["part"], "n": n, **figures}


def unit(config: TrainConfig) -> str:
    """What a step of the history is: "epoch" or "iteration"."""
    return "iteration" if config.to_optimum else "epoch"
