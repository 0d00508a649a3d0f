"""What a machine can do at most, measured, and what a network asks of it."""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from imgcli.models.fused_graph import graph_of

ENOUGH = 0.5  # seconds over which a rate is measured


def gemm(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second in a square matrix product: two per multiply-add.

    The best of several sizes: of which the caches hold enough differs from CPU to CPU.
    """

    def rate(n: int) -> float:
        a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
        return 2 * n**3 * _per_second(lambda: a @ b, device)

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
        return operations * _per_second(lambda: step(images, weight, padding=1), device)
    module = nn.Conv2d(256, 256, 3, padding=1, bias=False).to(dtype)
    module.weight = nn.Parameter(weight)
    graph = graph_of(nn.Sequential(module, nn.ReLU()).eval(), images)
    return operations * _per_second(lambda: graph(images), device)


def bandwidth(device: torch.device) -> float:
    """Bytes a second in a copy much larger than the caches: each is read once and written once."""
    source = torch.zeros(2**28, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() * _per_second(lambda: target.copy_(source), device)


def operations(network: nn.Module, image: Tensor) -> int:
    """Floating-point operations of the products and convolutions for one image `(1, 3, H, W)`."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(image)
    return int(counter.get_total_flops())


def traffic(network: nn.Module, image: Tensor, bytes_each: int) -> int:
    """Bytes that the convolutions of one image must move if each reads and writes memory once.

    Weights are left out, since a batch shares them, and so is all that can be fused into the
    convolutions. So no implementation moves much less, and most move more.
    """
    moved = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal moved
        moved += (inputs[0].numel() + output.numel()) * bytes_each

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d)]
    with torch.inference_mode():
        network(image)
    for hook in hooks:
        hook.remove()
    return moved


def wait_for(device: torch.device) -> None:
    """Until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def _per_second(step: Callable[[], object], device: torch.device) -> float:
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
