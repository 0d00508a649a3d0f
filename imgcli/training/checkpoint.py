"""The state of a training, in memory and on disk.

One safetensors file; numbers that are not tensors are in its metadata.
"""

import copy
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from imgcli.compute.team import Team
from imgcli.documents import parse
from imgcli.errors import RunError
from imgcli.models.weights import read_tensors, write_state

if TYPE_CHECKING:
    from timm.utils.model_ema import ModelEmaV3


@dataclass(eq=False)
class State:
    """Everything that changes in a training, and that a resumed training needs."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    average: "ModelEmaV3 | None" = None  # the moving average of the weights
    epoch: int = 0  # finished epochs
    steps: int = 0  # finished steps
    resumed_from: int = 0  # epochs that an earlier process finished
    best_epoch: int = 0  # the epoch, from 1, whose weights are kept
    best_loss: float = math.inf
    micro_batches: int = 1  # per batch, so that each fits into memory
    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)  # weights after best_epoch

    @property
    def evaluated(self) -> nn.Module:
        """The module whose weights are evaluated and kept: the average where there is one."""
        return self.average.module if self.average else self.module

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The modules of a checkpoint, by name."""
        return {"model": self.module, **({"average": self.average} if self.average else {})}

    def losses(self, part: str) -> list[float]:
        """A part's loss after each epoch."""
        return [row["loss"] for row in self.history if row["part"] == part]

    def finish_epoch(self, epoch: int, loss: float | None) -> None:
        """Count an epoch; keep its weights if its validation loss is the lowest, or is unknown."""
        if loss is None or loss < self.best_loss:
            self.best_loss = math.inf if loss is None else loss
            self.best_epoch = epoch
            self.best = copy.deepcopy(self.evaluated.state_dict())
        self.epoch = epoch


# The numbers of a state, by their names in the metadata.
_NUMBERS = {
    **{name: name for name in ("epoch", "steps", "resumed_from", "best_epoch", "best_loss")},
    "pieces": "micro_batches",
    "history": "history",
}


def save_state(path: Path, state: State) -> None:
    """Write a checkpoint, all or nothing."""
    tensors = {f"best.{name}": value for name, value in state.best.items()}
    for part, module in state.modules.items():
        tensors |= {f"{part}.{name}": value for name, value in module.state_dict().items()}
    numbers = {key: getattr(state, name) for key, name in _NUMBERS.items()}
    counted: dict[str, Any] = {}  # numbers of the optimizer that are not tensors
    for name, value in _optimizer_state(state.optimizer).items():
        place = tensors if isinstance(value, Tensor) else counted
        place[f"optimizer.{name}"] = value
    metadata = {"state": json.dumps(numbers), "counted": json.dumps(counted)}
    write_state(path, tensors, metadata)


def restore_state(path: Path, state: State) -> None:
    """Put a checkpoint into a new state, its modules and its optimizer; nothing without one.

    Raises:
        RunError: it is damaged, or another training's.
    """
    if not path.is_file():
        return
    try:
        tensors, notes = read_tensors(path)
        metadata = {name: parse(text.encode(), finite=False) for name, text in notes.items()}
        parts: dict[str, dict[str, Any]] = {
            name: {} for name in ("best", "optimizer", *state.modules)
        }
        for name, value in {**tensors, **metadata["counted"]}.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = value
        for part, module in state.modules.items():
            module.load_state_dict(parts[part])
        _restore_optimizer(state.optimizer, parts["optimizer"])
        numbers = metadata["state"]
        for key, value in {**numbers, "resumed_from": numbers["epoch"]}.items():
            setattr(state, _NUMBERS[key], value)
        state.best = parts["best"]
    except Exception as error:
        raise RunError(
            f"'{path}' cannot be resumed from ({type(error).__name__}: {error}). Train again."
        ) from None


def carry_state(state: State, team: Team) -> None:
    """Give all processes the state that process 0 has."""
    parts = {name: module.state_dict() for name, module in state.modules.items()}
    parts |= {"optimizer": _optimizer_state(state.optimizer), "best": state.best}
    numbers = {name: getattr(state, name) for name in _NUMBERS.values()}
    sent = team.from_first((_as_bytes(parts), numbers) if team.leads else None)
    if team.leads:
        return
    found = torch.load(io.BytesIO(sent[0]), map_location=team.device, weights_only=True)
    for name, module in state.modules.items():
        module.load_state_dict(found[name])
    _restore_optimizer(state.optimizer, found["optimizer"])
    state.best = found["best"]
    for name, value in sent[1].items():
        setattr(state, name, value)


def _as_bytes(parts: Mapping[str, Any]) -> bytes:
    file = io.BytesIO()
    torch.save(parts, file)
    return file.getvalue()


def _optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The state of each weight and of each group: some optimizers count steps per group."""
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
        if not isinstance(value, torch.dtype)  # not JSON, and set when it is made
    }
    return of_weights | of_groups


def _restore_optimizer(optimizer: torch.optim.Optimizer, kept: Mapping[str, Any]) -> None:
    state = optimizer.state_dict()
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for name, value in kept.items():
        kind, index, key = name.split(".", 2)
        if kind == "group":
            state["param_groups"][int(index)][key] = value
        else:
            values = state["state"].setdefault(int(index), {})
            values[key] = _with_layout_of(value, weights[int(index)])
    optimizer.load_state_dict(state)


def _with_layout_of(value: Any, weight: Tensor) -> Any:
    """A weight's state in the weight's memory layout: fused steps pair them by position."""
    if isinstance(value, Tensor) and value.shape == weight.shape:
        return torch.empty_like(weight, dtype=value.dtype).copy_(value)
    return value
