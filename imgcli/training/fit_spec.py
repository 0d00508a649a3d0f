"""What is to be fitted, and what came of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from imgcli.records import FloatArray, IntArray
from imgcli.training.checkpoint import State
from imgcli.training.context import Task
from imgcli.training.metrics import Metrics
from imgcli.training.training_loop import logits_of


@dataclass(frozen=True, eq=False)
class Job:
    """Rows to learn from, and what to validate on."""

    rows: IntArray
    val: IntArray | None = None  # None: taken out of `rows` by the config's val_share or folds
    # Empty: nothing is validated, and a head's regularisation is the config's.
    chosen: Mapping[str, float] = field(default_factory=dict)  # for a head that validates nothing
    watched: Mapping[str, IntArray] = field(default_factory=dict)  # judged, deciding nothing
    label: str = "Training"
    checkpoint: Path | None = None
    after_epoch: Callable[[State], None] = lambda state: None  # of a training by steps


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a job gave."""

    module: nn.Module  # from the task's inputs to logits: the whole classifier, or only the head
    learnt: IntArray  # the labelled rows it learnt from: the job's, less those not drawn for a bag
    history: list[dict[str, Any]]
    epochs: int  # passes, or iterations of the fit to the optimum
    kept: int  # the epoch whose weights are kept
    seen: int  # inputs that this process learnt from, each as often as it did
    val: Metrics | None
    chosen: Mapping[str, float]  # what validation chose, and how many photos got a pseudo-label


def logits_by(task: Task, module: nn.Module, rows: IntArray) -> Tensor:
    """Logits `(M, K)` of a task's rows, by a module from its inputs to logits."""
    return logits_of(module, task.inputs, rows, task.config.optim.precision)


def probs_by(task: Task, module: nn.Module, rows: IntArray) -> FloatArray:
    """Probabilities `(M, K)` that sum to 1 in double precision."""
    return probs_of(logits_by(task, module, rows))


def probs_of(logits: Tensor) -> FloatArray:
    """Probabilities `(M, K)` of logits, in double precision."""
    return np.asarray(torch.softmax(logits.double(), dim=1).cpu().numpy(), dtype=np.float64)
