"""Ridge regressions by downdating: each is exactly the one that it would be alone."""

import numpy as np
import pytest
import sklearn.linear_model
import torch
from torch.nn import functional

from imgcli.training.probe.ridge import Ridge
from tests.support.features import K, M, masks, problem


@pytest.mark.parametrize("share", ["most", "few"])  # downdated, and summed anew
@pytest.mark.parametrize("l2_penalty", [3.0, 0.1, 0.001])
def test_every_fold_is_the_ridge_regression_that_scikit_learn_finds(
    share: str, l2_penalty: float
) -> None:
    features, targets = problem()
    rows = masks(4) if share == "most" else ~masks(4)
    heads = Ridge(features, targets, K)(rows, torch.full((4,), l2_penalty))
    for fold in range(4):
        x, y = features[rows[fold]].double().numpy(), targets[rows[fold]]
        mean, deviation = x.mean(0), x.std(0)
        labels = functional.one_hot(y, K).double().numpy()
        oracle = sklearn.linear_model.Ridge(alpha=l2_penalty * len(x))
        oracle.fit((x - mean) / deviation, labels)
        every = (features.double().numpy() - mean) / deviation
        np.testing.assert_allclose(
            heads.logits(features)[fold].numpy(), oracle.predict(every), atol=2e-4
        )
        misfit = np.square(oracle.predict((x - mean) / deviation) - labels).sum(1).mean()
        objective = misfit / 2 + l2_penalty / 2 * np.square(oracle.coef_).sum()
        assert float(heads.path[-1, fold]) == pytest.approx(objective, rel=1e-4)


def test_features_with_large_offsets_lose_nothing_to_downdating() -> None:
    features, targets = problem()
    rows, l2_penalties = masks(10), torch.full((10,), 0.01)
    near = Ridge(features, targets, K)(rows, l2_penalties)
    far = Ridge(features.double() + 1e6, targets, K)(rows, l2_penalties)  # deviations 0.01 to 100
    torch.testing.assert_close(far.path, near.path, rtol=1e-4, atol=0)


def test_a_feature_that_never_varies_does_no_harm() -> None:
    features, targets = problem()
    constant = torch.cat([features, torch.full((M, 1), 7.0)], dim=1)
    rows, l2_penalties = masks(3), torch.full((3,), 0.1)
    with_it = Ridge(constant, targets, K)(rows, l2_penalties).logits(constant)
    without = Ridge(features, targets, K)(rows, l2_penalties).logits(features)
    torch.testing.assert_close(with_it, without, rtol=1e-4, atol=1e-4)
