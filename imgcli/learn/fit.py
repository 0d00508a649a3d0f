"""One job or many become fitted networks, by the training loop or to the head's optimum."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from imgcli.errors import DataError, WrongUsage
from imgcli.learn.augment import mixing
from imgcli.learn.checkpoint import State
from imgcli.learn.finder import find_rate
from imgcli.learn.heads import STRENGTHS, Solver, choose_strengths, mean_heads
from imgcli.learn.inputs import FeatureInputs, PixelInputs
from imgcli.learn.loop import logits_of, train
from imgcli.learn.measure import Measure, measure
from imgcli.learn.recipe import TO_OPTIMUM
from imgcli.learn.ridge import Ridge
from imgcli.learn.softmax import MAX_ITERATIONS, fit_softmax
from imgcli.learn.task import Task, hold_out, stratified_folds
from imgcli.models.layers import Whitening
from imgcli.records import IntArray

_WHITENED = 1000  # photos, at most, in which the filters of a whitening are found
_INNER_FOLDS = 3  # that choose a head's regularisation, inside the rows it learns from


@dataclass(frozen=True, eq=False)
class Job:
    """Rows to learn from, and what to validate on."""

    rows: IntArray
    val: IntArray | None = None  # None: taken out of `rows` by the config's val_share or folds
    watched: Mapping[str, IntArray] = field(default_factory=dict)  # judged, deciding nothing
    label: str = "Training"
    checkpoint: Path | None = None
    after_epoch: Callable[[State], None] = lambda state: None  # of a training by steps


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a job gave."""

    module: nn.Module  # from the task's inputs to logits: the whole classifier, or only the head
    learnt: IntArray  # the rows it learnt from: the job's, less those held out for validation
    history: list[dict[str, Any]]
    epochs: int  # passes, or iterations of the fit to the optimum
    kept: int  # the epoch whose weights are kept
    passes: int  # over the inputs, by this process
    val: Measure | None
    chosen: Mapping[str, float]  # what validation chose


def fit_all(task: Task, jobs: Sequence[Job]) -> Iterator[Fitted]:
    """Fit every job; heads on frozen features all at once, anything else in turn."""
    if task.config.optimizer in TO_OPTIMUM and jobs:
        yield from _fit_to_optimum(task, jobs)
    else:
        for job in jobs:
            yield _fit_by_loop(task, job)


def logits_by(task: Task, fitted: Fitted, rows: IntArray) -> Tensor:
    """Logits `(M, K)` of rows, by what a job gave."""
    return logits_of(fitted.module, task.inputs, rows, task.config.precision)


def with_rate(task: Task) -> Task:
    """The task with a learning rate found by trying, if that is what its config asks for."""
    if task.config.lr != "auto":
        return task
    rows, _ = _rows_of(task, Job(task.rows("train")))
    module, inputs = _at_start(task, rows)
    rate = find_rate(module, inputs, task.targets, task.config, rows)
    return replace(task, config=task.config.with_(lr=float(f"{rate:.2g}")))


def _fit_by_loop(task: Task, job: Job) -> Fitted:
    config = task.config
    rows, val = _rows_of(task, job)
    if config.schedule == "plateau" and not len(val):
        raise WrongUsage(
            "--schedule plateau needs validation, and there are no photos for it. Give --val-share."
        )
    module, inputs = _at_start(task, rows)
    state = train(
        module,
        inputs,
        task.targets,
        config,
        rows=rows,
        watched={**({"val": val} if len(val) else {}), **job.watched},
        checkpoint=job.checkpoint,
        mix=mixing(config.mixup or 0.0, config.cutmix or 0.0, len(task.classes)),
        after_epoch=job.after_epoch,
        label=job.label,
    )
    judged = None
    if len(val):
        judged = measure(logits_of(module, inputs, val, config.precision), task.targets[val])
    if isinstance(inputs, FeatureInputs):
        module = _on_raw_features(module, inputs)
    passes = state.epoch - state.resumed_from
    return Fitted(module, rows, state.history, state.epoch, state.best_epoch, passes, judged, {})


def _rows_of(task: Task, job: Job) -> tuple[IntArray, IntArray]:
    """The rows that a training by steps learns from, and those it is validated on."""
    if job.val is not None:
        return job.rows, job.val
    return hold_out(task, job.rows, task.config.val_share or 0.0)


def _at_start(task: Task, rows: IntArray) -> tuple[nn.Module, PixelInputs | FeatureInputs]:
    """A copy of what is to learn from `rows`, on its device, and what it learns from."""
    inputs = task.inputs
    if isinstance(inputs, FeatureInputs):
        head = copy.deepcopy(task.network.classifier.head)
        return head.to(task.device), inputs.standardised(rows)
    classifier = copy.deepcopy(task.network.classifier).to(memory_format=torch.channels_last)
    _fit_whitening(classifier, inputs, rows)
    return classifier.to(task.device), inputs


def _fit_whitening(module: nn.Module, inputs: PixelInputs, rows: IntArray) -> None:
    """Find the filters of a whitening that has none yet, in some of the photos learnt from."""
    for layer in module.modules():
        if isinstance(layer, Whitening) and not layer.filters.any():
            layer.fit(inputs.batch(rows[:: -(-len(rows) // _WHITENED)]).to(layer.filters.device))


def _fit_to_optimum(task: Task, jobs: Sequence[Job]) -> Iterator[Fitted]:
    """Heads for all jobs: choose their strengths by held-out rows, then fit to all of the job's."""
    assert isinstance(task.inputs, FeatureInputs)
    config, k = task.config, len(task.classes)
    features, targets = task.inputs.features[task.readable], task.targets[task.readable]
    pairs = [_fit_and_held(task, job) for job in jobs]
    masks = [[(_mask(task, fit), _mask(task, held)) for fit, held in these] for these in pairs]
    solve = _solver(task, features, targets)
    strengths = STRENGTHS if config.weight_decay is None else (config.weight_decay,)
    choices = choose_strengths(solve, features, targets, masks, strengths)
    heads = solve(
        torch.stack([_mask(task, job.rows) for job in jobs]),
        features.new_tensor([choice.strength for choice in choices]),
        start=mean_heads([choice.heads for choice in choices]),
    ).scaled(features.new_tensor([choice.temperature for choice in choices]))
    for j, (job, choice) in enumerate(zip(jobs, choices, strict=True)):
        held = torch.stack([held for _, held in masks[j]]).any(0)
        val = measure(choice.logits[held], targets[held])
        head = nn.Linear(features.shape[1], k, device=features.device)
        head.load_state_dict({"weight": heads.weight[j], "bias": heads.bias[j]})
        history = _history_of(task, job, head, heads.path[:, j].tolist(), val)
        chosen = {"weight_decay": choice.strength, "temperature": choice.temperature}
        last = len(heads.path) - 1
        yield Fitted(head, job.rows, history, last, last, 1, val, chosen)


def _solver(task: Task, features: Tensor, targets: Tensor) -> Solver:
    """What fits heads to their optimum, as the config says."""
    config, k = task.config, len(task.classes)
    if config.optimizer == "ridge":
        return Ridge(features, targets, k)
    return partial(
        fit_softmax,
        features,
        targets,
        classes=k,
        label_smoothing=config.label_smoothing or 0.0,
        max_iterations=config.epochs or MAX_ITERATIONS,
    )


def _mask(task: Task, rows: IntArray) -> Tensor:
    """Rows of the dataset as a mask `(M,)` over the readable ones."""
    chosen = np.zeros(len(task.readable), dtype=bool)
    chosen[rows] = True
    return torch.from_numpy(chosen[task.readable]).to(task.device)


def _history_of(
    task: Task, job: Job, head: nn.Linear, objectives: Sequence[float], val: Measure
) -> list[dict[str, Any]]:
    """The objective at each iteration, and what came of the last."""
    figures = {"val": val}
    for part, rows in {"train": job.rows, **job.watched}.items():
        logits = logits_of(head, task.inputs, rows, task.config.precision)
        figures[part] = measure(logits, task.targets[rows])
    last = len(objectives) - 1
    return [
        *(
            {"epoch": i, "part": "batch", "n": len(job.rows), "loss": v}
            for i, v in enumerate(objectives)
        ),
        *({"epoch": last, "part": part, **m.to_json()} for part, m in figures.items()),
    ]


def _fit_and_held(task: Task, job: Job) -> list[tuple[IntArray, IntArray]]:
    """Which rows a job's choices are made on: the given validation rows, a share, or folds."""
    if job.val is not None:
        return [(job.rows, job.val)]
    if task.config.val_share:
        return [hold_out(task, job.rows, task.config.val_share)]
    k = min(_INNER_FOLDS, int(task.dataset.samples.counts(job.rows).max()))
    if k < 2:
        raise DataError(
            f"'{task.dataset.samples.root}' has one training photo per class; two are needed to "
            "choose the head's regularisation. Add photos."
        )
    fold = stratified_folds(task, job.rows, k, task.config.seed)
    return [(job.rows[fold != f], job.rows[fold == f]) for f in range(k)]


def _on_raw_features(module: nn.Module, inputs: FeatureInputs) -> nn.Linear:
    """A head learnt on standardised features as the same head on features as they are."""
    assert isinstance(module, nn.Linear)
    head = copy.deepcopy(module)
    with torch.no_grad():
        head.weight /= torch.as_tensor(inputs.scale)
        head.bias.sub_(head.weight @ torch.as_tensor(inputs.mean))
    return head
