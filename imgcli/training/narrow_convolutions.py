"""The weight gradient of convolutions over narrow maps, several photos side by side.

A processor with tiles of bf16 (AMX) sums that gradient along a row of the map, 32 pixels at a time:
of rows of seven pixels three quarters of its work are padding, and after each photo it fetches all
weights' sums again. Rows of some photos in a line, zeros between them, have the same sum.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from imgcli.training.precision import has_tiles

# By hand, 512 photos, one core with AMX, milliseconds as it comes and side by side: maps of 3 × 3
# with 256 channels 70 and 11, 4 × 4 71 and 17, 7 × 7 100 and 53, 8 × 8 108 and 67; 15 × 15 57 and
# 63. Longer rows than this gained nothing.
_NARROW = 8  # pixels
_ROW = 64  # pixels


def narrow_convolutions(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Take such gradients side by side of all that is computed within, where it is faster."""
    return SideBySide() if precision == "bf16" and has_tiles(device) else nullcontext()


class SideBySide(TorchFunctionMode):
    """Convolutions over narrow maps have their weight gradient taken of photos side by side."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is functional.conv2d and torch.is_grad_enabled():
            suited = _suited(*args, **(kwargs or {}))
            if suited is not None:
                # As autocast would have them.
                return _Convolution.apply(*(t if t is None else t.bfloat16() for t in suited))
        return func(*args, **(kwargs or {}))


def _suited(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> tuple[Tensor, Tensor, Tensor | None] | None:
    """Images, weight and bias of a convolution that keeps the size of a narrow map."""
    kernel = weight.shape[2:]
    same = tuple(k // 2 for k in kernel)
    if (
        weight.requires_grad
        and input.ndim == 4
        and input.shape[3] <= _NARROW
        and len(input) > 1
        and groups == 1
        and kernel[1] > 1
        and all(k % 2 for k in kernel)
        and _pair(stride) == _pair(dilation) == (1, 1)
        and (padding == "same" or _pair(padding) == same)
    ):
        return input, weight, bias
    return None


def _pair(value: Any) -> tuple[int, ...] | str:
    return value if isinstance(value, str) else (value,) * 2 if isinstance(value, int) else value


class _Convolution(torch.autograd.Function):
    """A convolution of stride 1 that keeps the size; its weights' gradient is taken of lines."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(images, weight)
        return functional.conv2d(images, weight, bias, padding=_same(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        images, weight = ctx.saved_tensors
        of_images, of_weight, of_bias = ctx.needs_input_grad
        images_grad = weight_grad = bias_grad = None
        if of_images:
            images_grad = _backward(grad, images, weight, (True, False, False))[0]
        if of_weight or of_bias:
            gap = _same(weight)[1]
            at_once = min(len(grad), -(-_ROW // (grad.shape[3] + gap)))
            grads, lines = (in_lines(values, at_once, gap) for values in (grad, images))
            _, weight_grad, bias_grad = _backward(grads, lines, weight, (False, of_weight, of_bias))
        return images_grad, weight_grad, bias_grad


def _same(weight: Tensor) -> tuple[int, int]:
    return weight.shape[2] // 2, weight.shape[3] // 2


def _backward(
    grad: Tensor, images: Tensor, weight: Tensor, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor | None, ...]:
    found: tuple[Tensor | None, ...] = torch.ops.aten.convolution_backward(
        *(grad, images, weight, [len(weight)], [1, 1], _same(weight), [1, 1], False, [0, 0], 1),
        wanted,
    )
    return found


def in_lines(images: Tensor, at_once: int, gap: int) -> Tensor:
    """So many images `(B, C, H, W)` side by side as one, zeros right of each and where one lacks.

    Returns:
        Lines `(⌈B / at_once⌉, C, H, at_once · (W + gap))`, channels last.
    """
    n, channels, height, width = images.shape
    lines = images.new_zeros(-(-n // at_once), height, at_once, width + gap, channels)
    rows = images.permute(0, 2, 3, 1)
    whole = n // at_once
    if whole:
        together = rows[: whole * at_once].reshape(whole, at_once, height, width, channels)
        lines[:whole, :, :, :width] = together.transpose(1, 2)
    if rest := n - whole * at_once:
        lines[whole, :, :rest, :width] = rows[-rest:].transpose(0, 1)
    return lines.flatten(2, 3).permute(0, 3, 1, 2)
