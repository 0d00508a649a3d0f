"""The mean of several models: hand-counted, and only of what belongs together."""

from dataclasses import replace

import numpy as np
import pytest

from imgcli.errors import RunError, WrongUsage
from imgcli.evaluation.evaluate import average
from imgcli.records import Predictions


def predictions(probs: list[list[float]]) -> Predictions:
    n = len(probs)
    return Predictions(
        classes=("cat", "dog"),
        indices=np.arange(n),
        targets=np.zeros(n, dtype=np.int64),
        probs=np.array(probs),
        fold=np.arange(n) % 2,
        groups=np.arange(n),
        paths=tuple(f"{i}.jpg" for i in range(n)),
        on="train",
    )


ONE, TWO = predictions([[0.9, 0.1], [0.4, 0.6]]), predictions([[0.5, 0.5], [0.8, 0.2]])


def test_probabilities_are_averaged_photo_by_photo() -> None:
    both = average([ONE, TWO])
    np.testing.assert_allclose(both.probs, [[0.7, 0.3], [0.6, 0.4]])
    assert both.preds.tolist() == [0, 0] and both.paths == ONE.paths


def test_one_alone_is_itself() -> None:
    np.testing.assert_array_equal(average([ONE]).probs, ONE.probs)


@pytest.mark.parametrize(
    ("other", "error", "message"),
    [
        (replace(TWO, classes=("cat", "cow")), RunError, "different classes"),
        (replace(TWO, paths=("0.jpg", "9.jpg")), RunError, "different photos"),
        (replace(TWO, fold=np.array([1, 0])), WrongUsage, "divide the folds differently"),
    ],
)
def test_what_does_not_belong_together_has_no_mean(
    other: Predictions, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        average([ONE, other])
