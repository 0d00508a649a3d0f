"""Where and how numbers are computed: the device, and fp32 or bf16 on it."""

import ctypes
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
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # their numbers in malloc.h


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is the GPU where there is one.

    Raises:
        WrongUsage: no such device here.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise WrongUsage(f"--device {name} is not known; use auto, cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise WrongUsage("--device cuda: this machine has no CUDA GPU that torch can use; use cpu.")
    if name == "cpu" or not torch.cuda.is_available():
        keep_freed_memory()
        return torch.device("cpu")
    return torch.device("cuda")


def keep_freed_memory() -> None:
    """Ask the C library to use freed memory again instead of giving it back to the system.

    A network makes and drops tensors of many megabytes all the time. As it comes, glibc gets each
    from the system, which clears it page by page: a fifth of the time of ResNet101's forward pass
    on a CPU, and three quarters of what it takes to normalise a batch. Kept are blocks of up to
    256 MB, for 1 to 16 % more memory at most; with 1 GB the gaps between larger ones grew to three
    times the memory in use.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's; others have none
    if set_option is not None:
        set_option(_MMAP_THRESHOLD, 1 << 28)
        set_option(_TRIM_THRESHOLD, (1 << 31) - 1)


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


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether there was no memory left, on a GPU or beside the CPU."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
