"""Several models' predictions of the same photos as one model's: their mean."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from imgcli.errors import RunError, WrongUsage
from imgcli.records import Predictions


def average(each: Sequence[Predictions]) -> Predictions:
    """The mean of the probabilities (bagging, where the models were trained on bootstrap samples).

    Out-of-fold predictions stay so only where every model held a photo out in the same fold.

    Raises:
        RunError: other classes, or other photos.
        WrongUsage: other folds.
    """
    first = each[0]
    for other in each[1:]:
        if other.classes != first.classes:
            raise RunError("These runs have different classes; their probabilities have no mean.")
        if other.paths != first.paths:
            raise RunError("These runs were scored on different photos. Name one with --data.")
        if not np.array_equal(other.fold, first.fold):
            raise WrongUsage("These runs divide the folds differently; give all one --seed.")
    return replace(first, probs=np.mean([predictions.probs for predictions in each], axis=0))
