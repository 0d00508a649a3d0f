"""A network that looks at many photos and learns nothing, as fast as this machine can."""

import logging
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from imgcli.learn.arithmetic import forward
from imgcli.models.folding import fold_batch_norm
from imgcli.records import Preprocess

# Compiling takes 5 to 40 seconds and makes what is folded and in bf16 already 1.1 (resnet101) to
# 1.25 times (mobilenetv2_100) as fast on two cores with AVX512-BF16.
LONG = 120.0  # seconds of looking still to come, from which on that is tried


def for_looking(backbone: nn.Module, preprocess: Preprocess, device: torch.device) -> nn.Module:
    """A copy of a backbone that gives the same features faster, and cannot learn."""
    generator = torch.Generator().manual_seed(0)
    shape = (2, preprocess.channels, preprocess.size, preprocess.size)
    noise = torch.randn(shape, generator=generator)
    folded = fold_batch_norm(backbone, noise)
    return folded.to(device).to(memory_format=torch.channels_last)


class Looker:
    """Runs a module over equal batches; compiles it if that will save more time than it takes.

    Args:
        batches: how many there will be.
        flipped: look at the mirror images too, and take the mean.
    """

    def __init__(self, module: nn.Module, precision: str, flipped: bool, batches: int) -> None:
        self._run: Callable[[Tensor], Tensor] = module
        self._eager = module
        self._shape: torch.Size | None = None  # of the batches that the compiled module takes
        self._precision = precision
        self._flipped = flipped
        self._left = batches
        self._seconds: list[float] = []

    def __call__(self, images: Tensor) -> Tensor:
        """Features or logits of images `(B, C, S, S)`, float32 on the CPU."""
        run = self._run if images.shape == self._shape else self._eager
        seconds, out = self._timed(run, images)
        self._left -= 1
        self._seconds.append(seconds)
        if len(self._seconds) == 3 and min(self._seconds) * self._left > LONG:
            self._try_to_compile(images, min(self._seconds))
        return out

    def _timed(self, run: Callable[[Tensor], Tensor], images: Tensor) -> tuple[float, Tensor]:
        start = time.perf_counter()
        out = forward(run, images, self._precision, self._flipped).cpu()  # waits for a GPU
        return time.perf_counter() - start, out

    def _try_to_compile(self, images: Tensor, eager_seconds: float) -> None:
        """Compile, and keep it if it is faster: a machine without a compiler goes on as it was."""
        logging.getLogger("torch").setLevel(logging.ERROR)
        try:
            with warnings.catch_warnings(action="ignore"):
                compiled = torch.compile(self._eager, dynamic=False, options={"freezing": True})
                self._timed(compiled, images)
                seconds, _ = self._timed(compiled, images)
        except Exception:  # of many kinds, and none of them a reason to stop
            return
        if seconds < eager_seconds:
            self._run, self._shape = compiled, images.shape
