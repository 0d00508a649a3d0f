"""Evaluations made by hand for the tests of the report: plain counting, no judge."""

from collections.abc import Sequence

import numpy as np

from imgcli.records import ClassFigures, Evaluation, IntArray, Summary

# What users call their classes, and what a terminal, rich or matplotlib would make of it.
ODD_NAMES = (
    "$x_1$ and $\\alpha$",
    "[red]bold[/red]",
    "new\nline\x1b[2J",
    "with\ttab and \u202eturned",
    "Ελληνικά straße Ñandú",
    "undecodable \udcff byte",
    "a_" * 22,
    "subspecies_of_a_very_long_taxonomy_name_" * 6,
    "subspecies_of_a_very_long_taxonomy_name_" * 5 + "x" * 40,
    "%d {0} & _^\\",
)


def matrix(k: int, n: int = 60, seed: int = 0) -> IntArray:
    """A confusion matrix of `k` classes: mostly right, each class taken for a few others."""
    random = np.random.default_rng(seed)
    chances = random.gamma(0.3, 1.0, (k, k)) * 0.2 / k + np.diag(random.uniform(0.6, 1.0, k))
    return np.array([random.multinomial(n, row / row.sum()) for row in chances])


def evaluation(
    confusion: IntArray | Sequence[Sequence[int]],
    names: Sequence[str] | None = None,
    folds: Sequence[float] | None = None,
    train: Sequence[float] | None = None,
    on: str = "train",
) -> Evaluation:
    """The evaluation of a matrix; `folds` and `train` are each fold's figure, of all three."""
    counts = np.array(confusion, dtype=np.int64)
    names = tuple(names or (f"class_{i:03d}" for i in range(len(counts))))
    per_class = tuple(class_figures(counts, i, names[i]) for i in range(len(counts)))
    right = float(counts.trace() / counts.sum())
    held_out = summary(right, folds)
    return Evaluation(
        on=on,
        folds=len(folds) if folds else None,
        n=int(counts.sum()),
        classes=names,
        confusion=counts,
        accuracy=held_out,
        macro_precision=held_out,
        macro_f1=held_out,
        per_class=per_class,
        ece=0.0,
        train=None if train is None else dict.fromkeys(KEYS, summary(float(np.mean(train)), train)),
    )


KEYS = ("accuracy", "macro_precision", "macro_f1")


def summary(value: float, folds: Sequence[float] | None) -> Summary:
    around = (max(value - 0.01, 0.0), min(value + 0.01, 1.0))
    if folds is None:
        return Summary(value, around)
    low, median, high = np.percentile(folds, [25, 50, 75]).tolist()
    mean, std = float(np.mean(folds)), float(np.std(folds, ddof=1))
    spread = (mean, std, median, high - low, min(folds), max(folds))
    return Summary(value, around, tuple(folds), *spread)


def class_figures(counts: IntArray, i: int, name: str) -> ClassFigures:
    n, predicted, right = int(counts[i].sum()), int(counts[:, i].sum()), int(counts[i, i])
    precision = right / predicted if predicted else None
    recall = right / n if n else None
    return ClassFigures(
        name=name,
        n=n,
        predicted=predicted,
        precision=precision,
        precision_ci95=None if precision is None else (precision * 0.9, precision),
        recall=recall,
        recall_ci95=None if recall is None else (recall * 0.9, recall),
        f1=2 * right / (n + predicted) if n + predicted else 0.0,
    )
