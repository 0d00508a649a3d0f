"""What a trained module says of a context's rows; in shares, where several processes run."""

import numpy as np
import torch
from torch import Tensor, nn

from imgcli.records import FloatArray, IntArray
from imgcli.training.context import TrainingContext
from imgcli.training.device import BATCH
from imgcli.training.inputs import PixelInputs, logits_of
from imgcli.training.metrics import Metrics, compute_metrics
from imgcli.training.shared_fits import logits_shared
from imgcli.training.shared_photos import team_on


def logits_by(context: TrainingContext, module: nn.Module, rows: IntArray) -> Tensor:
    """Logits `(M, K)` of some rows, by a module from the context's inputs to logits."""
    if isinstance(context.inputs, PixelInputs) and len(rows) > BATCH:
        if team := team_on(context.device):
            return logits_shared(team, context, module, rows)
    return logits_of(module, context.inputs, rows, context.config.optim.precision)


def metrics_by(context: TrainingContext, module: nn.Module, rows: IntArray) -> Metrics:
    """The metrics of a module's logits of some rows."""
    return compute_metrics(logits_by(context, module, rows), context.targets[rows])


def probs_by(context: TrainingContext, module: nn.Module, rows: IntArray) -> FloatArray:
    """Probabilities `(M, K)` that sum to 1 in double precision."""
    return probs_of(logits_by(context, module, rows))


def probs_of(logits: Tensor) -> FloatArray:
    """Probabilities `(M, K)` of logits, in double precision: in single, many would be 1."""
    return np.asarray(torch.softmax(logits.cpu().double(), dim=1).numpy(), dtype=np.float64)
