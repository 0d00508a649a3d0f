"""What a device can compute at most, measured."""

import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from imgcli.models.fused_graph import graph_of
from imgcli.training.device import wait_for

ENOUGH = 0.3  # seconds over which a rate is measured


def peak(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second, two per multiply-add, of what goes best here."""
    return max(gemm(device, dtype), convolution(device, dtype))


def gemm(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second in a square matrix product: two per multiply-add.

    The best of several sizes: of which the caches hold enough differs from CPU to CPU.
    """

    def rate(n: int) -> float:
        a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
        return 2 * n**3 * per_second(lambda: a @ b, device)

    return max(rate(n) for n in ((8192,) if device.type == "cuda" else (512, 1024, 2048)))


def convolution(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second in a 3 × 3 convolution of 256 channels, channels last.

    On a CPU with its weights laid out beforehand: as it comes, PyTorch does that at each batch.
    """
    batch = 256 if device.type == "cuda" else 32
    images = torch.randn(batch, 256, 14, 14, device=device, dtype=dtype)
    weight = torch.randn(256, 256, 3, 3, device=device, dtype=dtype)
    images, weight = (x.contiguous(memory_format=torch.channels_last) for x in (images, weight))
    operations = 2 * batch * 14 * 14 * 256 * 256 * 9
    if device.type != "cpu":
        step = functional.conv2d
        return operations * per_second(lambda: step(images, weight, padding=1), device)
    module = nn.Conv2d(256, 256, 3, padding=1, bias=False).to(dtype)
    module.weight = nn.Parameter(weight)
    graph = graph_of(nn.Sequential(module, nn.ReLU()).eval(), images)
    return operations * per_second(lambda: graph(images), device)


def per_second(step: Callable[[], object], device: torch.device) -> float:
    """The best rate of several stretches: what else runs on the machine only makes it slower.

    On a CPU a second is one of processor time of each thread.
    """
    cpu = device.type == "cpu"

    def clock() -> float:
        return time.process_time() / torch.get_num_threads() if cpu else time.perf_counter()

    with torch.inference_mode():
        step()
        best = 0.0
        for _ in range(3):
            wait_for(device)
            start, steps = clock(), 0
            while (took := clock() - start) < ENOUGH:
                step()
                wait_for(device)
                steps += 1
            best = max(best, steps / took)
    return best
