"""A learning rate found by trying: a range test (Smith, 2017), on weights that are thrown away."""

import copy
import math

import numpy as np
import torch
from torch import Tensor, nn

from imgcli.config import TrainConfig
from imgcli.progress import track
from imgcli.records import IntArray
from imgcli.training.inputs import Inputs, in_batches
from imgcli.training.optim import default_rate, set_rate
from imgcli.training.training_loop import (
    backward,
    balanced_weights,
    new_state,
    optimizer_step,
    set_train_mode,
)

_RATES = (1e-6, 10.0)
_STEPS = 100
_SMOOTH = 0.9  # decay of the moving average of the loss
_RISEN = 2.0  # times the lowest loss, at which the test ends
_BELOW = 10.0  # the rate with the lowest loss over the rate taken
# Times the default rate, at most: a problem without training errors never shows too high a rate.
_MAX_FACTOR = 100.0


def find_rate(
    module: nn.Module, inputs: Inputs, targets: Tensor, config: TrainConfig, rows: IntArray
) -> float:
    """A peak learning rate for training `module` on `rows`.

    A hundred steps with rates that rise by the same factor from 1e-6 to 10; a tenth of the rate at
    which the smoothed loss was least, or 100 times the optimizer's default rate if that is less.
    """
    rates = np.geomspace(*_RATES, _STEPS)
    config = config.with_(lr=float(rates[0]), ema=None)
    optim = config.optim
    assert optim.batch_size and optim.epochs
    state = new_state(copy.deepcopy(module), optim)
    weights = balanced_weights(targets, rows)
    set_train_mode(state.module, config.model, optim.epochs)  # the last: nothing is frozen then
    torch.manual_seed(config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    order = np.random.default_rng(config.seed).permutation(rows)
    batches = in_batches(order, min(optim.batch_size, len(rows)))
    average, least, found = 0.0, math.inf, float(rates[0])
    for step, rate in enumerate(track(rates, "Finding a learning rate", unit="steps")):
        batch = batches[step % len(batches)]
        set_rate(state.optimizer, float(rate))
        images = inputs.train_batch(batch, generator)
        loss = float(backward(state, optim, images, targets[batch], weights)[0])
        if not math.isfinite(loss):
            break
        average = _SMOOTH * average + (1 - _SMOOTH) * loss
        smooth = average / (1 - _SMOOTH ** (step + 1))
        if smooth > _RISEN * least:
            break
        if smooth < least:
            least, found = smooth, float(rate)
        optimizer_step(state, optim)
    return min(found / _BELOW, _MAX_FACTOR * default_rate(optim.optimizer or ""))
