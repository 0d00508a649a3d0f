"""The effects of a merge of classes on the figures, and photos to look at before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from scipy.special import entr

from imgcli.evaluation import metrics
from imgcli.evaluation.intervals import first_of_groups
from imgcli.records import IntArray, Predictions

MAX_EXAMPLES = 3  # photos of each kind


@dataclass(frozen=True)
class Information:
    """The information of labels and predictions, in bits per photo."""

    label_entropy: float
    mutual: float  # mutual information of label and prediction

    def to_json(self) -> dict[str, float]:
        return {"label": self.label_entropy, "told": self.mutual}


def merged_confusion(
    predictions: Predictions, confusion: IntArray, merged: Sequence[int]
) -> IntArray:
    """The counts `confusion` with the classes numbered `merged` as one, in the first's place.

    Their probabilities are added up before the most probable class is taken: a model of the merged
    class would not split its probability, so this is closer than relabelling the confusion matrix,
    where a photo can be lost to a third class.
    """
    members = sorted(merged)
    if len(members) < 2:
        return confusion
    confusion = confusion.copy()
    first, others = members[0], members[1:]
    together, preds = predictions.probs[:, members].sum(axis=1), predictions.preds
    most = predictions.probs[np.arange(len(preds)), preds]
    # Of equal probabilities the first class is predicted.
    won = (together > most) | ((together == most) & (first < preds))
    moved = np.flatnonzero(won & ~np.isin(preds, members))
    np.subtract.at(confusion, (predictions.targets[moved], preds[moved]), 1)
    np.add.at(confusion[:, first], predictions.targets[moved], 1)
    confusion[first] += confusion[others].sum(axis=0)
    confusion[:, first] += confusion[:, others].sum(axis=1)
    kept = np.setdiff1d(np.arange(len(confusion)), others)
    return np.asarray(confusion[np.ix_(kept, kept)])


def information(confusion: IntArray) -> Information:
    """The information of the labels and of the predictions, by their counts `(K, K)`.

    Mutual information is biased upwards by some (K - 1)² / (2 M ln 2) bits (Miller 1955); the
    difference that a merge makes, by less.
    """
    labels, preds = confusion.sum(axis=1), confusion.sum(axis=0)
    joint, label_entropy, pred_entropy = map(_bits, (confusion[confusion > 0], labels, preds))
    return Information(label_entropy, label_entropy + pred_entropy - joint)


def _bits(counts: IntArray) -> float:
    """The entropy of shares, in bits."""
    return float(entr(counts / counts.sum()).sum() / np.log(2))


def consequences(before: IntArray, after: IntArray, chance_gain: float) -> dict[str, Any]:
    """The figures of a merge, as in the evidence of `suggest-merges --json`.

    Args:
        before: the confusion matrix.
        after: the same with the classes merged.
        chance_gain: the accuracy that merging such classes would gain by chance.
    """
    known, known_after = information(before), information(after)
    gain = float(metrics.accuracy(after)) - float(metrics.accuracy(before))
    return {
        "gain": gain,
        "chance_gain": chance_gain,
        "gain_beyond_chance": gain - chance_gain,
        "macro_precision": float(metrics.macro_precision(before)),
        "macro_precision_after": float(metrics.macro_precision(after)),
        "bits": known.to_json(),
        "bits_lost": {
            "label": known.label_entropy - known_after.label_entropy,
            "told": known.mutual - known_after.mutual,
        },
    }


def accuracy(predictions: Predictions) -> float:
    return float(metrics.accuracy(metrics.confusion_of(predictions)))


def macro_precision(predictions: Predictions) -> float:
    return float(metrics.macro_precision(metrics.confusion_of(predictions)))


# --- photos to look at ----------------------------------------------------------------------------


def examples(predictions: Predictions, classes: Sequence[int]) -> list[dict[str, Any]]:
    """Photos of one of these classes predicted as another, the most confident of each first.

    Each with a near-duplicate of it in the predicted class, where there is one.
    """
    found = []
    for a, b in permutations(classes, 2):
        rows = np.flatnonzero((predictions.targets == a) & (predictions.preds == b))
        confident = rows[np.argsort(-predictions.probs[rows, b], kind="stable")]
        for row in first_of_groups(confident, predictions.groups)[:MAX_EXAMPLES].tolist():
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


def _twin(predictions: Predictions, row: int, target: int) -> str | None:
    """A photo of class `target` that is nearly the one of `row`."""
    same = (predictions.groups == predictions.groups[row]) & (predictions.targets == target)
    return predictions.paths[int(np.flatnonzero(same)[0])] if same.any() else None
