"""Photos to look at before two classes are merged."""

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np

from imgcli.records import IntArray, Predictions

MOST = 3  # photos of each kind


def examples(predictions: Predictions, classes: Sequence[int]) -> list[dict[str, Any]]:
    """Photos of one of these classes that the model took for another, the surest of each first.

    Each with a near-duplicate of it in the class it was taken for, where there is one.
    """
    found = []
    for a, b in permutations(classes, 2):
        rows = np.flatnonzero((predictions.targets == a) & (predictions.preds == b))
        surest = rows[np.argsort(-predictions.probs[rows, b], kind="stable")]
        for row in _of_different_groups(predictions, surest)[:MOST]:
            found.append(
                {
                    "path": predictions.paths[row],
                    "class": predictions.classes[a],
                    "called": predictions.classes[b],
                    "confidence": float(predictions.probs[row, b]),
                    "twin": _twin(predictions, row, b),
                }
            )
    return found


def _of_different_groups(predictions: Predictions, rows: IntArray) -> list[int]:
    """The first of each near-duplicate group, in the order given."""
    _, first = np.unique(predictions.groups[rows], return_index=True)
    return [int(row) for row in rows[np.sort(first)]]


def _twin(predictions: Predictions, row: int, target: int) -> str | None:
    """A photo of class `target` that is nearly the one of `row`."""
    same = (predictions.groups == predictions.groups[row]) & (predictions.targets == target)
    return predictions.paths[int(np.flatnonzero(same)[0])] if same.any() else None
