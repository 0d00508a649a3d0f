"""The figures of a training: M in the JSON contract."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Metrics:
    """How well logits fit their targets.

    Macro figures average over the classes that occur among the targets; a class that was never
    predicted counts 0.
    """

    n: int
    loss: float  # mean cross-entropy, natural logarithm
    accuracy: float
    macro_precision: float
    macro_f1: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def compute_metrics(logits: Tensor, targets: Tensor) -> Metrics:
    """Judge logits `(M, K)` against targets `(M,)`."""
    preds, y_true = logits.argmax(1).cpu().numpy(), targets.cpu().numpy()
    k = logits.shape[1]
    n, predicted = np.bincount(y_true, minlength=k), np.bincount(preds, minlength=k)
    correct = np.bincount(y_true[preds == y_true], minlength=k)
    occurs = n > 0
    precision = correct / np.maximum(predicted, 1)
    f1 = 2 * correct / np.maximum(n + predicted, 1)
    return Metrics(
        n=len(y_true),
        loss=float(functional.cross_entropy(logits.float(), targets)),
        accuracy=float((preds == y_true).mean()),
        macro_precision=float(precision[occurs].mean()),
        macro_f1=float(f1[occurs].mean()),
    )
