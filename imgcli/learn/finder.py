"""A learning rate found by trying: a range test (Smith, 2017), on weights that are thrown away."""

import copy
import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from imgcli.learn.arithmetic import autocast
from imgcli.learn.inputs import Inputs, in_batches
from imgcli.learn.optim import make_optimizer, set_rate
from imgcli.progress import track
from imgcli.records import IntArray, TrainConfig

_RATES = (1e-6, 10.0)
_STEPS = 100
_SMOOTH = 0.9  # share of the loss so far in its moving average
_RISEN = 2.0  # times the least loss: nothing is to be learnt from larger rates
_BELOW = 10.0  # the rate taken is so many times below the one with the least loss


def find_rate(
    module: nn.Module, inputs: Inputs, targets: Tensor, config: TrainConfig, rows: IntArray
) -> float:
    """A peak learning rate for training `module` on `rows`.

    A hundred steps with rates that rise by the same factor from 1e-6 to 10; a tenth of the rate at
    which the smoothed loss was least.
    """
    assert config.batch_size
    module = copy.deepcopy(module).train()
    rates = np.geomspace(*_RATES, _STEPS)
    optimizer = make_optimizer(module, config.with_(lr=float(rates[0])))
    torch.manual_seed(config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    order = np.random.default_rng(config.seed).permutation(rows)
    batches = in_batches(order, min(config.batch_size, len(rows)))
    average, least, found = 0.0, math.inf, float(rates[0])
    for step, rate in enumerate(track(rates, "Finding a learning rate", unit="steps")):
        batch = batches[step % len(batches)]
        set_rate(optimizer, float(rate))
        images = inputs.train_batch(batch, generator)
        with autocast(images.device, config.precision):
            logits = module(images).float()
        loss = functional.cross_entropy(logits, targets[batch])
        if not math.isfinite(loss.item()):
            break
        average = _SMOOTH * average + (1 - _SMOOTH) * loss.item()
        smooth = average / (1 - _SMOOTH ** (step + 1))
        if smooth > _RISEN * least:
            break
        if smooth < least:
            least, found = smooth, float(rate)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return found / _BELOW
