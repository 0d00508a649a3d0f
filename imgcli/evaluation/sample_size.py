"""The sample-size check: whether finding nothing means anything."""

import numpy as np

from imgcli.records import Predictions
from imgcli.text import count


def too_few(predictions: Predictions, least: int, question: str) -> str | None:
    """The sentence for where finding nothing says nothing; None where there are photos enough.

    Near-duplicates count once.

    Args:
        least: photos that it takes; two classes must have two of them each besides.
        question: what cannot be told, as it follows "too few to tell".
    """
    n = len(np.unique(predictions.groups))
    in_class = np.unique(np.stack([predictions.targets, predictions.groups]), axis=1)[0]
    sizes = np.sort(np.bincount(in_class, minlength=2))
    if n >= least and sizes[-2] >= 2:
        return None
    copies = ", near-duplicates counted once," if n < len(predictions) else ""
    return (
        f"{count(n, 'photo')}{copies} {'is' if n == 1 else 'are'} too few to tell {question}: it "
        f"takes {least}, two of them in each of two classes. Add photos and evaluate again: imgcli "
        "evaluate --folds 10"
    )
