"""A learning rate found by trying: a range test (Smith, 2017), on weights that are thrown away."""

import copy
import math

import numpy as np
import torch
from torch import Tensor, nn

from imgcli.config import OptimConfig, TrainConfig
from imgcli.progress import track
from imgcli.records import IntArray
from imgcli.training.device import to_device
from imgcli.training.inputs import Inputs, in_batches
from imgcli.training.optim import default_rate, set_rate
from imgcli.training.training_loop import (
    backward,
    balanced_weights,
    new_state,
    optimizer_step,
    prepared,
    set_train_mode,
)

_RATES = (1e-6, 10.0)
_STEPS = 100
_READ_EVERY = 10  # steps, on a GPU: it does not wait to be asked for each loss
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
    at_once = 1 if targets.device.type == "cpu" else _READ_EVERY
    average, least, found = 0.0, math.inf, float(rates[0])
    losses: list[Tensor] = []
    for step, rate in enumerate(track(rates, "Finding a learning rate", unit="steps")):
        batch = batches[step % len(batches)]
        set_rate(state.optimizer, float(rate))
        images = prepared(inputs, batch, generator)
        labels = targets[to_device(batch, targets.device)]
        losses.append(
            backward(state, optim, images, labels, weights, make_room=inputs.make_room)[0]
        )
        optimizer_step(state, optim)
        if len(losses) < at_once and step + 1 < _STEPS:
            continue
        for i, loss in enumerate(torch.stack(losses).tolist(), step + 1 - len(losses)):
            average = _SMOOTH * average + (1 - _SMOOTH) * loss
            smooth = average / (1 - _SMOOTH ** (i + 1))
            if not math.isfinite(loss) or smooth > _RISEN * least:
                return _below(found, optim)
            if smooth < least:
                least, found = smooth, float(rates[i])
        losses = []
    return _below(found, optim)


def _below(found: float, optim: OptimConfig) -> float:
    """The rate to take, of the one with the lowest loss."""
    return min(found / _BELOW, _MAX_FACTOR * default_rate(optim.optimizer or ""))
