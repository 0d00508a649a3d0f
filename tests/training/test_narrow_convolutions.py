"""Convolutions over narrow maps: side by side or one by one, the gradients are the same."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from imgcli.training import precision as precision_module
from imgcli.training.narrow_convolutions import SideBySide, in_lines, narrow_convolutions
from tests.support.processor import needs_bf16

CPU = torch.device("cpu")


def gradients(layer: nn.Conv2d, images: torch.Tensor) -> tuple[list[torch.Tensor], str]:
    """Output and gradients in bf16, and what made the output."""
    layer.zero_grad()
    images = images.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(images)
    generator = torch.Generator().manual_seed(1)
    out.backward(torch.randn(out.shape, generator=generator).to(out.dtype))
    found = [out.detach(), images.grad, *(weight.grad for weight in layer.parameters())]
    return [one.clone() for one in found if one is not None], type(out.grad_fn).__name__


@needs_bf16  # emulated, the sums themselves are rounded
@pytest.mark.parametrize(
    ("photos", "size", "kernel", "bias"),
    [
        (7, (7, 7), 3, True),
        (64, (3, 3), 3, False),  # some lines, all full
        (33, (3, 5), 5, True),  # the last line lacks photos
        (2, (8, 8), (1, 3), True),
        (20, (1, 1), 3, True),
    ],
)
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_gradients_of_lines_are_those_of_photos_but_for_rounding(
    photos: int, size: tuple[int, int], kernel: Any, bias: bool, memory_format: torch.memory_format
) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 16, kernel, padding="same", bias=bias).to(memory_format=memory_format)
    images = torch.randn(photos, 8, *size).to(memory_format=memory_format)
    plain, _ = gradients(layer, images)
    with SideBySide():
        lines, made_by = gradients(layer, images)
    assert made_by == "_ConvolutionBackward"
    for one, other in zip(plain, lines, strict=True):
        assert one.dtype == other.dtype
        # bf16 keeps 8 bits; sums are of float32 either way.
        assert (one - other).float().norm() <= 2**-8 * one.float().norm()


@pytest.mark.parametrize(
    "choices",
    [
        {"stride": 2, "padding": 1},
        {"padding": 0},
        {"groups": 2, "padding": 1},
        {"dilation": 2, "padding": 1},
        {"kernel_size": 1},
        {"padding": 1, "padding_mode": "reflect"},
    ],
)
def test_other_convolutions_are_left_alone(choices: dict[str, Any]) -> None:
    layer = nn.Conv2d(4, 4, **{"kernel_size": 3, **choices})
    with SideBySide():
        _, made_by = gradients(layer, torch.randn(4, 4, 7, 7))
    assert made_by == "ConvolutionBackward0"


def test_wide_maps_are_left_alone() -> None:
    with SideBySide():
        _, made_by = gradients(nn.Conv2d(4, 4, 3, padding=1), torch.randn(4, 4, 9, 9))
    assert made_by == "ConvolutionBackward0"


def test_a_line_holds_photos_with_zeros_between() -> None:
    images = torch.arange(1.0, 4.0).view(3, 1, 1, 1).expand(3, 1, 1, 2)
    assert in_lines(images, 2, 1).flatten(1).tolist() == [[1, 1, 0, 2, 2, 0], [3, 3, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("flags", "precision", "used"),
    [("amx_bf16 avx512_bf16", "bf16", True), ("amx_bf16", "fp32", False), ("avx2", "bf16", False)],
)
def test_the_processor_and_the_precision_decide(
    flags: str, precision: str, used: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    monkeypatch.setattr(precision_module, "CPUINFO", tmp_path / "cpuinfo")
    assert isinstance(narrow_convolutions(CPU, precision), SideBySide) == used
