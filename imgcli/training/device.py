"""Where and how numbers are computed: the device, and a forward pass on it.

What is equal on all devices: everything that is drawn. Random numbers come from generators on the
CPU, so the order of the photos, the cuts into batches, crops, shifts, colours, bends, erased
rectangles and mixed pairs are the same; only dropout and noise inside a network are the device's.
What they are applied to is computed on the device. Results differ by rounding: on a GPU sums are
added in another order, and not always in the same one twice.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from imgcli.compute.launch import local_rank, processes
from imgcli.config import check_device
from imgcli.errors import WrongUsage
from imgcli.models.averaged_views import mean_over_views
from imgcli.records import ONE_VIEW, AveragedViews

BATCH = 64  # photos at once on a CPU, in eval mode
_GPU_BATCH = 256  # which keeps a GPU busy for longer than it takes to queue them
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # their numbers in malloc.h


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is the CUDA GPU where there is one, else the CPU.

    An Apple GPU (mps) is used where it is asked for: nothing has been measured on one.

    Raises:
        WrongUsage: no such device here.
    """
    check_device(name)
    if name == "cuda" and not torch.cuda.is_available():
        raise WrongUsage("--device cuda: this machine has no CUDA GPU that torch can use; use cpu.")
    if name == "mps":
        return _apple_gpu()
    if name == "cpu" or not torch.cuda.is_available():
        keep_freed_memory()
        return torch.device("cpu")
    if processes() > 1:
        _use_own_gpu()
    _compute_in_full_float32()
    return torch.device("cuda")


def _apple_gpu() -> torch.device:
    """
    Raises:
        WrongUsage: there is none, or several processes would share it.
    """
    if not torch.backends.mps.is_available():
        raise WrongUsage("--device mps: this machine has no Apple GPU that torch can use; use cpu.")
    if processes() > 1:
        raise WrongUsage("--device mps: an Apple GPU takes one process; start one, or use cpu.")
    return torch.device("mps")


def _compute_in_full_float32() -> None:
    """Let fp32 mean float32 on a GPU: no TF32, which keeps 10 of the 23 bits of its factors.

    torch would use it in convolutions. Who wants speed has bf16, which "auto" takes there. Heads on
    frozen features are solved to a tolerance that TF32 does not reach.
    """
    torch.backends.cuda.matmul.allow_tf32 = False
    # By the older names alone: where torch 2.9's were used too, reading these is an error, and
    # torch.backends.cudnn.flags reads them.
    torch.backends.cudnn.allow_tf32 = False


@contextmanager
def kernels_by_trial(device: torch.device) -> Iterator[None]:
    """Inside it cuDNN tries its algorithms on the first batch of each shape and takes the fastest.

    For trainings, whose batches all have one or two shapes. Which one wins changes the rounding, so
    features and predictions, which are kept and compared, do without.
    """
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = before or device.type == "cuda"
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


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

    To a CUDA GPU through pinned memory: nothing waits for the copy.
    """
    tensor = torch.as_tensor(values)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def upload(values: NDArray[Any] | Tensor, device: torch.device) -> Tensor:
    """As `to_device`, for whole batches of photos: beside what the GPU computes.

    Steps are only queued, so the program is ahead of the GPU by a step or more. On a stream of its
    own the copy does not wait for what is queued, and the next step finds its photos there.
    """
    if device.type != "cuda":
        return to_device(values, device)
    copying, computing = _copy_stream(device), torch.cuda.current_stream(device)
    pinned = torch.as_tensor(values).pin_memory()
    with torch.cuda.stream(copying):
        moved = pinned.to(device, non_blocking=True)
    computing.wait_stream(copying)
    moved.record_stream(computing)  # its memory is not given away while steps may read it
    return moved


@lru_cache
def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def eval_batch(device: torch.device) -> int:
    """Photos at once, in eval mode."""
    return BATCH if device.type == "cpu" else _GPU_BATCH


def widest(device: torch.device) -> torch.dtype:
    """The floats with the most digits that the device has."""
    return torch.float32 if device.type == "mps" else torch.float64


def random_states(device: torch.device) -> list[Tensor]:
    """The states of torch's own generators, of the CPU and of the device."""
    kinds = {"cuda": torch.cuda.get_rng_state, "mps": torch.mps.get_rng_state}
    return [torch.get_rng_state(), *(get() for kind, get in kinds.items() if kind == device.type)]


def set_random_states(states: list[Tensor], device: torch.device) -> None:
    """The reverse of `random_states`."""
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1])
    elif device.type == "mps":
        torch.mps.set_rng_state(states[1])


def wait_for(device: torch.device) -> None:
    """Until the device has done all that was queued."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


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
