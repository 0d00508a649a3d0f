"""The training loop: epochs, batches, micro-batches, steps.

Nothing in a step waits for the device: losses stay there and are read every `READ_EVERY` steps and
at the end of an epoch, logits at the end of an epoch.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from imgcli.compute.team import Lost, Team
from imgcli.config import ModelConfig, OptimConfig, TrainConfig
from imgcli.errors import Interrupted, ModelError
from imgcli.models.memory import until_it_fits
from imgcli.progress import note, track
from imgcli.records import IntArray
from imgcli.runs import RUNS
from imgcli.text import count
from imgcli.training.checkpoint import State, carry_state, restore_state, save_state
from imgcli.training.device import (
    autocast,
    kernels_by_trial,
    random_states,
    set_random_states,
    to_device,
    widest,
)
from imgcli.training.inputs import Inputs, in_batches, logits_of
from imgcli.training.lr_schedules import rate_at
from imgcli.training.metrics import Metrics, compute_metrics
from imgcli.training.narrow_convolutions import narrow_convolutions
from imgcli.training.optim import decaying, default_rate, make_optimizer, set_rate
from imgcli.training.shares import OwnDraws, Part, part_of, whole_batch_norms

Mix = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Row = Mapping[str, Any]  # of a history
READ_EVERY = 100  # steps


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
    follow: Callable[[Sequence[Row], int], None] = lambda rows, steps: None,
    label: str = "Training",
    team: Team | None = None,
) -> State:
    """Train `module` on `rows` and leave the best weights in it.

    The best weights are those with the lowest loss on `watched["val"]`; without it, the last. All
    random numbers follow from the config's seed and the number of the epoch, so a training resumed
    from its checkpoint ends with the same bits as an uninterrupted one.

    Args:
        targets: `(N,)` on the device of the module.
        rows: the training rows.
        watched: rows that are evaluated after each epoch, by part; only "val" decides anything.
            Without "train", its metrics are those of the epoch's batches before their steps; where
            batches are mixed or sampled, those of `rows` after the epoch.
        checkpoint: the file of the state after each epoch, resumed from if it exists.
        follow: is shown new rows of the history, of batches or of an epoch, whose numbers have been
            read, and how many steps are done.
        mix: mixes each photo of a batch with the one before it, and its targets; the new targets
            are shares of classes `(B, K)`.
        team: processes that have all called this with the same arguments, but for those that write
            and tell: process 0 alone has a checkpoint, and any to follow it. Each trains on its
            share of every batch, to the same weights.

    Raises:
        ModelError: the loss is not finite, or a single photo does not fit into memory.
        Lost: one of the processes has ended; finished epochs are kept.
        Interrupted: by Ctrl-C, where there is a checkpoint; finished epochs are kept.
    """
    optim = config.optim
    assert optim.epochs and optim.lr and optim.lr != "auto"
    state = new_state(module, optim)
    if checkpoint:
        restore_state(checkpoint, state)
    if team:
        carry_state(state, team)
    weights = balanced_weights(targets, rows)  # (K,)
    if mix or optim.balance == "sample":
        watched = {"train": np.unique(rows), **watched}

    with _resumable(state, checkpoint, optim.epochs), kernels_by_trial(targets.device):
        for epoch in range(state.epoch + 1, optim.epochs + 1):
            if optim.patience and state.epoch - state.best_epoch >= optim.patience:
                break
            seed = int(np.random.SeedSequence([config.seed, epoch]).generate_state(1)[0])
            torch.manual_seed(seed)  # mixing; of one process dropout and noise too
            own_draws = OwnDraws(team, seed)
            generator = torch.Generator().manual_seed(seed)  # augmentation
            set_train_mode(module, config.model, epoch)
            if team:
                team.same_weights(module)  # lest the rounding of unlike machines adds up
            order = _order(rows, targets, weights, config, epoch)  # (N,)
            batches = in_batches(order, batch_size_in(epoch, optim))
            val_losses = state.losses("val")
            predicted, steps, offset = [], [], 0

            for step, batch in enumerate(track(batches, f"{label}, epoch {epoch}", unit="steps")):
                epochs_done = epoch - 1 + (step + 0.5) / len(batches)
                lr = optim.lr * rate_at(optim, epochs_done, val_losses)
                set_rate(state.optimizer, lr)
                part = part_of(len(batch), team, mixed=mix is not None)
                # (B, C, S, S), or features (B, D); of a team each process has B photos of its own.
                images = prepared(inputs, batch, generator, part.prepared, epoch)
                labels = targets[to_device(batch, targets.device)]  # of the whole batch
                own_labels = _at(labels, part.prepared)  # (B,)
                mixed = mix(images, own_labels) if mix else (images, own_labels)  # (B, K) if mixed
                own, own_labels = map(part.trained, mixed)
                with own_draws():  # the loss () and logits (B, K)
                    loss, logits = backward(
                        state, optim, own, own_labels, weights, part, team, inputs.make_room
                    )
                optimizer_step(state, optim)
                predicted.append((logits, labels, part.positions + offset))
                offset += len(batch)
                steps.append({"epoch": epoch, "step": step, "part": "batch"})
                steps[-1] |= {"n": len(batch), "loss": loss, "lr": lr}
                if len(steps) == READ_EVERY or step + 1 == len(batches):
                    state.history += _read_losses(steps, optim, team)
                    follow(steps, state.steps)
                    steps = []

            metrics = {} if "train" in watched else {"train": _of_batches(predicted, team)}
            for name, part_rows in watched.items():
                logits = logits_of(state.evaluated, inputs, part_rows, optim.precision, team)
                metrics[name] = compute_metrics(logits, _at(targets, part_rows))
            rows_of_epoch = [
                {"epoch": epoch, "part": name, **values.to_json()}
                for name, values in metrics.items()
            ]
            state.history += rows_of_epoch
            state.finish_epoch(epoch, metrics["val"].loss if "val" in metrics else None)

            def keep_and_tell(rows_of_epoch: list[dict[str, Any]] = rows_of_epoch) -> None:
                if checkpoint:
                    save_state(checkpoint, state)
                follow(rows_of_epoch, state.steps)
                after_epoch(state)

            if team:
                team.first_alone(keep_and_tell)
            else:
                keep_and_tell()
    module.load_state_dict(state.best)
    return state


def new_state(module: nn.Module, optim: OptimConfig) -> State:
    """The state of `module` before training."""
    average = None
    if optim.ema:
        from timm.utils.model_ema import ModelEmaV3

        average = ModelEmaV3(module, optim.ema, use_warmup=True)
    return State(module, make_optimizer(module, optim), average)


def balanced_weights(targets: Tensor, rows: IntArray) -> Tensor:
    """The weight of a photo of each class `(K,)` with which all classes of `rows` weigh the same.

    A bootstrap sample may lack classes.
    """
    known = targets.cpu()
    counts = torch.bincount(known[rows], minlength=int(known.max()) + 1).double()
    return (counts.sum() / (counts > 0).sum() / counts.clamp_min(1)).float().to(targets.device)


def set_train_mode(module: nn.Module, model: ModelConfig, epoch: int) -> None:
    """Training mode, except for a frozen backbone and frozen batch-norm statistics."""
    module.train()
    if model.unfreeze_after is not None:
        backbone = module.get_submodule("backbone")
        trained = epoch > model.unfreeze_after
        backbone.requires_grad_(trained).train(trained)
    if model.norms == "kept":
        for norm in module.modules():
            if isinstance(norm, _BatchNorm):
                norm.eval()


def prepared(
    inputs: Inputs,
    rows: IntArray,
    generator: torch.Generator,
    some: IntArray | None = None,
    epoch: int = 1,
) -> Tensor:
    """A batch of `inputs.train_batch`, with the memory that photos on a GPU take if need be.

    Raises:
        ModelError: even then it does not fit.
    """
    before, own = generator.get_state(), torch.get_rng_state()

    def make_room() -> bool:
        generator.set_state(before)
        torch.set_rng_state(own)
        return inputs.make_room()

    too_much = (
        f"There is not enough memory to prepare {count(len(rows), 'photo')} at once. Use a smaller "
        "--batch-size or a smaller --image-size."
    )

    def prepare(_: int) -> Tensor:
        return inputs.train_batch(rows, generator, some, epoch)

    return until_it_fits(prepare, 1, 1, too_much, make_room=make_room)[0]


def backward(
    state: State,
    optim: OptimConfig,
    images: Tensor,
    labels: Tensor,
    weights: Tensor,
    part: Part | None = None,
    team: Team | None = None,
    make_room: Callable[[], bool] = lambda: False,
) -> tuple[Tensor, Tensor]:
    """The loss `()` and the logits `(B, K)` of a batch; its gradient is left in the weights.

    A batch that does not fit into memory, even after room was made, is taken in micro-batches,
    whose gradients add up to its own. Batch norm then goes by the mean and deviation of each, and
    dropout draws for each; nothing else changes but rounding.

    Of a batch in shares the loss and the logits are those of the share; the gradient is that of the
    whole batch, the sum of what all processes have. It is added up once it is there, and not, as by
    DistributedDataParallel, while it is made: so each process may take micro-batches of its own.
    Where batch norms go by the whole batch it cannot, and out of memory is an error.

    Args:
        labels: `(B,)`, or shares of classes `(B, K)`.
        weights: of a photo of each class `(K,)`, for balance in the loss.
        part: the share of the batch that these photos are; None: all of it.
        make_room: as of `until_it_fits`.
    """
    module, photos = state.module, len(images)
    part = part or part_of(photos, None, mixed=False)
    size = part.size
    smallest = 2 if _batch_norms(module) else 1  # a deviation needs two photos
    before = _snapshot(module, images.device)

    def work(parts: int) -> tuple[Tensor, Tensor]:
        state.optimizer.zero_grad(set_to_none=True)
        total, logits = torch.zeros((), dtype=widest(images.device), device=images.device), []
        for some, some_labels in zip(
            images.tensor_split(parts), labels.tensor_split(parts), strict=True
        ):  # micro-batch (b, C, S, S)
            real = min(len(some), part.real)
            with (
                autocast(images.device, optim.precision),
                narrow_convolutions(images.device, optim.precision),
                whole_batch_norms(team, real),
            ):
                some_logits = module(some).float()[:real]  # (b, K)
            loss = functional.cross_entropy(
                some_logits,
                some_labels[:real],
                weight=weights if optim.balance == "loss" else None,
                label_smoothing=optim.label_smoothing or 0.0,
                reduction="sum",
            )
            loss = loss / size
            penalty = loss.new_zeros(())
            if optim.l1:
                norm = torch.stack([w.abs().sum() for w in decaying(module).values()]).sum()
                penalty = optim.l1 * real / size * norm
            (loss + penalty).backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
            logits.append(some_logits.detach())
        return total, torch.cat(logits)

    def with_more_room() -> bool:
        _restore(module, before, images.device)
        return make_room()

    def retry(parts: int) -> None:
        few = -(-photos // parts)
        note(f"Out of memory: batches of {photos} are now taken in micro-batches of {few}.")

    fewest = "a single photo" if smallest == 1 else f"{smallest} photos, the fewest for batch norm"
    too_much = (
        f"There is not enough memory to train on {fewest}. Use a smaller --image-size or a "
        "smaller network."
    )
    most = max(1, photos // smallest)
    if team and smallest == 2:
        most, too_much = 1, _too_much_together(size, team)
    found, parts = until_it_fits(work, state.micro_batches, most, too_much, retry, with_more_room)
    state.micro_batches = max(state.micro_batches, parts)
    if team:
        team.sum_each([w.grad for w in module.parameters() if w.grad is not None])
    return found


def _too_much_together(size: int, team: Team) -> str:
    return (
        f"There is not enough memory for {-(-size // team.size)} photos in each of {team.size} "
        f"processes. Use a smaller --batch-size than {size}, or more processes."
    )


def optimizer_step(state: State, optim: OptimConfig) -> None:
    """Update the weights by their gradient, then their moving average."""
    if optim.clip_norm:
        nn.utils.clip_grad_norm_(state.module.parameters(), optim.clip_norm)
    state.optimizer.step()
    state.steps += 1
    if state.average:
        state.average.update(state.module, state.steps)


def _order(
    rows: IntArray, targets: Tensor, weights: Tensor, config: TrainConfig, epoch: int
) -> IntArray:
    """The rows of an epoch, shuffled; balanced by sampling, every class is as frequent."""
    rng = np.random.default_rng([config.seed, epoch])
    if config.optim.balance != "sample":
        return rng.permutation(rows)
    p = weights.cpu()[targets.cpu()[rows]].double().numpy()
    return rng.choice(rows, len(rows), p=p / p.sum())


def _batch_norms(module: nn.Module) -> list[_BatchNorm]:
    """The batch norms in training mode, which go by the statistics of the batch."""
    norms = (m for m in module.modules() if isinstance(m, _BatchNorm))
    return [norm for norm in norms if norm.training]


def _snapshot(module: nn.Module, device: torch.device) -> tuple[list[Tensor], list[Tensor]]:
    """What a failed attempt changes: batch-norm statistics, and the random state."""
    statistics = [b.clone() for norm in _batch_norms(module) for b in norm.buffers()]
    return statistics, random_states(device)


def _restore(
    module: nn.Module, before: tuple[list[Tensor], list[Tensor]], device: torch.device
) -> None:
    statistics, random = before
    buffers = [b for norm in _batch_norms(module) for b in norm.buffers()]
    for buffer, value in zip(buffers, statistics, strict=True):
        buffer.copy_(value)
    set_random_states(random, device)


def _at(values: Tensor, positions: IntArray | None) -> Tensor:
    """Values at some positions, or all of them, without a wait for their device."""
    return values if positions is None else values[to_device(positions, values.device)]


def _of_batches(predicted: Sequence[tuple[Tensor, Tensor, IntArray]], team: Team | None) -> Metrics:
    """The metrics of an epoch's batches before their steps.

    Args:
        predicted: logits `(B, K)` of each batch or share of one, labels of the whole batch, and
            places of the logits among those of the epoch.
    """
    labels = torch.cat([labels for _, labels, _ in predicted])
    if team is None:
        return compute_metrics(torch.cat([logits for logits, _, _ in predicted]), labels)
    pieces = [(torch.from_numpy(places), logits) for logits, _, places in predicted]
    return compute_metrics(team.joined(len(labels), pieces), labels)


def _read_losses(
    steps: list[dict[str, Any]], optim: OptimConfig, team: Team | None
) -> list[dict[str, Any]]:
    """The history of some steps, with their losses read from the device all at once.

    Raises:
        ModelError: a loss is not finite.
    """
    read = torch.stack([step["loss"] for step in steps])
    losses = (team.sum(read) if team else read).tolist()
    for step, loss in zip(steps, losses, strict=True):
        step["loss"] = loss
        if not math.isfinite(loss):
            raise _diverged(step, optim)
    return steps


def _diverged(step: dict[str, Any], optim: OptimConfig) -> ModelError:
    smaller = min(step["lr"] / 10, default_rate(optim.optimizer or ""))
    remedies = [f"a smaller --lr (such as {smaller:.1g}, or auto)"]
    remedies += ["--clip-norm 1"] if optim.clip_norm is None else []
    remedies += ["--precision fp32"] if optim.precision != "fp32" else []
    return ModelError(
        f"The loss became {step['loss']} in epoch {step['epoch']}, step {step['step'] + 1}, at "
        f"learning rate {step['lr']:.2g}. Use {' or '.join(remedies)}."
    )


@contextmanager
def _resumable(state: State, checkpoint: Path | None, epochs: int) -> Iterator[None]:
    """Say of Ctrl-C, and of a process that is lost, how to resume, where there is a checkpoint."""
    try:
        yield
    except (KeyboardInterrupt, Lost) as error:
        if checkpoint is None:
            raise
        where = how_to_resume(checkpoint, state.epoch, epochs)
        if isinstance(error, Lost):
            raise Lost(f"{error} This was {where}") from None
        raise Interrupted(f"Interrupted {where}") from None


def how_to_resume(checkpoint: Path | None, epoch: int, epochs: int) -> str:
    """Where a training was stopped, and the command that goes on with it.

    Args:
        epoch: finished epochs.
    """
    kept = f"{count(epoch, 'finished epoch')} kept" if epoch and checkpoint else "none finished"
    where = f"in epoch {min(epoch + 1, epochs)} of {epochs}"
    if checkpoint is None:
        return f"{where}. Run the command again."
    folder = checkpoint.parent
    elsewhere = f" --out {quote(str(folder.parent))}" if folder.parent != RUNS else ""
    resume = f"Go on with `imgcli train --resume --run {folder.name}{elsewhere}`."
    return f"{where}; {kept}. {resume}"


def batch_size_in(epoch: int, optim: OptimConfig) -> int:
    """Photos per step in an epoch, from 1; growing batches grow by the same factor each time."""
    assert optim.batch_size and optim.epochs
    if optim.grow_batch is None or optim.epochs == 1:
        return optim.batch_size
    share = (epoch - 1) / (optim.epochs - 1)
    factor = float(optim.grow_batch / optim.batch_size)
    return round(optim.batch_size * math.pow(factor, share))
