"""The rough inverse of the curvature that L-BFGS begins from."""

import pytest
import torch

from imgcli.training.probe.directions import Directions
from imgcli.training.probe.logistic import fit_softmax


@pytest.mark.parametrize("photos", [30, 300])  # fewer and more than features
def test_it_is_the_inverse_for_all_that_the_features_show(photos: int) -> None:
    generator = torch.Generator().manual_seed(0)
    features = (
        torch.randn(photos, 50, generator=generator) @ torch.randn(50, 50, generator=generator) + 3
    )
    x = (features - features.mean(0)) / features.std(0, unbiased=False)
    hessian = 0.2 * x.T @ x / photos + 0.05 * torch.eye(50)
    expected = x.T @ torch.randn(photos, 4, generator=generator) / photos  # as gradients are
    gradient = hessian @ expected
    found = Directions.of(features).times_inverse(
        gradient[None], torch.tensor([0.2]), torch.tensor([0.05])
    )
    torch.testing.assert_close(found[0], expected, rtol=1e-2, atol=1e-3)


def test_features_that_are_constant_have_no_direction() -> None:
    found = Directions.of(torch.full((20, 6), 3.0))
    assert found.basis.shape == (6, 0)
    step = found.times_inverse(torch.ones(1, 6, 2), torch.tensor([0.2]), torch.tensor([0.05]))
    assert step.isfinite().all()


def test_features_of_few_directions_are_solved_in_few_iterations() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(400) % 5
    spectrum = (1 + torch.arange(200.0)) ** -1
    noise = torch.randn(400, 200, generator=generator)
    hidden = (torch.randn(5, 200, generator=generator)[targets] / 2 + noise) * spectrum
    features = hidden @ torch.linalg.qr(torch.randn(200, 200, generator=generator)).Q
    rows, l2_penalties = torch.ones(1, 400, dtype=torch.bool), torch.full((1,), 0.03)
    heads = fit_softmax(features, targets, rows, l2_penalties, classes=5)
    assert len(heads.path) <= 15
