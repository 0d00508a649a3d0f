"""Out of memory, on a GPU or beside the CPU: batches are cut until they fit."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imgcli.errors import ModelError
from imgcli.progress import note_once

T = TypeVar("T")

# Of torch's allocators, CUDA (torch.AcceleratorError), cuBLAS, cuDNN and their like. cuDNN says
# that it finds no engine or algorithm where none fits into the memory that is left.
_SAYINGS = re.compile(
    r"out of memory|can't allocate memory|cannot allocate memory|not enough memory|bad_alloc"
    r"|ALLOC_FAILED|ALLOCATION_FAILED|unable to find an engine|valid cuDNN algorithm"
    r"|cudnn.*(?:not enough|insufficient)",
    re.IGNORECASE,
)
_REMEDY = "Use a smaller network, a smaller --image-size, or a device with more memory."


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was no memory left, on a GPU or beside the CPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and _SAYINGS.search(str(error)) is not None


@contextmanager
def within_memory(sentence: str = f"There is not enough memory. {_REMEDY}") -> Iterator[None]:
    """Turn running out of memory into a sentence; for work that cannot be cut.

    Raises:
        ModelError: with that sentence.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise ModelError(sentence) from None


def until_it_fits(
    work: Callable[[int], T],
    parts: int,
    most: int,
    too_much: str,
    retry: Callable[[int], None] = lambda parts: None,
    make_room: Callable[[], bool] = lambda: False,
) -> tuple[T, int]:
    """Do work in more and more parts until it fits into memory.

    Args:
        work: does all of it in so many parts, from the start each time.
        parts: to begin with.
        most: parts that there can be.
        too_much: the sentence where even those do not fit.
        retry: called with the new number of parts, before they are tried.
        make_room: gives back memory that only saves time, and says whether there was any. Called
            before every attempt after the first; the parts stay as many where it did.

    Returns:
        What the work gave, and in how many parts.

    Raises:
        ModelError: `too_much`.
    """
    parts = min(parts, most)
    while True:
        try:
            return work(parts), parts
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Outside the handler, whose traceback keeps the tensors of the failed attempt.
        roomier = make_room()
        give_back_unused()
        if roomier:
            continue
        if parts >= most:
            raise ModelError(too_much)
        parts = min(2 * parts, most)
        retry(parts)


def give_back_unused() -> None:
    """Give a GPU's memory that torch holds without use back to the device."""
    torch.cuda.empty_cache()  # nothing where there is no GPU
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


class Batches:
    """Runs a function over batches of rows or photos, each in as many parts as memory asks for.

    What was found holds for the batches after it. A row's result is the same in a smaller batch but
    for the rounding of float32, whose order of summation goes by the batch's size.
    """

    def __init__(self, work: Callable[[NDArray[Any]], Tensor]) -> None:
        self._work = work
        self._parts = 1

    def __call__(self, rows: NDArray[Any]) -> Tensor:
        """The results of some rows, joined, in their order.

        Raises:
            ModelError: not even one row fits into memory.
        """

        def retry(parts: int) -> None:
            size = -(-len(rows) // parts)
            note_once(f"Out of memory: batches of {len(rows)} are now computed {size} at a time.")

        def work(parts: int) -> Tensor:
            if parts == 1:
                return self._work(rows)
            return torch.cat([self._work(part) for part in np.array_split(rows, parts)])

        too_much = f"There is not enough memory for a single photo. {_REMEDY}"
        out, parts = until_it_fits(work, self._parts, len(rows), too_much, retry)
        self._parts = max(self._parts, parts)
        return out
