"""An evaluation as terminal tables and sentences, for 80 columns and for pipes.

Colour and weight only decorate. Every text that comes from the user goes through `printable` and
into a `Text`: no control character and no markup takes effect.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from imgcli.records import ClassFigures, Evaluation, Summary
from imgcli.report.terminal.predictions import cost_line
from imgcli.report.terminal.runs import leaking
from imgcli.report.terminal.tables import label, number, table, text
from imgcli.text import count, interval, listed, percent, plus_minus, printable

FIGURES = {"accuracy": "accuracy", "macro_precision": "macro precision", "macro_f1": "macro F1"}
MAX_CLASSES = 30  # rows of the per-class table

Document = Mapping[str, Any]  # of `evaluate --json`


def verdict(evaluation: Evaluation) -> str:
    """Accuracy in one line, with its n, its interval and its spread over the folds."""
    accuracy = evaluation.accuracy
    within = f"; 95 % interval {interval(accuracy.ci95)}" if accuracy.ci95 else ""
    line = (
        f"Accuracy {percent(accuracy.value)} (n = {evaluation.n:,}; "
        f"{measured_on(evaluation)}{within})"
    )
    if accuracy.mean is not None:
        line += f"; folds {plus_minus(accuracy.mean, accuracy.std)}"
    return line


def baseline_line(evaluation: Evaluation) -> str:
    """The accuracy of a program that does not look at the photos."""
    largest, share = evaluation.baseline
    return f"Always answering the largest class, {printable(largest)}, gives {percent(share)}."


def measured_on(evaluation: Evaluation) -> str:
    """The photos that were scored, and whether the network was trained on them."""
    parts = {"all": "all photos", "other": "photos of another dataset"}
    part = parts.get(evaluation.on, f"the {evaluation.on} part")
    if evaluation.folds is not None:
        return f"{folds_of(evaluation)} of {part}, out-of-fold"
    return part if evaluation.on in ("test", "other") else f"{part}, in-sample"


def folds_of(evaluation: Evaluation) -> str:
    """The number of folds: "5 folds", "2 × 5 folds"."""
    times = f"{evaluation.repeats} × " if evaluation.repeats > 1 else ""
    return f"{times}{evaluation.folds} folds"


def figures(evaluation: Evaluation) -> Table:
    """Accuracy, macro precision and macro F1 of held-out and, with folds, training photos."""
    spread = evaluation.accuracy.folds is not None
    titles = ["value", "95 %\ninterval"]
    if spread:
        titles += ["folds:\nmean ± sd", "\nmedian", "\nIQR", "\nmin–max"]
    found = table(label("in %"), *map(number, titles))
    held_out = {name: getattr(evaluation, name) for name in FIGURES}
    _add_side(found, "held-out photos" if spread else measured_on(evaluation), held_out)
    if evaluation.train is not None:
        _add_side(found, "training photos", evaluation.train)
    return found


def interval_line(evaluation: Evaluation) -> str:
    """What the intervals cover, and what is none."""
    network = (
        "the network that is trained on all these photos" if evaluation.folds else "this network"
    )
    line = f"95 % intervals: of {network}, on photos like these."
    if evaluation.test_ci95:
        line += (
            f" A test of {count(evaluation.n, 'new photo')} would find an accuracy of "
            f"{interval(evaluation.test_ci95)} in 95 of 100 cases."
        )
    if evaluation.folds:
        line += " The sd is the spread of the folds, and no interval."
    return line


def _add_side(table: Table, side: str, summaries: Mapping[str, Summary]) -> None:
    table.add_section()
    table.add_row(Text(side, style="bold"))
    for key, name in FIGURES.items():
        if key in summaries:
            cells = _summary_cells(summaries[key])
            table.add_row(Text(f"  {name}"), *map(Text, cells[: len(table.columns) - 1]))


def _summary_cells(summary: Summary) -> list[str]:
    ends = None if summary.min is None or summary.max is None else (summary.min, summary.max)
    return [
        percent(summary.value, ""),
        interval(summary.ci95, ""),
        plus_minus(summary.mean, summary.std, ""),
        percent(summary.median, ""),
        percent(summary.iqr, ""),
        interval(ends, ""),
    ]


def per_class(evaluation: Evaluation) -> RenderableType:
    """Precision, recall and F1 of each class, lowest F1 first; of many classes the worst 30."""
    titles = ("n", "precision\nin %", "95 %\ninterval", "recall\nin %", "F1\nin %")
    shown = table(text("class"), *map(number, titles), text("most confused\nwith (photos)"))
    # A class without photos comes last.
    worst = sorted(
        range(len(evaluation.per_class)),
        key=lambda i: (evaluation.per_class[i].n == 0, evaluation.per_class[i].f1),
    )
    for i in worst[:MAX_CLASSES]:
        shown.add_row(*map(Text, _class_cells(evaluation, i)))
    if len(worst) <= MAX_CLASSES:
        return shown
    rest = f"The {MAX_CLASSES} classes with the lowest F1 of {len(worst):,}; --json lists them all."
    return Group(shown, Text(rest))


def _class_cells(evaluation: Evaluation, i: int) -> list[str]:
    row: ClassFigures = evaluation.per_class[i]
    return [
        printable(row.name),
        f"{row.n:,}",
        percent(row.precision, ""),
        interval(row.precision_ci95, ""),
        percent(row.recall, ""),
        percent(row.f1 if row.n else None, ""),
        _most_confused(evaluation, i),
    ]


def _most_confused(evaluation: Evaluation, i: int) -> str:
    """The class that most photos are confused with, in either direction: "owl (3)"."""
    confused = evaluation.confusion[i] + evaluation.confusion[:, i]
    confused[i] = 0
    other = int(np.argmax(confused))
    name = printable(evaluation.classes[other])
    return f"{name} ({confused[other]:,})" if confused[other] else "–"


def comparison_with_ungrouped(evaluation: Evaluation, ungrouped: Evaluation) -> str:
    """The accuracy by groups and by photos, and what the gap between them means."""
    by_groups, by_photos = evaluation.accuracy, ungrouped.accuracy
    gap = by_photos.value - by_groups.value
    meaning = (
        "The figure by photos is too good by about that: photos of a group in train give away "
        "those held out. For photos of new groups expect the figure by groups."
        if gap > 0
        else "Groups make no estimate too good here."
    )
    return (
        f"Groups kept together: accuracy {percent(by_groups.value)} (95 % interval "
        f"{interval(by_groups.ci95)}). Ungrouped, by photos: {percent(by_photos.value)} "
        f"({interval(by_photos.ci95)}). Gap {100 * gap:+.1f} points. {meaning}"
    )


def macro_line(evaluation: Evaluation) -> str | None:
    """The classes that macro averages are over, where these are not all."""
    without = [figures.name for figures in evaluation.per_class if figures.n == 0]
    classes = len(evaluation.classes)
    if not without:
        return None
    return (
        f"Macro averages are over {classes - len(without):,} of {classes:,} classes; without a "
        f"scored photo: {listed(without)}."
    )


# --- sentences -----------------------------------------------------------------------------------


def scores_line(document: Document) -> str:
    """Further figures in one line."""
    found = [f"macro recall (balanced accuracy) {_share(document['macro_recall'])}"]
    if document["top5"]:
        found.append(f"top-5 accuracy {_share(document['top5'])}")
    found.append(f"log loss {document['log_loss']['value']:.3f}")
    found.append(f"Brier score {document['brier']['value']:.3f}")
    return f"Also: {', '.join(found)}."


def _share(summary: Mapping[str, Any]) -> str:
    return f"{percent(summary['value'])} ({interval(summary['ci95'])})"


def calibration_line(document: Document) -> str | None:
    """The expected calibration error, before and after temperature scaling."""
    found = document.get("calibration")
    if not found:
        return f"Expected calibration error (ECE) {percent(document['ece'])}."
    if found["factor"] == 1 and found["folds"]:
        return (
            f"Expected calibration error (ECE) {percent(found['ece_before'])}; no temperature "
            "improves held-out folds, so confidences stay as they are."
        )
    use = f", which `predict` {'will use' if found['folds'] else 'uses'}"
    if found["folds"] and "data" in document:  # of networks that are not kept
        use = ""
    return (
        f"Expected calibration error (ECE) {percent(found['ece_before'])}; "
        f"{percent(found['ece'])} with temperature {1 / found['factor']:.2f}{use}."
    )


def repeats_line(document: Document) -> str | None:
    """The range of accuracy over the repeats of the folds."""
    each = document["per_repeat"]["accuracy"]
    if len(each) < 2:
        return None
    return (
        f"{document['repeats']} repeats of the folds: accuracy {percent(min(each), '')} to "
        f"{percent(max(each))}. Figures are pooled over them; photos are counted in the first."
    )


# --- what `evaluate` prints ---------------------------------------------------------------------


def evaluated(
    evaluation: Evaluation,
    document: Mapping[str, Any],
    *,
    runs: int,
    test_evaluations: int | None,
    leaks: int,
    drawings: Sequence[Path],
    following: str,
    ungrouped: Evaluation | None = None,
) -> Iterator[RenderableType]:
    """An evaluation: its figures, its classes, and what limits them.

    Args:
        document: of the JSON contract of `evaluate`.
        runs: how many the predictions are averaged over.
        test_evaluations: of the test part so far; None if this one did not score it.
        leaks: groups of duplicates in the test part and outside it.
        following: the command to type next, after folds of one run.
        ungrouped: the same by photos, where groups were ignored.
    """
    if runs > 1:
        yield f"Mean probabilities of {runs} runs:"
    yield Text(verdict(evaluation), style="bold")
    if ungrouped is not None:
        yield Text(comparison_with_ungrouped(evaluation, ungrouped))
    yield figures(evaluation)
    yield Text(interval_line(evaluation))
    yield per_class(evaluation)
    lines = [baseline_line(evaluation), macro_line(evaluation)]
    lines += [scores_line(document), calibration_line(document)]
    lines += [repeats_line(document), document["gap"]]
    lines += [cost_line(document["cost"])] if document.get("cost") else []
    if evaluation.on != "other" and (evaluation.folds is None or test_evaluations):
        lines += [_ledger_line(test_evaluations)]
    lines += leaking(leaks, grouped=bool(document["grouped_by"]))
    yield Text("\n".join(line for line in lines if line))
    if drawings:
        yield Text("\n".join(f"Figure: {path}" for path in drawings), no_wrap=True)
    if evaluation.folds and runs == 1:
        yield Text(f"Next:   {following}", no_wrap=True)


def _ledger_line(times: int | None) -> str:
    if times is None:
        return "This run had scored the test part before; that score is shown again."
    if times == 1:
        return "The test part has now been scored once. Choose nothing by it."
    return (
        f"The test part has now been scored {times} times. Each choice based on test-set "
        "evaluations makes its figures more optimistic."
    )
