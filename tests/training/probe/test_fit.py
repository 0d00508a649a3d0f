"""Heads of specs: what a config asks of them."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from imgcli.config import TrainConfig
from imgcli.training.context import FitSpec
from imgcli.training.fitting import fit_all
from imgcli.training.probe.fit import ENOUGH, validation_folds
from tests.support.features import HEAD, context_of


@pytest.mark.parametrize("balance", ["loss", "sample"])
def test_a_balanced_head_weighs_all_classes_the_same(balance: str) -> None:
    rng = np.random.default_rng(0)
    targets = np.repeat([0, 1], [180, 20])
    features = rng.normal(size=(200, 4)) + targets[:, None]
    tensor = torch.from_numpy(features).float()
    found = {}
    for choice in (None, balance):
        config = TrainConfig.of(arch="resnet18", freeze=True, weight_decay=0.01, balance=choice)
        context = context_of(tensor, targets, config)
        (fitted,) = fit_all(context, [FitSpec(np.arange(200))])
        assert isinstance(fitted.module, torch.nn.Linear)
        found[choice] = fitted.module(tensor).argmax(1).numpy()
    assert (found[balance][180:] == 1).mean() > (found[None][180:] == 1).mean() + 0.2
    scale = features.std(axis=0)
    theirs = LogisticRegression(C=1 / 0.01 / 200, class_weight="balanced", tol=1e-8)
    said = theirs.fit((features - features.mean(axis=0)) / scale, targets).predict(
        (features - features.mean(axis=0)) / scale
    )
    assert (said == found[balance]).mean() > 0.98


def test_inner_folds_are_fitted_until_enough_photos_are_held_out() -> None:
    for n, folds in ((300, 3), (3 * ENOUGH - 6, 2), (3 * ENOUGH, 1)):
        targets = np.arange(n) % 3
        context = context_of(torch.zeros(n, 2), targets, HEAD)
        pairs = validation_folds(context, FitSpec(np.arange(n)))
        held = np.concatenate([rows for _, rows in pairs])
        assert len(pairs) == folds and len(np.unique(held)) == len(held)
        assert folds == 3 or len(held) >= ENOUGH
        assert all(np.intersect1d(fit, rows).size == 0 for fit, rows in pairs)
