"""A comparison of runs for the terminal: its table and sentences.

`document` is that of the JSON contract of `compare` throughout.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from imgcli.report.comparison import COMPARED, Document, against_best, folder_of, labels
from imgcli.report.terminal.evaluation import FIGURES
from imgcli.report.terminal.tables import number, table, text
from imgcli.text import count, duration, interval, percent, plus_minus, printable

FEW = 3  # runs, up to which every pair gets its sentences; of more, each is held against the best


# --- the terminal -------------------------------------------------------------------------------


def compared(document: Document) -> list[RenderableType]:
    """The table of the runs, the photos they are paired on, and their differences."""
    lines = [_legend(document), _corrected(document), *findings(document), *_cautions(document)]
    # Wrapped lines stay indented.
    padded = [
        Padding(Text(line.lstrip()), (0, 0, 0, len(line) - len(line.lstrip())))
        for line in "\n".join(lines).splitlines()
    ]
    return [_table(document), *padded]


def _table(document: Document) -> Table:
    titles = (title.replace(" ", "\n") for title in (*FIGURES.values(), "train accuracy"))
    shown = table(text("run"), *map(number, titles))
    for run, label in zip(document["runs"], labels(document).values(), strict=True):
        shown.add_row(
            _run(run, label, best=run["run"] == document["best"]),
            *(Text(f"{spread(run[key])}\n{interval(run[key]['ci95'], '')}") for key in FIGURES),
            Text(spread(run["train"]["accuracy"]) if run["train"] else "–"),
        )
    return shown


def _run(run: Mapping[str, Any], label: str, *, best: bool) -> Text:
    """A run's label, folder, parameters and training time."""
    params = run["params"]
    return Text.assemble(
        (printable(label), "bold"),
        " (best)\n" if best else "\n",
        f"{printable(folder_of(run['run']))}\n{params['trainable']:,} of {params['total']:,} "
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


def points(share: float) -> str:
    """A difference of shares in percentage points: "+1.2", "−0.4", "0.0"."""
    rounded = round(100 * share, 1)
    return f"{rounded:+.1f}".replace("-", "\u2212") if rounded else "0.0"


def p_text(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
