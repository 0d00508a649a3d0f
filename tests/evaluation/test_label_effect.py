"""What correcting labels does: the listed photos and the others are told apart."""

import numpy as np

from imgcli.evaluation.intervals import retraining
from imgcli.evaluation.label_effect import effect_of_correcting
from imgcli.records import IntArray, Predictions
from tests.support.predictions import predictions, sure

TARGETS = np.arange(200) % 2
LISTED = np.arange(10)


def wrong_at(rows: IntArray) -> Predictions:
    said = TARGETS.copy()
    said[rows] = 1 - said[rows]
    return predictions(TARGETS, sure(said, 2), fold=np.arange(200) % 10)


def test_the_fall_is_that_of_the_other_photos() -> None:
    before, after = wrong_at(np.arange(30)), wrong_at(np.arange(25, 30))
    found = effect_of_correcting(before, after, LISTED)
    assert found is not None
    assert (found.listed, found.listed_errors, found.errors, found.n) == (10, 10, 30, 190)
    assert (found.before, found.after) == (20 / 190, 5 / 190)
    assert found.fall == 15 / 190
    half = 1.96 * (found.fall * (1 - found.fall) / 190 * retraining(10)) ** 0.5
    np.testing.assert_allclose(found.ci95, (found.fall - half, found.fall + half), atol=1e-4)
    assert found.sentence() == (
        "Of 30 out-of-fold errors, 10 are the listed photos themselves. Correcting them would "
        "lower the error of the network, from 10.5 % to 2.6 % on 190 other photos (fall in points "
        "+7.9, 95 % interval +3.1 to +12.7; estimated by refitting the head in the same folds)."
    )


def test_what_cannot_be_told_and_what_would_be_worse_is_said() -> None:
    same = effect_of_correcting(wrong_at(np.arange(30)), wrong_at(np.arange(29)), LISTED)
    worse = effect_of_correcting(wrong_at(np.arange(10)), wrong_at(np.arange(60)), LISTED)
    assert same is not None and "cannot be told, from 10.5 % to 10.0 %" in same.sentence()
    assert worse is not None and worse.fall < 0 and "would raise the error" in worse.sentence()


def test_without_other_photos_there_is_nothing_to_compare() -> None:
    some = wrong_at(np.arange(5))
    assert effect_of_correcting(some, some, np.arange(200)) is None
    assert effect_of_correcting(some, some, np.arange(0)) is None
