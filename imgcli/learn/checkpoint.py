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
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from imgcli import storage
from imgcli.errors import RunError

CHECKPOINT = "checkpoint.safetensors"


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
    for index, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
    numbers = {name: value for name, value in vars(state).items() if name != "best"}
    with storage.atomic_file(path) as temporary:
        # safetensors takes no tensor whose values lie in another order, as channels_last has them.
        plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        save_file(plain, temporary, metadata={"state": json.dumps(numbers)})


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
        with safe_open(path, framework="pt") as file:
            numbers = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        parts: dict[str, dict[str, Tensor]] = {name: {} for name in ("best", "optimizer", *modules)}
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = value
        for part, module in modules.items():
            module.load_state_dict(parts[part])
        optimizer_state: dict[int, dict[str, Tensor]] = {}
        for name, value in parts["optimizer"].items():
            index, _, key = name.partition(".")
            optimizer_state.setdefault(int(index), {})[key] = value
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": optimizer_state, "param_groups": groups})
    except Exception as error:
        raise RunError(
            f"'{path}' cannot be resumed from ({type(error).__name__}: {error}). Train again."
        ) from None
    return State(**{**numbers, "resumed_from": numbers["epoch"]}, best=parts["best"])
