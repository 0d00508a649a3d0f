"""A learning rate by trying: one that learns, whatever the scale of the problem."""

import numpy as np
import pytest
import torch
from torch import nn

from imgcli.config import TrainConfig
from imgcli.training.inputs import FeatureInputs
from imgcli.training.lr_finder import find_rate
from imgcli.training.training_loop import train

CONFIG = TrainConfig.of(
    arch="any",
    optimizer="sgd",
    momentum=0.0,
    nesterov=False,
    epochs=5,
    batch_size=32,
    schedule="constant",
    precision="fp32",
)
ROWS = np.arange(300)


def problem(scale: float) -> tuple[FeatureInputs, torch.Tensor]:
    targets = torch.arange(300) % 3
    features = torch.randn(300, 5, generator=torch.Generator().manual_seed(0))
    features[torch.arange(300), targets] += 3
    return FeatureInputs(scale * features), targets


def head() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(5, 3)


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_the_rate_found_trains_and_suits_the_scale(scale: float) -> None:
    inputs, targets = problem(scale)
    module = head()
    rate = find_rate(module, inputs, targets, CONFIG, ROWS)
    assert torch.equal(module.weight, head().weight)  # tried on a copy
    state = train(module, inputs, targets, CONFIG.with_(lr=rate), rows=ROWS, watched={})
    losses = state.losses("train")
    assert losses[-1] < 0.7 * state.history[0]["loss"]


def test_a_batch_that_does_not_fit_is_taken_in_micro_batches_to_the_same_rate() -> None:
    class Small(nn.Linear):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            if len(features) > 8:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(features)

    torch.manual_seed(0)
    assert find_rate(Small(5, 3), *problem(1.0), CONFIG, ROWS) == pytest.approx(
        find_rate(head(), *problem(1.0), CONFIG, ROWS)
    )


def test_larger_inputs_ask_for_smaller_rates() -> None:
    rates = [find_rate(head(), *problem(scale), CONFIG, ROWS) for scale in (0.3, 30.0)]
    assert rates[0] > 10 * rates[1]
