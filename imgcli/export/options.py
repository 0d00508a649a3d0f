"""What an exported file can be asked for."""

from dataclasses import dataclass
from typing import Literal

from imgcli.export.opsets import MIN_OPSET

Precision = Literal["fp32", "fp16", "int8"]
OPSET = MIN_OPSET  # by default: what most programs can read


@dataclass(frozen=True)
class Options:
    """The choices of one export."""

    precision: Precision = "fp32"
    opset: int = OPSET
