"""What a report holds: its material as records, and its contents as the page's template wants them.

Nothing here knows of HTML, and nothing in the templates computes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from imgcli.records import Evaluation, MergeSuggestion, Predictions, Samples, Split, Summary
from imgcli.report.page import galleries, summary
from imgcli.report.page.matrix import Cells, cells
from imgcli.report.plots import style
from imgcli.report.terminal.evaluation import FIGURES, measured_on

MERGES = 12  # suggestions that are shown with photos
GROUPS = 12  # groups of near-duplicates that are shown
PAIRS = 12  # of classes, in the list of what is confused most


@dataclass(frozen=True)
class Missing:
    """What there is no material for, and the command that makes it."""

    what: str
    command: str


@dataclass(frozen=True, eq=False)
class Judged:
    """Predictions of photos that the model had not learnt from, and the judgement of them."""

    predictions: Predictions
    evaluation: Evaluation
    gap: str | None = None  # what it says that more was right in training


@dataclass(frozen=True, eq=False)
class Report:
    """All that a page is made of; what there is none of is None or empty."""

    run: str
    made: str  # when
    model: Mapping[str, Any]  # the run's model.json
    data: str  # the dataset's folder
    figures: Mapping[str, Figure]  # by name, in the order of the page
    commands: Sequence[str]
    versions: Mapping[str, str]
    missing: Sequence[Missing] = ()
    warnings: Sequence[str] = ()
    judged: Judged | None = None
    tested: Evaluation | None = None  # the test part, where `judged` is of folds
    evaluations: int | None = None  # of the test part, up to now
    merges: Sequence[MergeSuggestion] | None = None  # None: nothing to judge by
    issues: Sequence[Mapping[str, Any]] | None = None  # of labels; None: nothing to judge by
    few_for_merges: str | None = None  # the sentence that photos are too few to suggest any
    few_for_labels: str | None = None  # or to find any
    samples: Samples | None = None  # the dataset as it lies on disk
    split: Split | None = None


def contents(report: Report) -> dict[str, Any]:
    """The variables of the template."""
    found: dict[str, Any] = {"report": report, "figures": _figures(report.figures)}
    found |= _judgement(report) | _advice(report) | _dataset(report)
    return found | {"sections": [(key, name) for key, name in SECTIONS.items() if _has(found, key)]}


SECTIONS = {
    "verdict": "Verdict",
    "confusion": "Confusion",
    "figures": "Figures",
    "worst": "Worst mistakes",
    "drawn": "Sample",
    "merges": "Merges",
    "suspects": "Labels",
    "sizes": "Dataset",
    "commands": "Commands",
}


def _has(found: Mapping[str, Any], section: str) -> bool:
    """Whether there is anything for a section to show."""
    if section in ("merges", "suspects"):
        return found[section] is not None
    return section in ("verdict", "commands") or bool(found[section])


def _figures(figures: Mapping[str, Figure]) -> dict[str, dict[str, Any]]:
    """Each figure with its words beside it, which a page writes itself."""
    found = {}
    for name, figure in figures.items():
        title, lines = style.untitled(figure)
        found[name] = {"figure": figure, "title": title, "lines": lines}
    return found


def _judgement(report: Report) -> dict[str, Any]:
    if report.judged is None:
        return {"confusion": None, "worst": [], "drawn": []}
    predictions, evaluation = report.judged.predictions, report.judged.evaluation
    tested = [] if report.tested is None else [summary.tested(report.tested, report.evaluations)]
    gap = [report.judged.gap] if report.judged.gap else []
    table = cells(evaluation, predictions)
    return {
        "evaluation": evaluation,
        "measured_on": measured_on(evaluation),
        "headline": summary.headline(evaluation),
        "sentences": [*summary.verdict(evaluation), *gap, *tested],
        "sides": _sides(evaluation),
        "confusion": table,
        "rows": _rows(evaluation, table),
        "pairs": _pairs(evaluation),
        "per_class": sorted(evaluation.per_class, key=lambda row: (row.n == 0, row.f1)),
        "worst": galleries.worst(predictions),
        "drawn": galleries.drawn(predictions),
    }


def _sides(evaluation: Evaluation) -> list[tuple[str, list[tuple[str, Summary]]]]:
    """The figures by name, held out and, with folds, of the photos learnt from."""
    held_out = {key: getattr(evaluation, key) for key in FIGURES}
    sides = {"held out": held_out, "train side": evaluation.train or {}}
    return [
        (side, [(name, summaries[key]) for key, name in FIGURES.items()])
        for side, summaries in sides.items()
        if summaries
    ]


def _rows(evaluation: Evaluation, table: Cells) -> list[dict[str, Any]]:
    """The rows of the matrix, each with its class and how much of it is right."""
    per_class = [evaluation.per_class[i] for i in table.order]
    return [
        {"name": row.name, "n": row.n, "recall": row.recall, "cells": cells_of_row}
        for row, cells_of_row in zip(per_class, table.table, strict=True)
    ]


def _pairs(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The classes that are confused most, in photos of both directions."""
    counts, classes = evaluation.confusion, evaluation.classes
    mixed = np.triu(counts + counts.T, 1)
    order = np.argsort(-mixed, axis=None, kind="stable")[:PAIRS]
    pairs = [divmod(int(cell), len(classes)) for cell in order if mixed.flat[cell]]
    return [
        {"a": classes[a], "b": classes[b], "ab": int(counts[a, b]), "ba": int(counts[b, a])}
        for a, b in pairs
    ]


def _advice(report: Report) -> dict[str, Any]:
    """What to do about classes and labels; None where there is nothing to judge them by."""
    if report.merges is None or report.issues is None:
        return {"merges": None, "suspects": None}
    merges = [
        {"suggestion": one, "photos": galleries.examples(one) if place < MERGES else []}
        for place, one in enumerate(report.merges)
    ]
    return {"merges": merges, "suspects": galleries.suspects(report.issues)}


def _dataset(report: Report) -> dict[str, Any]:
    """The classes' sizes per part, and the groups of near-duplicates."""
    if report.samples is None or report.split is None:
        return {"sizes": [], "groups": [], "group_count": 0}
    groups = galleries.groups(report.samples)
    counts = {part: report.samples.counts(rows) for part, rows in report.split.parts.items()}
    sizes = np.array(list(counts.values())).sum(axis=0)
    return {
        "parts": list(counts),
        "sizes": [
            {
                "name": name,
                "counts": [int(of_part[i]) for of_part in counts.values()],
                "share": sizes[i] / sizes.max(),
            }
            for i, name in enumerate(report.samples.classes)
        ],
        "groups": groups[:GROUPS],
        "group_count": len(groups),
        "conflicts": sum(group.conflict for group in groups),
        "balance": summary.balance(report.samples),
    }
