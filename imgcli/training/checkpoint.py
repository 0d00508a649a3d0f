"""Where a training stands, in memory and on disk.

One safetensors file; the numbers that are no tensors lie in its metadata.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from imgcli.documents import parse
from imgcli.errors import RunError
from imgcli.models.weights import read_tensors, write_state


@dataclass
class State:
    """Everything that a resumed training needs to go on as if it had never stopped."""

    epoch: int = 0  # epochs done
    steps: int = 0  # done
    resumed_from: int = 0  # epochs that an earlier process had done
    best_epoch: int = 0  # the epoch, from 1, whose weights are kept
    best_loss: float = math.inf
    pieces: int = 1  # that a batch is cut into, so that it fits into memory
    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)  # the module's state after best_epoch

    def losses(self, part: str) -> list[float]:
        """A part's loss after each epoch."""
        return [row["loss"] for row in self.history if row["part"] == part]


def save_state(
    path: Path,
    state: State,
    modules: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
) -> None:
    """Write a checkpoint, all or nothing.

    Args:
        modules: whose weights are kept, by name; at least those that learn.
    """
    tensors = {f"best.{name}": value for name, value in state.best.items()}
    for part, module in modules.items():
        tensors |= {f"{part}.{name}": value for name, value in module.state_dict().items()}
    numbers = {name: value for name, value in vars(state).items() if name != "best"}
    counted: dict[str, Any] = {}  # by the optimizer, in numbers that are no tensors
    for name, value in _state_of(optimizer).items():
        place = tensors if isinstance(value, Tensor) else counted
        place[f"optimizer.{name}"] = value
    metadata = {"state": json.dumps(numbers), "counted": json.dumps(counted)}
    write_state(path, tensors, metadata)


def restore_state(
    path: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
) -> State:
    """Put a checkpoint back into modules and optimizer; a fresh state where there is none.

    Raises:
        RunError: it is damaged, or another training's.
    """
    if not path.is_file():
        return State()
    try:
        tensors, notes = read_tensors(path)
        metadata = {name: parse(text.encode(), finite=False) for name, text in notes.items()}
        numbers = metadata["state"]
        parts: dict[str, dict[str, Any]] = {name: {} for name in ("best", "optimizer", *modules)}
        for name, value in {**tensors, **metadata["counted"]}.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = value
        for part, module in modules.items():
            module.load_state_dict(parts[part])
        _put_back(optimizer, parts["optimizer"])
    except Exception as error:
        raise RunError(
            f"'{path}' cannot be resumed from ({type(error).__name__}: {error}). Train again."
        ) from None
    return State(**{**numbers, "resumed_from": numbers["epoch"]}, best=parts["best"])


def _state_of(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """What an optimizer keeps of each weight, and of each group: some count their steps there."""
    state = optimizer.state_dict()
    of_weights = {
        f"weight.{index}.{name}": value
        for index, values in state["state"].items()
        for name, value in values.items()
    }
    of_groups = {
        f"group.{index}.{name}": value
        for index, values in enumerate(state["param_groups"])
        for name, value in values.items()
        if not isinstance(value, torch.dtype)  # as it was made with, and not of JSON
    }
    return of_weights | of_groups


def _put_back(optimizer: torch.optim.Optimizer, kept: Mapping[str, Any]) -> None:
    state = optimizer.state_dict()
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for name, value in kept.items():
        kind, index, key = name.split(".", 2)
        if kind == "group":
            state["param_groups"][int(index)][key] = value
        else:
            values = state["state"].setdefault(int(index), {})
            values[key] = _laid_out(value, weights[int(index)])
    optimizer.load_state_dict(state)


def _laid_out(value: Any, weight: Tensor) -> Any:
    """What is kept of a weight, in memory as that is: fused steps pair them by their places."""
    if isinstance(value, Tensor) and value.shape == weight.shape:
        return torch.empty_like(weight, dtype=value.dtype).copy_(value)
    return value
