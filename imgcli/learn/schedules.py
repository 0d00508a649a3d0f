"""The course of the learning rate: what share of its peak it has at each step.

Functions of the step alone, so that a resumed training cannot restart them.
"""

import math
from collections.abc import Callable


def _cosine(share: float) -> float:
    """Up in a line for the first 5 %, down in half a cosine."""
    return _up_and_down(share, 0.05, lambda rest: 0.5 * (1 + math.cos(math.pi * rest)))


def _one_cycle(share: float) -> float:
    """Up in a line for the first 20 %, down in a line to nothing (Smith, 2018)."""
    return _up_and_down(share, 0.2, lambda rest: 1 - rest)


def _up_and_down(share: float, warm: float, down: Callable[[float], float]) -> float:
    return share / warm if share < warm else down((share - warm) / (1 - warm))


SCHEDULES: dict[str, Callable[[float], float]] = {
    "cosine": _cosine,
    "one-cycle": _one_cycle,
    "constant": lambda share: 1.0,
}


def rate_at(schedule: str, step: int, steps: int) -> float:
    """Share of the peak learning rate at a step, from 0, of so many."""
    return SCHEDULES[schedule]((step + 0.5) / steps)
