"""The figures of a training: M in the JSON contract."""

from dataclasses import asdict, dataclass
from typing import Any

from sklearn.metrics import f1_score, precision_score
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
    labels = sorted(set(y_true.tolist()))
    return Metrics(
        n=len(y_true),
        loss=float(functional.cross_entropy(logits.float(), targets)),
        accuracy=float((preds == y_true).mean()),
        macro_precision=float(
            precision_score(y_true, preds, labels=labels, average="macro", zero_division=0)
        ),
        macro_f1=float(f1_score(y_true, preds, labels=labels, average="macro", zero_division=0)),
    )
