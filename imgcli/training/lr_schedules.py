"""The course of the learning rate: what share of its peak it has at each moment of a training.

Functions of the moment and of the validation losses so far, so that a resumed training goes on as
if it had not stopped.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from imgcli.config import OptimConfig


class Moment(NamedTuple):
    """Where a training is."""

    share: float  # of the training after its warm-up that is done
    epochs: float  # done, the warm-up's included
    losses: Sequence[float]  # on the validation rows, after each epoch
    config: OptimConfig


def _step(moment: Moment) -> float:
    every, factor = _decay_of(moment.config)
    return float(factor ** math.floor(moment.epochs / every))


def _exponential(moment: Moment) -> float:
    every, factor = _decay_of(moment.config)
    return float(factor ** (moment.epochs / every))


def _plateau(moment: Moment) -> float:
    every, factor = _decay_of(moment.config)
    return float(factor ** plateaus(moment.losses, every))


# How the rate falls once it has reached its peak.
SCHEDULES: dict[str, Callable[[Moment], float]] = {
    "cosine": lambda moment: 0.5 * (1 + math.cos(math.pi * moment.share)),
    "one-cycle": lambda moment: 1 - moment.share,  # in a line to nothing (Smith, 2018)
    "step": _step,
    "exponential": _exponential,
    "plateau": _plateau,
    "constant": lambda moment: 1.0,
}
# Share of the epochs in which it rises, unless --warmup says otherwise.
WARM = {"cosine": 0.05, "one-cycle": 0.2}
# Epochs and factor of a fall, unless --decay-every and --decay-factor say otherwise; the epochs of
# "step" are a third of all.
DECAYS = {"step": (None, 0.1), "exponential": (1.0, 0.95), "plateau": (5.0, 0.1)}


def rate_at(config: OptimConfig, epochs: float, losses: Sequence[float] = ()) -> float:
    """Share of the peak learning rate when so many epochs are done.

    Args:
        losses: on the validation rows, after each epoch so far.
    """
    assert config.epochs and config.schedule
    warm = config.warmup or 0.0
    if epochs < warm:
        return epochs / warm
    share = (epochs - warm) / (config.epochs - warm) if config.epochs > warm else 1.0
    return SCHEDULES[config.schedule](Moment(share, epochs, losses, config))


def plateaus(losses: Sequence[float], patience: float) -> int:
    """How often `patience` epochs in a row have passed without a smaller loss than ever before."""
    found, since, best = 0, 0, math.inf
    for loss in losses:
        since = 0 if loss < best else since + 1
        best = min(best, loss)
        if since >= patience:
            found, since = found + 1, 0
    return found


def _decay_of(config: OptimConfig) -> tuple[float, float]:
    assert config.decay_every and config.decay_factor
    return config.decay_every, config.decay_factor
