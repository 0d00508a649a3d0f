"""Folds are scikit-learn's, to the photo."""

import warnings

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from imgcli.training.stratified_folds import stratified_group_folds


@settings(max_examples=60, deadline=None)
@given(
    k=st.integers(2, 12),
    classes=st.sampled_from([2, 3, 7, 9, 30, 150]),
    photos=st.integers(30, 400),
    groups=st.sampled_from([None, 0.1, 0.5, 0.9]),
    uneven=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_folds_are_those_of_scikit_learn(
    k: int, classes: int, photos: int, groups: float | None, uneven: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, classes, photos)
    if uneven:
        targets = np.minimum(targets, rng.integers(0, classes, photos))
    of = np.arange(photos) if groups is None else rng.integers(0, int(photos * groups) + k, photos)
    assume(np.bincount(targets).max() >= k and len(np.unique(of)) >= k)

    expected = np.empty(photos, np.int64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        folder = StratifiedGroupKFold(k, shuffle=True, random_state=seed)
        for number, (_, held) in enumerate(folder.split(targets, targets, of)):
            expected[held] = number
    assert np.array_equal(stratified_group_folds(targets, of, k, seed), expected)
