"""What a machine can do at most, measured, and what a network asks of it."""

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from imgcli.training.peak import convolution, gemm, per_second, wait_for

__all__ = ["bandwidth", "convolution", "gemm", "operations", "traffic", "wait_for"]


def bandwidth(device: torch.device) -> float:
    """Bytes a second in a copy much larger than the caches: each is read once and written once."""
    source = torch.zeros(2**28, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() * per_second(lambda: target.copy_(source), device)


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
