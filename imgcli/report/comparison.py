"""Compared runs: the label of each, its difference to the most accurate one, and both as tables.

`document` is that of the JSON contract of `compare` throughout.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from imgcli.report.plots import style
from imgcli.report.table_formats import Column, Row, TableRecord
from imgcli.report.table_records import with_interval
from imgcli.report.terminal.evaluation import FIGURES
from imgcli.text import count, csv_text, percent, plus_minus

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


# --- tables --------------------------------------------------------------------------------------


def comparison_tables(document: Document) -> dict[str, TableRecord]:
    """The runs with their figures, and every pair of them with its differences."""
    about = f"{count(document['paired_on'], 'photo')} {_scored(document)}"
    runs = [
        Column("run", lambda row: str(row["label"]), name=True),
        Column("parameters", lambda row: f"{row['params_trainable']:,}"),
        *(Column(name, partial(_figure, key=key)) for key, name in FIGURES.items()),
        Column("on training photos", partial(_spread, key="train_accuracy")),
        Column("against the best", _against_best),
    ]
    pairs = [
        Column("run", lambda row: str(row["first_label"]), name=True),
        Column("against", lambda row: str(row["second_label"]), name=True),
        *(Column(FIGURES[key], partial(_difference, key=key)) for key in COMPARED),
        Column("p of accuracy", lambda row: f"{row['accuracy_p']:.3g}"),
    ]
    return {
        "runs": TableRecord(
            f"Runs: {about}. Figures in %, in parentheses the 95 % interval over all photos; "
            "against the best in points of accuracy.",
            _comparison_rows(document),
            runs,
        ),
        "pairs": TableRecord(
            f"Differences in points (95 % interval): {about}.",
            list(_pair_rows(document)),
            pairs,
            shown=False,
        ),
    }


def _scored(document: Document) -> str:
    if document["on"] == "test":
        return "of the test part"
    return "out-of-fold; mean ± sd of the folds"


def _figure(row: Row, key: str) -> str:
    """Mean ± sd of the folds, or the value; and the interval."""
    if row[f"{key}_mean"] is None:
        return with_interval(row, key)
    low, high = row[f"{key}_low"], row[f"{key}_high"]
    return f"{_spread(row, key)} ({percent(low, '')}–{percent(high, '')})"


def _spread(row: Row, key: str) -> str:
    mean = row[f"{key}_mean"]
    return percent(row[key], "") if mean is None else plus_minus(mean, row[f"{key}_std"], "")


def _against_best(row: Row) -> str:
    difference = row["accuracy_minus_best"]
    if difference is None:
        return "best"
    return f"{100 * difference:+.1f} (p = {row['accuracy_p']:.3g})".replace("-", "\u2212", 1)


def _difference(row: Row, key: str) -> str:
    ends = (f"{100 * row[f'{key}_{end}']:+.1f}" for end in ("low", "high"))
    return f"{100 * row[f'{key}_difference']:+.1f} ({' to '.join(ends)})".replace("-", "\u2212")


def _pair_rows(document: Document) -> Iterator[dict[str, Any]]:
    names = labels(document)
    for pair in document["pairs"]:
        first, second = pair["runs"]
        row = {"first": first, "second": second}
        row |= {"first_label": names[first], "second_label": names[second]}
        for key in COMPARED:
            found = pair[key]
            row |= {f"{key}_difference": found["difference"], f"{key}_p": found["p_value"]}
            row |= dict(zip((f"{key}_low", f"{key}_high"), found["ci95"], strict=True))
        yield row


def comparison_csv(document: Document) -> str:
    """A row per run: its choices, its cost, its figures, and their differences to the best."""
    return as_csv(_comparison_rows(document))


def _comparison_rows(document: Document) -> list[dict[str, Any]]:
    names = labels(document)
    differences = {figure: against_best(document, figure) for figure in COMPARED}
    return [_comparison_row(run, names, differences) for run in document["runs"]]


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
