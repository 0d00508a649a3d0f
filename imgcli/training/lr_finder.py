"""A learning rate found by trying: a range test (Smith, 2017), on weights that are thrown away."""

import copy
import math

import numpy as np
import torch
from torch import Tensor, nn

from imgcli.config import TrainConfig
from imgcli.progress import track
from imgcli.records import IntArray
from imgcli.training.checkpoint import State
from imgcli.training.inputs import Inputs, in_batches
from imgcli.training.optim import set_rate, usual_rate
from imgcli.training.training_loop import Learner

_RATES = (1e-6, 10.0)
_STEPS = 100
_SMOOTH = 0.9  # share of the loss so far in its moving average
_RISEN = 2.0  # times the least loss: nothing is to be learnt from larger rates
_BELOW = 10.0  # the rate taken is so many times below the one with the least loss
# Times the usual rate, at most: what is learnt without a mistake never shows a rate to be too high.
_MOST = 100.0


def find_rate(
    module: nn.Module, inputs: Inputs, targets: Tensor, config: TrainConfig, rows: IntArray
) -> float:
    """A peak learning rate for training `module` on `rows`.

    A hundred steps with rates that rise by the same factor from 1e-6 to 10; a tenth of the rate at
    which the smoothed loss was least, or 100 times the optimizer's usual rate if that is less.
    """
    rates = np.geomspace(*_RATES, _STEPS)
    config = config.with_(lr=float(rates[0]), ema=None)
    assert config.optim.batch_size and config.optim.epochs
    learner, state = Learner(copy.deepcopy(module), inputs, targets, config, rows, None), State()
    learner.begin(config.optim.epochs)  # the last of them: all that is to learn learns
    torch.manual_seed(config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    order = np.random.default_rng(config.seed).permutation(rows)
    batches = in_batches(order, min(config.optim.batch_size, len(rows)))
    average, least, found = 0.0, math.inf, float(rates[0])
    for step, rate in enumerate(track(rates, "Finding a learning rate", unit="steps")):
        batch = batches[step % len(batches)]
        set_rate(learner.optimizer, float(rate))
        images = inputs.train_batch(batch, generator)
        loss, _ = learner.gradient(images, targets[batch], state)
        if not math.isfinite(loss):
            break
        average = _SMOOTH * average + (1 - _SMOOTH) * loss
        smooth = average / (1 - _SMOOTH ** (step + 1))
        if smooth > _RISEN * least:
            break
        if smooth < least:
            least, found = smooth, float(rate)
        learner.step(state)
    return min(found / _BELOW, _MOST * usual_rate(config.optim.optimizer or ""))
