"""A report: its material as records, and the variables of the page's template made from them.

Nothing here knows of HTML, and nothing in the templates computes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from imgcli.records import Evaluation, MergeSuggestion, Predictions, Samples, Split, Summary
from imgcli.report.page import galleries, summary
from imgcli.report.page.evidence import PhotoEvidence
from imgcli.report.page.matrix import MatrixTable, matrix_table
from imgcli.report.plots.drawn import StoredFigure
from imgcli.report.terminal import check as check_text
from imgcli.report.terminal import merges as merges_text
from imgcli.report.terminal.evaluation import FIGURES, interval_line, measured_on

MERGES = 12  # suggestions that are shown with photos
GROUPS = 12  # groups of near-duplicates that are shown
PAIRS = 12  # of classes, in the list of those confused most
EVIDENCE = {  # by whether the networks had not seen the photos
    True: "Below, the evidence for the predicted class (orange) and for the label (blue), as the "
    "network of the photo's fold sees it.",
    False: "Below, the evidence for the predicted class (orange) and for the label (blue), as the "
    "run's final network sees it, which was trained on these photos too.",
}


@dataclass(frozen=True)
class Missing:
    """Material that is missing, and the command that makes it."""

    what: str
    command: str


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Predictions of held-out photos, and their evaluation."""

    predictions: Predictions
    evaluation: Evaluation
    gap: str | None = None  # the sentence about over- and underfitting


@dataclass(frozen=True, eq=False)
class Report:
    """The material of a page; None or empty where there is none."""

    run: str
    made: str  # when
    model: Mapping[str, Any]  # the run's model.json
    data: str  # the dataset's folder
    figures: Mapping[str, StoredFigure]  # by name, in the order of the page
    commands: Sequence[str]
    versions: Mapping[str, str]
    missing: Sequence[Missing] = ()
    warnings: Sequence[str] = ()
    evaluated: Evaluated | None = None
    tested: Evaluation | None = None  # the test part, where `evaluated` is of folds
    evaluations: int | None = None  # of the test part, up to now
    merges: Sequence[MergeSuggestion] | None = None  # None: no out-of-fold predictions
    confused: Sequence[str] = ()  # a sentence on each pair of classes that is no merge
    undecided: Sequence[str] = ()  # or of too few photos to tell
    issues: Sequence[Mapping[str, Any]] | None = None  # of labels; None: no such predictions
    labels_summary: str = ""  # how many of them, and of all labels, are expected to be wrong
    # Photos with more errors than others: "sentence", and paths as "wrong"; None: not looked for.
    slices: Sequence[Mapping[str, Any]] | None = None
    merges_sample_size: str | None = None  # the sentence that photos are too few to suggest any
    labels_sample_size: str | None = None  # or to find any
    samples: Samples | None = None  # the dataset on disk
    split: Split | None = None
    evidence: Mapping[str, PhotoEvidence] = field(default_factory=dict)  # of mistakes, by path
    evidence_held_out: bool = False  # by networks that had not seen the photos


def page_context(report: Report) -> dict[str, Any]:
    """The variables of the template."""
    found: dict[str, Any] = {"report": report, "figures": _figures(report.figures)}
    found["evidence_legend"] = EVIDENCE[report.evidence_held_out]
    found |= _evaluation(report) | _advice(report) | _dataset(report)
    return found | {"sections": [(key, name) for key, name in SECTIONS.items() if _has(found, key)]}


SECTIONS = {
    "verdict": "Summary",
    "confusion": "Confusion matrix",
    "figures": "Figures",
    "slices": "Where it fails",
    "worst": "Most confident errors",
    "drawn": "Random sample",
    "merges": "Merges",
    "suspects": "Labels to review",
    "sizes": "Dataset",
    "commands": "Commands",
}


def _has(found: Mapping[str, Any], section: str) -> bool:
    """Whether a section has anything to show."""
    if section in ("merges", "suspects", "slices"):
        return found[section] is not None
    return section in ("verdict", "commands") or bool(found[section])


def _figures(figures: Mapping[str, StoredFigure]) -> dict[str, dict[str, Any]]:
    """Each figure with its title and lines, which a page writes itself."""
    return {
        name: {"svg": figure.svg, "heading": figure.heading} for name, figure in figures.items()
    }


def _evaluation(report: Report) -> dict[str, Any]:
    if report.evaluated is None:
        return {"confusion": None, "worst": [], "drawn": [], "slices": None}
    predictions, evaluation = report.evaluated.predictions, report.evaluated.evaluation
    tested = [] if report.tested is None else [summary.tested(report.tested, report.evaluations)]
    gap = [report.evaluated.gap] if report.evaluated.gap else []
    table = matrix_table(evaluation, predictions)
    return {
        "evaluation": evaluation,
        "measured_on": measured_on(evaluation),
        "covered": interval_line(evaluation),
        "headline": summary.headline(evaluation),
        "sentences": [*summary.verdict(evaluation), *gap, *tested],
        "sides": _sides(evaluation),
        "confusion": table,
        "rows": _rows(evaluation, table),
        "pairs": confused_pairs(evaluation, PAIRS),
        "per_class": sorted(evaluation.per_class, key=lambda row: (row.n == 0, row.f1)),
        "slices": _slices(report, predictions),
        "worst": galleries.worst(predictions),
        "drawn": galleries.drawn(predictions),
    }


def _slices(report: Report, predictions: Predictions) -> list[dict[str, Any]] | None:
    """Photos that the network fails on, with the mistakes among them."""
    if report.slices is None:
        return None
    return [
        {"sentence": one["sentence"], "photos": galleries.named(predictions, one["wrong"])}
        for one in report.slices
    ]


def _sides(evaluation: Evaluation) -> list[tuple[str, list[tuple[str, Summary]]]]:
    """The figures by name, of held-out photos and, with folds, of training photos."""
    held_out = {key: getattr(evaluation, key) for key in FIGURES}
    sides = {"held-out photos": held_out, "training photos": evaluation.train or {}}
    return [
        (side, [(name, summaries[key]) for key, name in FIGURES.items()])
        for side, summaries in sides.items()
        if summaries
    ]


def _rows(evaluation: Evaluation, table: MatrixTable) -> list[dict[str, Any]]:
    """The rows of the matrix, each with its class and its recall."""
    per_class = [evaluation.per_class[i] for i in table.order]
    return [
        {"name": row.name, "n": row.n, "recall": row.recall, "cells": cells_of_row}
        for row, cells_of_row in zip(per_class, table.table, strict=True)
    ]


def confused_pairs(evaluation: Evaluation, most: int) -> list[dict[str, Any]]:
    """The classes that are confused most, in photos of both directions."""
    counts, classes = evaluation.confusion, evaluation.classes
    confused = np.triu(counts + counts.T, 1)
    order = np.argsort(-confused, axis=None, kind="stable")[:most]
    pairs = [divmod(int(cell), len(classes)) for cell in order if confused.flat[cell]]
    return [
        {"a": classes[a], "b": classes[b], "ab": int(counts[a, b]), "ba": int(counts[b, a])}
        for a, b in pairs
    ]


def _advice(report: Report) -> dict[str, Any]:
    """Merges and labels to review; None where there are no out-of-fold predictions."""
    if report.merges is None or report.issues is None:
        return {"merges": None, "suspects": None}
    merges = [
        {"suggestion": one, "photos": galleries.examples(one) if place < MERGES else []}
        for place, one in enumerate(report.merges)
    ]
    return {
        "merges": merges,
        "no_merges": merges_text.NONE,
        "confused": report.confused[: merges_text.MAX_PAIRS],
        "hard": merges_text.HARD,
        "undecided": report.undecided[: merges_text.MAX_PAIRS],
        "few": merges_text.FEW,
        "suspects": galleries.suspects(report.issues),
        "no_labels": check_text.no_labels(report.labels_summary),
    }


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
