"""The one training loop."""

import copy
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from timm.optim._optim_factory import create_optimizer_v2
from torch import Tensor, nn
from torch.nn import functional

from imgcli import storage
from imgcli.errors import Interrupted, ModelError, RunError
from imgcli.learn.arithmetic import BATCH, autocast, forward
from imgcli.learn.inputs import Inputs, in_batches
from imgcli.learn.measure import Measure, measure
from imgcli.learn.schedules import rate_at
from imgcli.progress import track
from imgcli.records import IntArray, TrainConfig
from imgcli.wording import count

CHECKPOINT = "checkpoint.safetensors"
Mix = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass
class State:
    """Everything that a resumed training needs to go on as if it had never stopped."""

    epoch: int = 0  # epochs done
    resumed_from: int = 0  # epochs that an earlier process had done
    best_epoch: int = 0  # the epoch, from 1, whose weights are kept
    best_loss: float = math.inf
    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)  # the module's state after best_epoch


def train(
    module: nn.Module,
    inputs: Inputs,
    targets: Tensor,
    config: TrainConfig,
    *,
    rows: IntArray,
    watched: Mapping[str, IntArray],
    checkpoint: Path | None = None,
    mix: Mix | None = None,
    after_epoch: Callable[[State], None] = lambda state: None,
    label: str = "Training",
) -> State:
    """Train `module` on `rows` and leave the best weights in it.

    The best weights are those with the least loss on `watched["val"]`; without it, the last. All
    that is random follows from the config's seed and the number of the epoch, so a training resumed
    from its checkpoint ends as an uninterrupted one would.

    Args:
        targets: `(N,)` on the device of the module.
        rows: the rows learnt from.
        watched: rows that are judged after each epoch, by part; only "val" decides anything.
        checkpoint: where the state is kept after each epoch, and taken up from.
        mix: makes of a batch and its targets another one, its targets shares of classes `(B, K)`.

    Raises:
        ModelError: the loss is no longer a number.
        Interrupted: by Ctrl-C, where there is a checkpoint; finished epochs are kept.
    """
    assert config.epochs and config.batch_size and config.lr
    assert config.optimizer and config.schedule
    optimizer = create_optimizer_v2(
        module,
        opt=config.optimizer,
        lr=config.lr,
        weight_decay=config.weight_decay or 0.0,
        momentum=config.momentum or 0.9,
    )
    state = _restore(checkpoint, module, optimizer) if checkpoint else State()
    steps = len(in_batches(rows, config.batch_size))
    try:
        for epoch in range(state.epoch + 1, config.epochs + 1):
            if config.patience and state.epoch - state.best_epoch >= config.patience:
                break
            torch.manual_seed(_seed_of(config.seed, epoch))  # dropout and noise
            generator = torch.Generator().manual_seed(_seed_of(config.seed, epoch))
            order = np.random.default_rng([config.seed, epoch]).permutation(rows)
            module.train()
            seen = []
            batches = in_batches(order, config.batch_size)
            for step, batch in enumerate(track(batches, f"{label}, epoch {epoch}", unit="steps")):
                done = (epoch - 1) * steps + step
                lr = config.lr * rate_at(config.schedule, done, config.epochs * steps)
                for group in optimizer.param_groups:
                    group["lr"] = lr
                images = inputs.train_batch(batch, generator)  # (B, 3, S, S), or features (B, D)
                goals = targets[batch]  # (B,), or shares of classes (B, K) if mixed
                if mix:
                    images, goals = mix(images, goals)
                with autocast(images.device, config.precision):
                    logits = module(images).float()  # (B, K)
                loss = functional.cross_entropy(
                    logits, goals, label_smoothing=config.label_smoothing or 0.0
                )
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                value = loss.item()
                if not math.isfinite(value):
                    raise _diverged(epoch, step, value, lr)
                seen.append((logits.detach(), targets[batch]))
                state.history.append(
                    {
                        "epoch": epoch,
                        "step": step,
                        "part": "batch",
                        "n": len(batch),
                        "loss": value,
                        "lr": lr,
                    }
                )
            # The train figures of an epoch are those of its batches as they were learnt from.
            figures = {"train": measure(*(torch.cat(part) for part in zip(*seen, strict=True)))}
            for part, part_rows in watched.items():
                part_logits = logits_of(module, inputs, part_rows, config.precision)
                figures[part] = measure(part_logits, targets[part_rows])
            state.history.extend(
                {"epoch": epoch, "part": part, **figure.to_json()}
                for part, figure in figures.items()
            )
            _keep_best(state, epoch, module, figures.get("val"))
            state.epoch = epoch
            if checkpoint:
                _save(checkpoint, state, module, optimizer)
            after_epoch(state)
    except KeyboardInterrupt:
        if checkpoint is None:
            raise
        kept = f"{count(state.epoch, 'finished epoch')} kept" if state.epoch else "none finished"
        raise Interrupted(
            f"Interrupted in epoch {state.epoch + 1} of {config.epochs}; {kept}. Go on with "
            "`imgcli train --resume`."
        ) from None
    module.load_state_dict(state.best)
    return state


def logits_of(module: nn.Module, inputs: Inputs, rows: IntArray, precision: str) -> Tensor:
    """Logits `(M, K)` of some rows, in eval mode."""
    module.eval()
    return torch.cat(
        [forward(module, inputs.batch(b), precision, inputs.flips) for b in in_batches(rows, BATCH)]
    )


def _seed_of(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def _keep_best(state: State, epoch: int, module: nn.Module, val: Measure | None) -> None:
    """Keep the weights if validation got better, or if there is no validation."""
    if val is None or val.loss < state.best_loss:
        state.best_loss = val.loss if val else math.inf
        state.best_epoch = epoch
        state.best = copy.deepcopy(module.state_dict())


def _diverged(epoch: int, step: int, value: float, lr: float) -> ModelError:
    return ModelError(
        f"The loss became {value} in epoch {epoch}, step {step + 1}, at learning rate {lr:.2g}. "
        f"Use a smaller --lr (such as {lr / 10:.1g}) or --precision fp32."
    )


# --- checkpoints: one safetensors file, the numbers that are no tensors in its metadata ----------


def _save(path: Path, state: State, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    tensors = {f"model.{name}": value for name, value in module.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in state.best.items()}
    for index, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
    numbers = {name: value for name, value in vars(state).items() if name != "best"}
    with storage.atomic_file(path) as temporary:
        # safetensors takes no tensor whose values lie in another order, as channels_last has them.
        plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        save_file(plain, temporary, metadata={"state": json.dumps(numbers)})


def _restore(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> State:
    """Put a checkpoint back into module and optimizer; a fresh state where there is none."""
    if not path.is_file():
        return State()
    try:
        with safe_open(path, framework="pt") as file:
            numbers = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}}
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = value
        module.load_state_dict(parts["model"])
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
