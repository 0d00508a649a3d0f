"""What a merge of classes would do, told from predictions that know the classes apart."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import entropy

from imgcli.evaluation import metrics
from imgcli.records import Predictions


@dataclass(frozen=True)
class Bits:
    """What a label says, in bits per photo, by the photos that were counted."""

    label: float  # entropy of the labels: what knowing a photo's class says
    told: float  # mutual information of label and prediction: how much of it the model tells

    def to_json(self) -> dict[str, float]:
        return {"label": self.label, "told": self.told}


def merged_predictions(predictions: Predictions, merged: Sequence[int]) -> Predictions:
    """The predictions with the classes numbered `merged` made one, called by the first's name.

    Their probabilities are added up before the most probable class is taken: a model that knows
    only the merged class has no reason to split its belief, so this says more than relabelling
    the confusion matrix, where a photo can be lost to a third class between two half-believed ones.
    """
    if len(merged) < 2:
        return predictions
    first = np.arange(len(predictions.classes))
    first[list(merged)] = min(merged)
    kept, place = np.unique(first, return_inverse=True)
    probs = predictions.probs[:, kept]
    probs[:, place[min(merged)]] = predictions.probs[:, list(merged)].sum(axis=1)
    return replace(
        predictions,
        classes=tuple(predictions.classes[i] for i in kept),
        targets=place[predictions.targets],
        probs=probs,
    )


def bits(predictions: Predictions) -> Bits:
    """The information of the labels and of the predictions.

    Both are those of the counts, so a little is told even by a coin: some (K - 1)² / (2 M ln 2)
    bits (Miller 1955), which the difference that a merge makes has less of.
    """
    confusion = metrics.confusion_of(predictions)
    label, said = confusion.sum(axis=1), confusion.sum(axis=0)
    joint = entropy(confusion.ravel(), base=2)
    known = float(entropy(label, base=2))
    return Bits(known, known + float(entropy(said, base=2)) - float(joint))


def consequences(
    predictions: Predictions, merged: Sequence[int], chance_gain: float
) -> dict[str, Any]:
    """Figures before and after a merge.

    Args:
        chance_gain: the accuracy that merging such classes would gain by chance.
    """
    after = merged_predictions(predictions, merged)
    before_bits, after_bits = bits(predictions), bits(after)
    gain = accuracy(after) - accuracy(predictions)
    return {
        "gain": gain,
        "chance_gain": chance_gain,
        "gain_beyond_chance": gain - chance_gain,
        "macro_precision": macro_precision(predictions),
        "macro_precision_after": macro_precision(after),
        "bits": before_bits.to_json(),
        "bits_lost": {
            "label": before_bits.label - after_bits.label,
            "told": before_bits.told - after_bits.told,
        },
    }


def accuracy(predictions: Predictions) -> float:
    return float(metrics.accuracy(metrics.confusion_of(predictions)))


def macro_precision(predictions: Predictions) -> float:
    return float(metrics.macro_precision(metrics.confusion_of(predictions)))
