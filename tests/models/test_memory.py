"""Out of memory: what counts as it, and batches that are cut until they fit."""

import numpy as np
import pytest
import torch
from torch import Tensor

from imgcli.errors import ModelError
from imgcli.models.memory import Batches, is_out_of_memory, within_memory


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        torch.OutOfMemoryError(),
        RuntimeError("CUDA error: out of memory"),  # torch.AcceleratorError is one of these
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError("cuDNN: not enough workspace"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
        MemoryError(),
    ],
    ids=repr,
)
def test_what_counts_as_out_of_memory(error: Exception) -> None:
    assert is_out_of_memory(error)
    with pytest.raises(ModelError, match="There is not enough memory"), within_memory():
        raise error


def test_a_real_allocation_that_is_too_large_counts() -> None:
    with pytest.raises(ModelError, match="There is not enough memory"), within_memory():
        torch.empty(2**60, dtype=torch.uint8)
    with pytest.raises(ModelError, match="There is not enough memory"), within_memory():
        np.empty(2**60, dtype=np.uint8)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x3)"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        ValueError("out of memory"),
        KeyError("out of memory"),
    ],
    ids=repr,
)
def test_other_failures_do_not(error: Exception) -> None:
    assert not is_out_of_memory(error)
    with pytest.raises(type(error)), within_memory():
        raise error


@pytest.mark.parametrize(("size", "most"), [(64, 64), (64, 20), (63, 20), (7, 2), (5, 4), (3, 1)])
def test_a_batch_is_halved_until_it_fits_and_its_rows_stay_in_order(size: int, most: int) -> None:
    tried: list[int] = []

    def double(rows: np.ndarray) -> Tensor:
        tried.append(len(rows))
        if len(rows) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return torch.from_numpy(rows)[:, None] * 2

    compute = Batches(double)
    expected = 2 * torch.arange(size)[:, None]
    assert torch.equal(compute(np.arange(size)), expected)
    tried.clear()
    assert torch.equal(compute(np.arange(size)), expected)
    assert max(tried) <= most, "what was found holds for the next batch"
    assert torch.equal(compute(np.arange(2)), expected[:2])  # the last batch is smaller


def test_where_a_single_row_does_not_fit_one_sentence_says_so() -> None:
    def full(rows: np.ndarray) -> Tensor:
        raise MemoryError

    with pytest.raises(ModelError, match="not enough memory for a single photo") as caught:
        Batches(full)(np.arange(5))
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
