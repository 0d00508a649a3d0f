"""Where and how numbers are computed: the device, and fp32 or bf16 on it."""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from imgcli.errors import WrongUsage

BATCH = 64  # photos at once where nothing is learnt
PRECISIONS = ("auto", "fp32", "bf16")
_WORTH = 1.15  # bf16 must be this many times as fast, so that noise does not decide
_CLEAR = 1.5  # times as fast: no more turns are needed
_TURNS = 3  # measured, at most


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is the GPU where there is one.

    Raises:
        WrongUsage: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise WrongUsage(f"--device {name} is not known; use auto, cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise WrongUsage("--device cuda: this machine has no CUDA GPU that torch can use; use cpu.")
    return torch.device(name)


def choose_precision(
    requested: str, device: torch.device, prepare: Callable[[], Callable[[str], object]]
) -> str:
    """Settle "auto" by running a step in both precisions by turns, until one is clearly faster.

    Args:
        prepare: makes the step, which takes the precision; called only if there is a choice.

    Raises:
        WrongUsage: an unknown precision.
    """
    if requested not in PRECISIONS:
        raise WrongUsage(f"--precision {requested} is not known; use {', '.join(PRECISIONS)}.")
    if requested != "auto":
        return requested
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    step = prepare()
    seconds = {"fp32": math.inf, "bf16": math.inf}
    for turn in range(_TURNS + 1):
        for precision in seconds:
            start = time.perf_counter()
            step(precision)
            if turn:  # the first prepares
                seconds[precision] = min(seconds[precision], time.perf_counter() - start)
        if turn and max(seconds.values()) > _CLEAR * min(seconds.values()):
            break
    return preferred(seconds)


def preferred(seconds: Mapping[str, float]) -> str:
    """The precision to use, by what the same work takes in each."""
    return "bf16" if seconds["fp32"] > _WORTH * seconds["bf16"] else "fp32"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Compute in `precision`; weights stay in fp32 either way."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def forward(
    module: Callable[[Tensor], Tensor], images: Tensor, precision: str, flipped: bool = False
) -> Tensor:
    """Run a module that is in eval mode without learning; the result in float32.

    Args:
        flipped: the mean of what it gives for the images and for their mirror images.
    """
    with torch.inference_mode(), autocast(images.device, precision):
        out: Tensor = module(images).float()
        if flipped:
            out = (out + module(images.flip(-1)).float()) / 2
    return out
