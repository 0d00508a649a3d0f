"""fp32 or bf16: by a table, never by a clock.

The precision decides the last digits of every weight. So it follows from the device, its
instructions and the network's shapes alone: the same config and seed give the same network on the
same kind of machine, however busy it is.
"""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

from imgcli.errors import WrongUsage
from imgcli.models.describe import Work, work_of
from imgcli.models.network import Network
from imgcli.progress import note_once

PRECISIONS = ("auto", "fp32", "bf16")
CPUINFO = Path("/proc/cpuinfo")
_INSTRUCTIONS = {"avx512_bf16", "amx_bf16", "bf16", "svebf16"}  # as Linux calls them


class _Minimum(NamedTuple):
    """What a network must have for bf16 to be clearly faster."""

    macs: int = 0  # multiply-adds per image
    per_output: int = 0  # multiply-adds per value that a layer gives: the rest is moving memory
    per_weight: int = 0  # multiply-adds per weight: each step casts all weights to bf16
    depthwise: bool = True  # whether it may have depthwise convolutions


# By device, and whether all of the network is trained or it only extracts features.
#
# CPU: measured by hand on one core with AVX512-BF16 and AMX, images per second in bf16 over fp32.
# Trained: cifar-cnn 6.2, narrow-alexnet 2.1, resnet18 2.1, resnet50 1.8, alexnet 1.8, cifar-fast
# 1.8, small-cnn 1.6, vit_tiny 1.4; mnist-best 1.2 to 1.4, tiny-mnist 1.1; mobilenetv2 1.1 (per
# output 45), test_vit 0.5 (94), regnety_002 1.0 (92); resnet18 at 32 pixels 0.8 (per weight 3),
# two dense layers 0.6 (1); with depthwise convolutions convnext_atto 0.8, efficientnet_b0 0.6.
# Features: resnet18 3.0, densenet121 2.3, resnet101 2.2, efficientnet_b0 1.9, mobilenetv2 1.2 to
# 2.0, swin_tiny 1.8, vit_tiny 1.6, convnext_atto 1.4; mobilenetv3_small 0.9 to 1.1 (56 million
# multiply-adds), test_vit 0.9 (30 million); resnet18 at 32 pixels 1.0 (per weight 3).
#
# A GPU with bf16 has tensor cores for it, and small networks there wait for launches either way.
_TABLE = {
    ("cpu", "trained"): _Minimum(5_000_000, per_output=100, per_weight=8, depthwise=False),
    ("cpu", "features"): _Minimum(100_000_000, per_weight=8),
    ("cuda", "trained"): _Minimum(),
    ("cuda", "features"): _Minimum(),
}


def choose_precision(
    requested: str, device: torch.device, network: Network, *, frozen: bool
) -> str:
    """The precision to compute in: as requested where the device has it, "auto" by the table.

    Args:
        requested: a user's choice, or what stands in a run.
        frozen: the backbone only extracts features.

    Raises:
        WrongUsage: an unknown precision.
    """
    if requested not in PRECISIONS:
        raise WrongUsage(f"--precision {requested} is not known; use {', '.join(PRECISIONS)}.")
    if requested != "auto":
        return usable_precision(requested, device)
    least = _TABLE.get((device.type, "features" if frozen else "trained"))
    if least is None or not has_bf16(device):
        return "fp32"
    if least == _Minimum():
        return "bf16"
    return "bf16" if _suits(work_of(network), least) else "fp32"


def usable_precision(precision: str, device: torch.device) -> str:
    """The precision of a run, or fp32 where the device lacks it; then a note says so, once."""
    if precision != "bf16" or has_bf16(device):
        return precision
    note_once(
        f"The network was trained in bf16, which {_name(device)} does not have: it computes in "
        "fp32 here, and its probabilities may differ slightly."
    )
    return "fp32"


def refuse_emulated(precision: str, device: torch.device) -> None:
    """Refuse a precision that the device can only emulate.

    Raises:
        WrongUsage: bf16 on a device that lacks it.
    """
    if precision == "bf16" and not has_bf16(device):
        raise WrongUsage(
            f"--precision bf16: {_name(device)} has no bf16 instructions; use fp32 or auto."
        )


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bf16 by its own instructions; emulation does not count."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(_INSTRUCTIONS & _cpu_flags(CPUINFO))


def has_tiles(device: torch.device) -> bool:
    """Whether the device multiplies tiles of bf16 (AMX): it is a CPU and Linux says so."""
    return device.type == "cpu" and _has_amx(CPUINFO)


@cache  # asked in each step; of many cores it is a long file
def _has_amx(cpuinfo: Path) -> bool:
    return "amx_bf16" in _cpu_flags(cpuinfo)


def _cpu_flags(cpuinfo: Path) -> set[str]:
    """What Linux says the processor can do; torch tells it only in its newer versions."""
    try:
        text = cpuinfo.read_text("utf-8", "replace")
    except OSError:  # another system
        return set()
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return set(found[1].split()) if found else set()


def _suits(work: Work, least: _Minimum) -> bool:
    """Whether a network reaches what a row of the table asks for."""
    return (
        work.macs >= least.macs
        and work.macs >= least.per_output * work.outputs
        and work.macs >= least.per_weight * work.weights
        and (least.depthwise or not work.depthwise)
    )


def _name(device: torch.device) -> str:
    return "this processor" if device.type == "cpu" else "this GPU"
