"""Documents of `compare`, made by hand for the tests of what is said and drawn of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from tests.report.evaluations import KEYS, summary

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
