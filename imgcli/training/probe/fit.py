"""Heads on frozen features, fitted to their optimum: those of all jobs as one problem."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from imgcli.errors import DataError
from imgcli.records import IntArray
from imgcli.training.context import Task, groups_per_class, stratified_folds
from imgcli.training.fit_spec import Fitted, Job, logits_by
from imgcli.training.inputs import FeatureInputs
from imgcli.training.metrics import Metrics, compute_metrics
from imgcli.training.probe.logistic import MAX_ITERATIONS, fit_softmax
from imgcli.training.probe.ridge import Ridge
from imgcli.training.probe.selection import STRENGTHS, Choice, Solver, choose_strengths, mean_heads
from imgcli.training.sampling import bootstrap

_INNER_FOLDS = 3  # that choose a head's regularisation, inside the rows it learns from
_ALONE = 0.1  # the strength where one photo per class leaves nothing to choose it by


def fit_to_optimum(task: Task, jobs: Sequence[Job]) -> Iterator[Fitted]:
    """Heads for all jobs: choose their strengths by held-out rows, then fit to all of the job's."""
    assert isinstance(task.inputs, FeatureInputs)
    features, targets = task.inputs.features[task.labelled], task.targets[task.labelled]
    solve = _solver(task, features, targets)
    drawn = [bootstrap(task, job.rows) for job in jobs]
    times = [_times(task, rows) for rows in drawn]
    choices = _choose(task, solve, features, targets, jobs, times)
    strengths = [choice.strength if choice else _alone(task) for choice in choices]
    temperatures = [
        choice.temperature if choice else job.chosen.get("temperature", 1.0)
        for job, choice in zip(jobs, choices, strict=True)
    ]
    known = [choice.heads for choice in choices if choice]
    heads = solve(
        torch.stack(times),
        features.new_tensor(strengths),
        start=mean_heads(known) if len(known) == len(jobs) else None,
    ).calibrated(features.new_tensor(temperatures))
    last = len(heads.path) - 1
    for j, (job, choice) in enumerate(zip(jobs, choices, strict=True)):
        head = nn.Linear(features.shape[1], len(task.classes), device=features.device)
        head.load_state_dict({"weight": heads.weight[j], "bias": heads.bias[j]})
        val = compute_metrics(choice.logits[choice.held], targets[choice.held]) if choice else None
        learnt = np.setdiff1d(drawn[j], task.unlabelled)
        history = _history_of(task, job, learnt, head, heads.path[:, j].tolist(), val)
        chosen = choice.to_json() if choice else {}
        yield Fitted(head, learnt, history, last, last, len(drawn[j]), val, chosen)


def _choose(
    task: Task,
    solve: Solver,
    features: Tensor,
    targets: Tensor,
    jobs: Sequence[Job],
    times: Sequence[Tensor],
) -> list[Choice] | list[None]:
    """Each job's regularisation, by rows held out; None where there are none to hold out.

    Args:
        times: how often each labelled row is learnt from, `(M,)` per job.
    """
    pairs = [fit_and_held(task, job) for job in jobs]
    if not all(pairs):
        return [None] * len(jobs)
    masks = [
        [(drawn * _times(task, fit), _times(task, held) > 0) for fit, held in these]
        for these, drawn in zip(pairs, times, strict=True)
    ]
    return choose_strengths(solve, features, targets, masks, _strengths(task))


def _strengths(task: Task) -> Sequence[float]:
    return (
        STRENGTHS if task.config.optim.weight_decay is None else (task.config.optim.weight_decay,)
    )


def _alone(task: Task) -> float:
    return _ALONE if task.config.optim.weight_decay is None else task.config.optim.weight_decay


def _solver(task: Task, features: Tensor, targets: Tensor) -> Solver:
    """What fits heads to their optimum, as the config says."""
    config, k = task.config, len(task.classes)
    if config.optim.optimizer == "ridge":
        return Ridge(features, targets, k)
    return partial(
        fit_softmax,
        features,
        targets,
        classes=k,
        label_smoothing=config.optim.label_smoothing or 0.0,
        max_iterations=config.optim.epochs or MAX_ITERATIONS,
    )


def _history_of(
    task: Task,
    job: Job,
    learnt: IntArray,
    head: nn.Linear,
    objectives: Sequence[float],
    val: Metrics | None,
) -> list[dict[str, Any]]:
    """The objective at each iteration, and what came of the last."""
    figures = {"val": val} if val else {}
    for part, rows in {"train": learnt, **job.watched}.items():
        figures[part] = compute_metrics(logits_by(task, head, rows), task.targets[rows])
    last = len(objectives) - 1
    return [
        *(
            {"epoch": i, "part": "batch", "n": len(job.rows), "loss": v}
            for i, v in enumerate(objectives)
        ),
        *({"epoch": last, "part": part, **m.to_json()} for part, m in figures.items()),
    ]


def _times(task: Task, rows: IntArray) -> Tensor:
    """How often each labelled row of the dataset is among `rows`, `(M,)` on the device."""
    counts = np.bincount(rows, minlength=len(task.labelled))
    return torch.from_numpy(counts[task.labelled]).float().to(task.device)


def fit_and_held(task: Task, job: Job) -> list[tuple[IntArray, IntArray]]:
    """Which rows a job's choices are made on: the given validation rows, or folds.

    Nothing is judged by a guessed label. Empty where few labels were asked for and each class has
    one photo, near-duplicates counted once; and where the validation rows given are none.
    """
    if job.val is not None:
        return [(job.rows, job.val)] if len(job.val) else []
    k = min(_INNER_FOLDS, int(groups_per_class(task, job.rows).max()))
    if k < 2 and task.config.data.labels_per_class is not None:
        return []
    if k < 2:
        raise DataError(
            f"'{task.dataset.samples.root}' has one training photo per class, near-duplicates "
            "counted once; two are needed to choose the head's regularisation. Add photos."
        )
    fold = stratified_folds(task, job.rows, k, task.config.seed)
    return [
        (job.rows[fold != f], np.setdiff1d(job.rows[fold == f], task.unlabelled))
        for f in np.unique(fold)
    ]
