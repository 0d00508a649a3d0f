"""A comparison of runs in words and numbers: labels, the terminal's table, sentences, CSVs.

`document` is that of the JSON contract of `compare` throughout.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from imgcli.report.plots import style
from imgcli.report.terminal.evaluation import FIGURES
from imgcli.text import count, csv_text, duration, interval, percent, plus_minus, printable

Document = Mapping[str, Any]

COMPARED = ("accuracy", "macro_precision")  # those of FIGURES that are tested
FEW = 3  # runs, up to which every pair gets its sentences; of more, each is held against the best


# --- labels -------------------------------------------------------------------------------------


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
    return {run: f"{text}, {_folder(run)}" for run, text in names.items()}


def _folder(run: str) -> str:
    return run.rpartition("/")[2]


def _choice(name: str, value: Any) -> str:
    """A choice in words: "dropout 0.5", "freeze", "no pretrained", a file by its name."""
    words = name.replace("_", " ")
    if isinstance(value, bool):
        return words if value else f"no {words}"
    if isinstance(value, Mapping):
        return f"{words} {', '.join(f'{key}={v}' for key, v in value.items())}"
    if name == "weights":
        return f"{words} {_folder(value)}"
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


# --- the terminal -------------------------------------------------------------------------------


def compared(document: Document) -> list[RenderableType]:
    """The table of the runs, the photos they are paired on, and their differences."""
    lines = [_legend(document), _corrected(document), *findings(document), *_cautions(document)]
    text = "\n".join(lines).splitlines()
    # What wraps stays indented.
    indents = [len(line) - len(line.lstrip()) for line in text]
    padded = [
        Padding(Text(line.lstrip()), (0, 0, 0, i)) for line, i in zip(text, indents, strict=True)
    ]
    return [_table(document), *padded]


def _table(document: Document) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("run", overflow="fold")
    for header in (*FIGURES.values(), "train accuracy"):
        table.add_column(header.replace(" ", "\n"), justify="right", no_wrap=True)
    for run, label in zip(document["runs"], labels(document).values(), strict=True):
        table.add_row(
            _run(run, label, best=run["run"] == document["best"]),
            *(Text(f"{spread(run[key])}\n{interval(run[key]['ci95'], '')}") for key in FIGURES),
            Text(spread(run["train"]["accuracy"]) if run["train"] else "–"),
        )
    return table


def _run(run: Mapping[str, Any], label: str, *, best: bool) -> Text:
    """A run's label, folder, parameters and training time."""
    params = run["params"]
    return Text.assemble(
        (printable(label), "bold"),
        " (best)\n" if best else "\n",
        f"{printable(_folder(run['run']))}\n{params['trainable']:,} of {params['total']:,} "
        f"parameters trained in {duration(run['seconds'])}",
    )


def _legend(document: Document) -> str:
    if document["on"] == "test":
        return "In %; below, the 95 % interval."
    return "In %: mean ± sd of the folds; below, the 95 % interval of the figure over all photos."


def spread(summary: Mapping[str, Any]) -> str:
    """A figure of a run in %: mean ± sd over its folds, or its value where there are none."""
    if summary["mean"] is None:
        return percent(summary["value"], "")
    return plus_minus(summary["mean"], summary["std"], "")


def paired_on(document: Document) -> str:
    """Which photos the runs are compared on, and by which folds."""
    photos = count(document["paired_on"], "photo")
    if document["on"] == "test":
        line = f"Paired on {photos} of the test part"
    elif document["same_folds"]:
        line = f"Paired on {photos}, held out in the same {document['runs'][0]['folds']} folds"
    else:
        line = f"Paired on {photos}; the folds are not the same in all runs"
    if any(run["repeats"] > 1 for run in document["runs"]):
        line += "; of repeated folds the first repeat is compared"
    if document["left_out"]:
        line += f"; {count(document['left_out'], 'photo')} left out, missing in some runs"
    return line


def _corrected(document: Document) -> str:
    pairs = len(document["pairs"])
    corrected = f" P-values are corrected for {pairs} pairs (Holm)." if pairs > 1 else ""
    return f"{paired_on(document)}.{corrected}"


def _cautions(document: Document) -> Iterator[str]:
    if document["on"] == "test":
        yield "Use the test part to report a choice, not to make it."


# --- sentences ----------------------------------------------------------------------------------


def findings(document: Document) -> list[str]:
    """The differences between runs: of every pair, or of many runs each against the best."""
    names = {run: f"'{printable(label)}'" for run, label in labels(document).items()}
    if len(names) > FEW:
        return [_ranked(document, figure, names) for figure in COMPARED]
    return [_paired(pair, names) for pair in document["pairs"]]


def _paired(pair: Mapping[str, Any], names: Mapping[str, str]) -> str:
    first, second = (names[run] for run in pair["runs"])
    lines = [f"{first} against {second}:"]
    for figure in COMPARED:
        found, name = pair[figure], FIGURES[figure]
        side = "higher" if found["difference"] > 0 else "lower"
        what = f"{side} {name}" if found["shown"] else f"no difference in {name} shown"
        lines.append(f"  {what}: {_in_points(found)}")
    return "\n".join(lines)


def _in_points(found: Mapping[str, Any]) -> str:
    low, high = map(points, found["ci95"])
    per_fold = ""
    if found["std"] is not None:
        per_fold = f"; fold by fold {points(found['mean'])} ± {100 * found['std']:.1f}"
    return (
        f"{points(found['difference'])} points (95 % interval {low} to {high}{per_fold}; "
        f"{p_text(found['p_value'])})"
    )


def _ranked(document: Document, figure: str, names: Mapping[str, str]) -> str:
    """One figure of all runs against that of the most accurate one."""
    sides: dict[str, list[str]] = {"lower": [], "higher": [], "no difference shown": []}
    for run, found in against_best(document, figure).items():
        side = "lower" if found["difference"] < 0 else "higher"
        how = f"({points(found['difference'])} points, {p_text(found['p_value'])})"
        sides[side if found["shown"] else "no difference shown"].append(f"{names[run]} {how}")
    best = next(run for run in document["runs"] if run["run"] == document["best"])
    value = percent(best[figure]["value"])
    lines = [f"  {side}: {'; '.join(runs)}" for side, runs in sides.items() if runs]
    return "\n".join([f"Against the {FIGURES[figure]} of {names[best['run']]}, {value}:", *lines])


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


def points(share: float) -> str:
    """A difference of shares in percentage points: "+1.2", "−0.4", "0.0"."""
    rounded = round(100 * share, 1)
    return f"{rounded:+.1f}".replace("-", "\u2212") if rounded else "0.0"


def p_text(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


# --- CSVs ---------------------------------------------------------------------------------------


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
        learnt = run["train"][key] if run["train"] else {}
        row |= {f"train_{key}": learnt.get("value")}
        row |= {f"train_{key}_{of}": learnt.get(of) for of in ("mean", "std")}
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
