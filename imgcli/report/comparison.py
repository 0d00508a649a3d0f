"""Compared runs: the label of each, its difference to the most accurate one, and both as CSV.

`document` is that of the JSON contract of `compare` throughout.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from imgcli.report.plots import style
from imgcli.report.terminal.evaluation import FIGURES
from imgcli.text import csv_text

Document = Mapping[str, Any]  # of `compare --json`

COMPARED = ("accuracy", "macro_precision")  # the figures that are tested


def labels(document: Document) -> dict[str, str]:
    """Each run's arch and its uncommon choices, by its folder.

    A choice that more than half of the runs have made is left out, and so is one that followed from
    others, unless the runs are alike without it. Runs that differ in nothing get their folders.
    """
    runs = document["runs"]
    made = Counter((name, repr(v)) for run in runs for name, v in run["options"].items())

    def label(run: Mapping[str, Any], choices: Collection[str]) -> str:
        uncommon = [
            _choice(name, value)
            for name, value in run["options"].items()
            if name in choices
            and name != "precision"  # decided by measured speed
            and value is not None
            and 2 * made[name, repr(value)] <= len(runs)
        ]
        return ", ".join([run["arch"], *uncommon])

    found = {run["run"]: label(run, run["asked"]) for run in runs}
    for more in ({run["run"]: label(run, run["options"]) for run in runs}, _with_folders(found)):
        alike = {text for text, n in Counter(found.values()).items() if n > 1}
        found = {run: more[run] if text in alike else text for run, text in found.items()}
    return found


def _with_folders(names: Mapping[str, str]) -> dict[str, str]:
    return {run: f"{text}, {folder_of(run)}" for run, text in names.items()}


def folder_of(run: str) -> str:
    """The name of a run's folder."""
    return run.rpartition("/")[2]


def _choice(name: str, value: Any) -> str:
    """A choice in words: "dropout 0.5", "freeze", "no pretrained", a file by its name."""
    words = name.replace("_", " ")
    if isinstance(value, bool):
        return words if value else f"no {words}"
    if isinstance(value, Mapping):
        return f"{words} {', '.join(f'{key}={v}' for key, v in value.items())}"
    if name == "weights":
        return f"{words} {folder_of(value)}"
    return f"{words} {value:g}" if isinstance(value, float) else f"{words} {value}"


def short_labels(names: Sequence[str], most: int) -> list[str]:
    """Labels as a figure writes them: at most `most` characters, of whole choices and then "…".

    Where two would read the same, their positions follow.
    """
    cut = [_whole_choices(name, most - len(f" ({len(names)})")) for name in names]
    times = Counter(cut)
    numbered = [
        text if times[text] == 1 else f"{text} ({number})" for number, text in enumerate(cut, 1)
    ]
    return style.labels(numbered, most)


def _whole_choices(label: str, most: int) -> str:
    """As many of its choices as have room; the label itself where not even its arch has."""
    head, *_ = label[: most - 1].rpartition(", ")
    return label if len(label) <= most or not head else f"{head}, …"


def against_best(document: Document, figure: str) -> dict[str, dict[str, Any]]:
    """How far the figure of each other run lies above that of the most accurate run, by folder."""
    found = {}
    for pair in document["pairs"]:
        best, other = pair["runs"]
        if best == document["best"]:
            low, high = pair[figure]["ci95"]
            turned = {"difference": -pair[figure]["difference"], "ci95": (-high, -low)}
            found[other] = {**pair[figure], **turned}
    return {run["run"]: found[run["run"]] for run in document["runs"] if run["run"] in found}


# --- CSV -----------------------------------------------------------------------------------------


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
