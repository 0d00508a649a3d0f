"""Whether there are photos enough for silence to mean anything."""

import numpy as np

from imgcli.records import Predictions
from imgcli.wording import count


def too_few(predictions: Predictions, least: int, question: str) -> str | None:
    """The sentence for where finding nothing says nothing; None where there are photos enough.

    Args:
        least: photos that it takes; two classes must have two of them each besides.
        question: what cannot be told, as it follows "too few to tell".
    """
    n = len(predictions)
    sizes = np.sort(np.bincount(predictions.targets, minlength=2))
    if n >= least and sizes[-2] >= 2:
        return None
    return (
        f"{count(n, 'photo')} {'is' if n == 1 else 'are'} too few to tell {question}: it takes "
        f"{least}, two of them in each of two classes. Add photos and judge again: imgcli evaluate "
        "--folds 10"
    )
