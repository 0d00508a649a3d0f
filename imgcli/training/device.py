"""Where and how numbers are computed: the device, and a forward pass on it."""

import ctypes
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from imgcli.compute.launch import local_rank, processes
from imgcli.config import check_device
from imgcli.errors import WrongUsage
from imgcli.models.averaged_views import mean_over_views
from imgcli.records import ONE_VIEW, AveragedViews

BATCH = 64  # photos at once, in eval mode
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # their numbers in malloc.h


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is the GPU where there is one.

    Raises:
        WrongUsage: no such device here.
    """
    check_device(name)
    if name == "cuda" and not torch.cuda.is_available():
        raise WrongUsage("--device cuda: this machine has no CUDA GPU that torch can use; use cpu.")
    if name == "cpu" or not torch.cuda.is_available():
        keep_freed_memory()
        return torch.device("cpu")
    if processes() > 1:
        _use_own_gpu()
    return torch.device("cuda")


def _use_own_gpu() -> None:
    """Make "cuda" the GPU of this process, of the several that torchrun has started.

    Raises:
        WrongUsage: there are fewer GPUs than processes on this machine.
    """
    number, here = local_rank(), torch.cuda.device_count()
    if number >= here:
        raise WrongUsage(
            f"Process {number} of this machine has no GPU: there are {here}. Use torchrun "
            f"--nproc-per-node {here}, or --device cpu."
        )
    torch.cuda.set_device(number)


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


def as_many_threads(n: int) -> None:
    """Compute on n threads of the CPU: with another number, sums are added in another order."""
    if torch.get_num_threads() != n:
        torch.set_num_threads(n)


def to_device(values: NDArray[Any] | Tensor, device: torch.device) -> Tensor:
    """Values of this machine's memory as a tensor on a device.

    To a GPU through pinned memory: nothing waits for the copy.
    """
    tensor = torch.as_tensor(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Compute in `precision`; weights stay in fp32 either way."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def forward(
    module: Callable[[Tensor], Tensor],
    images: Tensor,
    precision: str,
    views: AveragedViews = ONE_VIEW,
) -> Tensor:
    """Run a module that is in eval mode without learning; the result in float32.

    Args:
        views: of each image, whose mean result is given.
    """
    with torch.inference_mode():
        return of_views(module, images, precision, views)


def of_views(
    module: Callable[[Tensor], Tensor], images: Tensor, precision: str, views: AveragedViews
) -> Tensor:
    """As `forward`, with gradients where they are wanted."""
    with autocast(images.device, precision):
        return mean_over_views(lambda view: module(view).float(), images, views)
