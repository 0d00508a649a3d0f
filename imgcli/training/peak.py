"""What a device can compute at most, measured."""

import time
from collections.abc import Callable

import torch
from torch.nn import functional

ENOUGH = 0.3  # seconds over which a rate is measured


def peak(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second, two per multiply-add, of what goes best here."""
    return max(gemm(device, dtype), convolution(device, dtype))


def gemm(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second in a square matrix product: two per multiply-add."""
    n = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    return 2 * n**3 * per_second(lambda: a @ b, device)


def convolution(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second in a 3 × 3 convolution of 256 channels, channels last."""
    batch = 256 if device.type == "cuda" else 32
    images = torch.randn(batch, 256, 14, 14, device=device, dtype=dtype)
    weight = torch.randn(256, 256, 3, 3, device=device, dtype=dtype)
    images, weight = (x.contiguous(memory_format=torch.channels_last) for x in (images, weight))
    operations = 2 * batch * 14 * 14 * 256 * 256 * 9
    return operations * per_second(lambda: functional.conv2d(images, weight, padding=1), device)


def wait_for(device: torch.device) -> None:
    """Until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def per_second(step: Callable[[], object], device: torch.device) -> float:
    """The best rate of several stretches: what else runs on the machine only makes it slower."""
    with torch.inference_mode():
        step()
        best = 0.0
        for _ in range(3):
            wait_for(device)
            start, steps = time.perf_counter(), 0
            while (took := time.perf_counter() - start) < ENOUGH:
                step()
                wait_for(device)
                steps += 1
            best = max(best, steps / took)
    return best
