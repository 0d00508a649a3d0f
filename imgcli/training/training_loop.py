"""The one training loop."""

import copy
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from imgcli.config import TrainConfig
from imgcli.errors import Interrupted, ModelError
from imgcli.models.memory import Batches, until_it_fits
from imgcli.progress import note, track
from imgcli.records import IntArray
from imgcli.runs import RUNS
from imgcli.text import count
from imgcli.training.checkpoint import State, restore_state, save_state
from imgcli.training.device import BATCH, autocast, forward
from imgcli.training.inputs import Inputs, in_batches
from imgcli.training.lr_schedules import rate_at
from imgcli.training.metrics import Measure, measure
from imgcli.training.optim import decaying, make_optimizer, set_rate, usual_rate

Mix = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


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
        watched: rows that are judged after each epoch, by part; only "val" decides anything. The
            figures of "train" are else those of its batches as they were learnt from; of `rows` as
            they are where batches are no photos of the dataset, each once with its own label.
        checkpoint: where the state is kept after each epoch, and taken up from.
        mix: makes of a batch and its targets another one, its targets shares of classes `(B, K)`.

    Raises:
        ModelError: the loss is no longer a number, or not one photo fits into memory.
        Interrupted: by Ctrl-C, where there is a checkpoint; finished epochs are kept.
    """
    assert config.optim.epochs
    learner = Learner(module, inputs, targets, config, rows, mix)
    if mix or config.optim.balance == "sample":
        watched = {"train": np.unique(rows), **watched}
    state = State()
    if checkpoint:
        state = restore_state(checkpoint, learner.modules, learner.optimizer)
    try:
        for epoch in range(state.epoch + 1, config.optim.epochs + 1):
            if config.optim.patience and state.epoch - state.best_epoch >= config.optim.patience:
                break
            learnt_from = learner.learn_from_all(epoch, state, label)
            figures = {} if "train" in watched else {"train": measure(*learnt_from)}
            for part, part_rows in watched.items():
                logits = logits_of(learner.judged, inputs, part_rows, config.optim.precision)
                figures[part] = measure(logits, targets[part_rows])
            state.history.extend(
                {"epoch": epoch, "part": part, **figure.to_json()}
                for part, figure in figures.items()
            )
            _keep_best(state, epoch, learner.judged, figures.get("val"))
            state.epoch = epoch
            if checkpoint:
                save_state(checkpoint, state, learner.modules, learner.optimizer)
            after_epoch(state)
    except KeyboardInterrupt:
        if checkpoint is None:
            raise
        kept = f"{count(state.epoch, 'finished epoch')} kept" if state.epoch else "none finished"
        raise Interrupted(
            f"Interrupted in epoch {state.epoch + 1} of {config.optim.epochs}; {kept}. Go on with "
            f"`{_resuming(checkpoint.parent)}`."
        ) from None
    module.load_state_dict(state.best)
    return state


class Learner:
    """A module and everything that changes it, epoch by epoch."""

    def __init__(
        self,
        module: nn.Module,
        inputs: Inputs,
        targets: Tensor,
        config: TrainConfig,
        rows: IntArray,
        mix: Mix | None,
    ) -> None:
        self.module = module
        self.inputs = inputs
        self.targets = targets
        self.config = config
        self.rows = rows
        self.mix = mix
        self.optimizer = make_optimizer(module, config)
        self.weighted = list(decaying(module).values())  # what L1 draws to zero
        self.average = (
            ModelEmaV3(module, config.optim.ema, use_warmup=True) if config.optim.ema else None
        )
        classes = int(targets.max()) + 1  # a bootstrap sample need not have them all
        counts = torch.bincount(targets[rows], minlength=classes).double()
        # Of a photo in the loss and in the draw: so that all classes together weigh the same.
        self.class_weights = (counts.sum() / (counts > 0).sum() / counts.clamp_min(1)).float()

    @property
    def modules(self) -> dict[str, nn.Module]:
        """What a checkpoint keeps."""
        return {"model": self.module, **({"average": self.average} if self.average else {})}

    @property
    def judged(self) -> nn.Module:
        """What the weights of an epoch are: the module's own, or their moving average."""
        return self.average.module if self.average else self.module

    def learn_from_all(self, epoch: int, state: State, label: str) -> tuple[Tensor, Tensor]:
        """One epoch; the logits of its batches as they were learnt from, and their targets."""
        config, seed = self.config, _seed_of(self.config.seed, epoch)
        assert config.optim.epochs and config.optim.lr and config.optim.lr != "auto"
        torch.manual_seed(seed)  # dropout and noise
        generator = torch.Generator().manual_seed(seed)
        self.begin(epoch)
        batches = in_batches(self._order(epoch), batch_size_in(epoch, config))
        losses, seen = state.losses("val"), []
        for step, batch in enumerate(track(batches, f"{label}, epoch {epoch}", unit="steps")):
            done = epoch - 1 + (step + 0.5) / len(batches)
            lr = config.optim.lr * rate_at(config, done, losses)
            set_rate(self.optimizer, lr)
            images = self.inputs.train_batch(batch, generator)  # (B, C, S, S) or features (B, D)
            goals = self.targets[batch]  # (B,), or shares of classes (B, K) if mixed
            if self.mix:
                images, goals = self.mix(images, goals)
            loss, logits = self.gradient(images, goals, state)
            if not math.isfinite(loss):
                raise _diverged(epoch, step, loss, lr, self.config)
            self.step(state)
            seen.append((logits, self.targets[batch]))
            state.history.append(
                {
                    "epoch": epoch,
                    "step": step,
                    "part": "batch",
                    "n": len(batch),
                    "loss": loss,
                    "lr": lr,
                }
            )
        logits, targets = (torch.cat(part) for part in zip(*seen, strict=True))
        return logits, targets

    def begin(self, epoch: int) -> None:
        """Training mode, but for what is frozen and for norms that keep their statistics."""
        self.module.train()
        if self.config.model.unfreeze_after is not None:
            backbone = self.module.get_submodule("backbone")
            learns = epoch > self.config.model.unfreeze_after
            backbone.requires_grad_(learns).train(learns)
        if self.config.model.norms == "kept":
            for norm in self.module.modules():
                if isinstance(norm, _BatchNorm):
                    norm.eval()

    def _order(self, epoch: int) -> IntArray:
        """The rows of an epoch, shuffled; balanced by sampling, every class is as frequent."""
        rng = np.random.default_rng([self.config.seed, epoch])
        if self.config.optim.balance != "sample":
            return rng.permutation(self.rows)
        weights = self.class_weights[self.targets[self.rows]].double().cpu().numpy()
        return rng.choice(self.rows, len(self.rows), p=weights / weights.sum())

    def gradient(self, images: Tensor, goals: Tensor, state: State) -> tuple[float, Tensor]:
        """The batch's loss, its gradient in the weights, and its logits `(B, K)`.

        A batch that does not fit into memory is taken in micro-batches, whose gradients add up to
        its own. Batch norm then goes by the mean and deviation of each, and dropout draws for each;
        nothing else changes but rounding.
        """
        size, least = len(images), 2 if self._learning_norms() else 1
        before = self._state_of_attempt()

        def work(parts: int) -> tuple[float, Tensor]:
            self.optimizer.zero_grad(set_to_none=True)
            pieces = zip(images.tensor_split(parts), goals.tensor_split(parts), strict=True)
            done = [self._backward(*piece, whole=size) for piece in pieces]
            return sum(loss for loss, _ in done), torch.cat([logits for _, logits in done])

        def retry(parts: int) -> None:
            self._undo_attempt(before)
            part = -(-size // parts)
            note(f"Out of memory: batches of {size} are now taken in micro-batches of {part}.")

        fewest = "a single photo" if least == 1 else f"{least} photos, the fewest for batch norm"
        too_much = (
            f"There is not enough memory to learn from {fewest}. Use a smaller --image-size or a "
            "smaller network."
        )
        most = max(1, size // least)
        found, parts = until_it_fits(work, state.pieces, most, too_much, retry)
        state.pieces = max(state.pieces, parts)
        return found

    def _learning_norms(self) -> list[_BatchNorm]:
        """The batch norms that go by the batch, and need two photos for its deviation."""
        norms = (m for m in self.module.modules() if isinstance(m, _BatchNorm))
        return [norm for norm in norms if norm.training]

    def _state_of_attempt(self) -> tuple[list[Tensor], list[Tensor]]:
        """What a failed attempt changes: the statistics of norms, and where the draw stands."""
        statistics = [b.clone() for norm in self._learning_norms() for b in norm.buffers()]
        on_gpu = self.targets.device.type == "cuda"
        drawn = [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if on_gpu else [])]
        return statistics, drawn

    def _undo_attempt(self, before: tuple[list[Tensor], list[Tensor]]) -> None:
        statistics, (drawn, *drawn_on_gpu) = before
        buffers = [b for norm in self._learning_norms() for b in norm.buffers()]
        for buffer, value in zip(buffers, statistics, strict=True):
            buffer.copy_(value)
        torch.set_rng_state(drawn)
        for state in drawn_on_gpu:
            torch.cuda.set_rng_state(state)

    def _backward(self, images: Tensor, goals: Tensor, whole: int) -> tuple[float, Tensor]:
        """Add the gradient of a piece of a batch of `whole` photos; its part of the loss."""
        config = self.config
        with autocast(images.device, config.optim.precision):
            logits = self.module(images).float()
        loss = functional.cross_entropy(
            logits,
            goals,
            weight=self.class_weights if config.optim.balance == "loss" else None,
            label_smoothing=config.optim.label_smoothing or 0.0,
            reduction="sum",
        )
        loss = loss / whole
        penalty = loss.new_zeros(())
        if config.optim.l1:
            penalty = torch.stack([w.abs().sum() for w in self.weighted]).sum()
            penalty = config.optim.l1 * len(images) / whole * penalty
        (loss + penalty).backward()  # type: ignore[no-untyped-call]
        return loss.item(), logits.detach()

    def step(self, state: State) -> None:
        """Move the weights by their gradient, and their average after them."""
        if self.config.optim.clip_norm:
            nn.utils.clip_grad_norm_(self.module.parameters(), self.config.optim.clip_norm)
        self.optimizer.step()
        state.steps += 1
        if self.average:
            self.average.update(self.module, state.steps)


def batch_size_in(epoch: int, config: TrainConfig) -> int:
    """Photos per step in an epoch, from 1; growing batches grow by the same factor each time."""
    assert config.optim.batch_size and config.optim.epochs
    if config.optim.grow_batch is None or config.optim.epochs == 1:
        return config.optim.batch_size
    share = (epoch - 1) / (config.optim.epochs - 1)
    factor = float(config.optim.grow_batch / config.optim.batch_size)
    return round(config.optim.batch_size * math.pow(factor, share))


def logits_of(module: nn.Module, inputs: Inputs, rows: IntArray, precision: str) -> Tensor:
    """Logits `(M, K)` of some rows, in eval mode."""
    module.eval()
    compute = Batches(lambda some: forward(module, inputs.batch(some), precision, inputs.flips))
    return torch.cat([compute(some) for some in in_batches(rows, BATCH)])


def _resuming(folder: Path) -> str:
    """The command that goes on with the run in `folder`."""
    elsewhere = f" --out {folder.parent}" if folder.parent != RUNS else ""
    return f"imgcli train --resume --run {folder.name}{elsewhere}"


def _seed_of(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def _keep_best(state: State, epoch: int, module: nn.Module, val: Measure | None) -> None:
    """Keep the weights if validation got better, or if there is no validation."""
    if val is None or val.loss < state.best_loss:
        state.best_loss = val.loss if val else math.inf
        state.best_epoch = epoch
        state.best = copy.deepcopy(module.state_dict())


def _diverged(epoch: int, step: int, value: float, lr: float, config: TrainConfig) -> ModelError:
    smaller = min(lr / 10, usual_rate(config.optim.optimizer or ""))
    remedies = [f"a smaller --lr (such as {smaller:.1g}, or auto)"]
    remedies += ["--clip-norm 1"] if config.optim.clip_norm is None else []
    remedies += ["--precision fp32"] if config.optim.precision != "fp32" else []
    return ModelError(
        f"The loss became {value} in epoch {epoch}, step {step + 1}, at learning rate {lr:.2g}. "
        f"Use {' or '.join(remedies)}."
    )
