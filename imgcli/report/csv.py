"""Tables of results as CSV, which a spreadsheet may open: `text.csv_text` writes them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from imgcli.report.compared import COMPARED, Document, against_best, labels
from imgcli.report.terminal.evaluation import FIGURES
from imgcli.text import csv_text


def comparison_csv(document: Document) -> str:
    """A row per run: its choices, its cost, its figures, and their differences to the best."""
    names = labels(document)
    differences = {figure: against_best(document, figure) for figure in COMPARED}
    return as_csv(_comparison_row(run, names, differences) for run in document["runs"])


def _comparison_row(
    run: Mapping[str, Any], names: Mapping[str, str], differences: Mapping[str, Any]
) -> dict[str, Any]:
    row = {"run": run["run"], "label": names[run["run"]], "arch": run["arch"], **run["options"]}
    row |= {f"params_{key}": run["params"][key] for key in ("total", "trainable")}
    row |= {key: run[key] for key in ("seconds", "n", "folds")}
    for key in FIGURES:
        row |= {key: run[key]["value"]}
        row |= dict(zip((f"{key}_low", f"{key}_high"), run[key]["ci95"], strict=True))
        row |= {f"{key}_{of}": run[key][of] for of in ("mean", "std")}
        train = run["train"][key] if run["train"] else {}
        row |= {f"train_{key}": train.get("value")}
        row |= {f"train_{key}_{of}": train.get(of) for of in ("mean", "std")}
    for key in COMPARED:
        found = differences[key].get(run["run"], {})
        row |= {f"{key}_minus_best": found.get("difference"), f"{key}_p": found.get("p_value")}
    return row


def folds_csv(document: Document) -> str:
    """A row per run, side, metric and fold; empty but for its header where there are no folds."""
    rows = [
        {"run": run["run"], "fold": fold, "side": side, "metric": key, "value": value}
        for run in document["runs"]
        for side, summaries in {"train": run["train"] or {}, "held out": run}.items()
        for key in FIGURES
        for fold, value in enumerate((summaries.get(key) or {}).get("folds") or ())
    ]
    return as_csv(rows, ("run", "fold", "side", "metric", "value"))


def as_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] = ()) -> str:
    """Rows as CSV with a header; of `columns`, or those of the first row."""
    rows = list(rows)
    names = columns or list(rows[0])
    return csv_text([names, *([row.get(name) for name in names] for row in rows)])
