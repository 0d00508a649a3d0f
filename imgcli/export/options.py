"""What an exported file can be asked for."""

from dataclasses import dataclass
from typing import Literal

Precision = Literal["fp32", "fp16", "int8"]
MIN_OPSET = 18  # of ONNX: the oldest that torch writes
MAX_OPSET = 23  # the newest that was run by onnxruntime
OPSET = MIN_OPSET  # by default: what most programs can read


@dataclass(frozen=True)
class Options:
    """The choices of one export."""

    precision: Precision = "fp32"
    opset: int = OPSET
