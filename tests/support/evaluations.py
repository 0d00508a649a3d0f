"""Evaluations, and documents of `compare`, made by hand: plain counting, no code of ours."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

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


Values = Sequence[float]


def told(
    name: str,
    folds: Values | float,
    train: Values | float | None = None,
    asked: Sequence[str] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """A run: the figures of its folds held out and in training, or one of each without folds."""
    spread = None if isinstance(folds, float) else folds
    held = asdict(summary(float(np.mean(folds)), spread))
    learnt = None
    if isinstance(train, float):
        learnt = {**asdict(summary(train, None)), "ci95": None}
    elif train is not None:
        learnt = asdict(summary(float(np.mean(train)), train))
    return {
        "run": f"runs/{name}",
        "arch": name,
        "options": options,
        "asked": [*options] if asked is None else asked,
        "params": {"trainable": 90, "non_trainable": 0, "total": 1234},
        "seconds": 75.0,
        "n": 100,
        "folds": None if spread is None else len(spread),
        "repeats": 1,
        **dict.fromkeys(KEYS, held),
        "train": None if learnt is None else dict.fromkeys(KEYS, learnt),
    }


def document(
    runs: Sequence[Mapping[str, Any]], p: float = 0.01, on: str = "folds"
) -> dict[str, Any]:
    """The comparison of runs that differ as their values do, each by ± 2 points and with one p."""
    ranked = sorted(runs, key=lambda run: -run["accuracy"]["value"])
    pairs = [pair(a, b, p) for i, a in enumerate(ranked) for b in ranked[i + 1 :]]
    return {
        "on": on,
        "runs": list(runs),
        "best": pairs[0]["runs"][0],
        "between": pairs[0]["runs"],
        "difference": pairs[0]["accuracy"]["difference"],
        "p_value": p,
        "paired_on": 1234,
        "left_out": 0,
        "same_folds": on == "folds",
        "pairs": pairs,
    }


def pair(a: Mapping[str, Any], b: Mapping[str, Any], p: float) -> dict[str, Any]:
    value = a["accuracy"]["value"] - b["accuracy"]["value"]
    folds = a["folds"] and [value - 0.01, value + 0.01]
    found = {
        "difference": value,
        "ci95": [value - 0.02, value + 0.02],
        "p_value": p,
        "p_alone": p,
        "shown": p <= 0.05,
        "folds": folds,
        "mean": value if folds else None,
        "std": 0.014 if folds else None,
    }
    return {"runs": [a["run"], b["run"]], "accuracy": found, "macro_precision": found}
