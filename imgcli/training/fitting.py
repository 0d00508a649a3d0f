"""One job or many become fitted networks, by the training loop or to the head's optimum."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import median_low

import numpy as np
import torch
from torch import nn

from imgcli.errors import DataError, WrongUsage
from imgcli.models.layers import Whitening
from imgcli.progress import note
from imgcli.records import IntArray
from imgcli.text import count
from imgcli.training.augment import mixing
from imgcli.training.context import Task, hold_out
from imgcli.training.fit_spec import Fitted, Job, logits_by, probs_by
from imgcli.training.inputs import FeatureInputs, PixelInputs
from imgcli.training.lr_finder import find_rate
from imgcli.training.metrics import Metrics, compute_metrics
from imgcli.training.probe.fit import fit_and_held, fit_to_optimum
from imgcli.training.sampling import bootstrap, few_labels
from imgcli.training.training_loop import logits_of, train

_WHITENED = 1000  # photos, at most, in which the filters of a whitening are found


def fit_all(task: Task, jobs: Sequence[Job]) -> Iterator[Fitted]:
    """Fit every job; heads on frozen features all at once, anything else in turn."""
    jobs = [_divided(task, job) for job in jobs]
    for job, fitted in zip(jobs, _fit_labelled(task, jobs), strict=True):
        yield _fit_again(task, job, fitted) if len(task.unlabelled) else fitted


def with_rate(task: Task) -> Task:
    """The task with a learning rate found by trying, if that is what its config asks for."""
    if task.config.optim.lr != "auto":
        return task
    rows = _divided(task, Job(task.rows("train"))).rows
    module, inputs = _at_start(task, rows)
    rate = float(f"{find_rate(module, inputs, task.targets, task.config, rows):.2g}")
    note(f"Learning rate {rate:g}, found by trying.")
    return replace(task, config=task.config.with_(lr=rate))


def _divided(task: Task, job: Job) -> Job:
    """The job with the few labels it may use, and its validation rows taken out of them.

    Raises:
        DataError: a head's regularisation is to be chosen by a share that no photos make up.
    """
    rows, val = few_labels(task, job.rows), job.val
    if val is None and task.config.data.val_share:
        rows, val = hold_out(task, rows, task.config.data.val_share)
        if task.config.optim.is_probe and not len(val):
            raise DataError(
                f"--val-share {task.config.data.val_share:g} holds out none of "
                f"{count(len(rows), 'photo')}, near-duplicates kept together. Give more, or leave "
                "it out to choose the regularisation by folds."
            )
    return replace(job, rows=rows, val=val)


def _fit_labelled(task: Task, jobs: Sequence[Job]) -> Iterator[Fitted]:
    if task.config.optim.is_probe and jobs:
        yield from fit_to_optimum(task, jobs)
    else:
        for job in jobs:
            yield _fit_by_loop(task, job)


def _fit_again(task: Task, job: Job, fitted: Fitted) -> Fitted:
    """From the start, with the unlabelled photos that the first fit is confident of.

    Pseudo-Label (Lee, 2013), in one round.
    """
    guessed, rows = _guessed(task, fitted)
    if not len(rows):
        return replace(fitted, chosen={**fitted.chosen, "pseudo_labels": 0})
    again, val = replace(job, rows=np.concatenate([job.rows, rows]), checkpoint=None), None
    if task.config.optim.is_probe and job.val is None:
        chosen, val = _chosen_with_guesses(task, job)
        decay = chosen.get("weight_decay", task.config.optim.weight_decay)
        guessed = replace(guessed, config=guessed.config.with_(weight_decay=decay))
        again = replace(again, val=job.rows[:0], chosen=chosen)
    (result,) = _fit_labelled(guessed, [again])
    chosen = {**again.chosen, **result.chosen, "pseudo_labels": len(rows)}
    if val is None:
        return replace(result, chosen=chosen)
    history = [*result.history, {"epoch": result.epochs, "part": "val", **val.to_json()}]
    return replace(result, val=val, chosen=chosen, history=history)


def _guessed(task: Task, fitted: Fitted) -> tuple[Task, IntArray]:
    """The task with the labels that a fit is confident of, and the rows that it guessed them of."""
    rows = task.rows("unlabelled")
    probs = probs_by(task, fitted.module, rows)
    sure = probs.max(axis=1) >= (task.config.data.confidence or 0.0)
    return task.with_guesses(rows[sure], probs.argmax(axis=1)[sure]), rows[sure]


def _chosen_with_guesses(task: Task, job: Job) -> tuple[Mapping[str, float], Metrics | None]:
    """A head's regularisation and temperature by inner folds, and its figures on held-out photos.

    Each fold guesses for itself: guesses of a fit to all of the job's photos know the labels that
    the folds hold out. The median of what the folds choose; nothing where there are no folds.
    """
    pairs = fit_and_held(task, job)
    inner = [Job(fit, held) for fit, held in pairs]
    seconds, logits = [], []
    for (fit, held), first in zip(pairs, fit_to_optimum(task, inner) if inner else (), strict=True):
        guessed, rows = _guessed(task, first)
        (second,) = fit_to_optimum(guessed, [Job(np.concatenate([fit, rows]), held)])
        seconds.append(second.chosen)
        logits.append(logits_by(guessed, second.module, held))
    if not seconds:
        return {}, None
    strength, temperature = (
        median_low(chosen[name] for chosen in seconds) for name in ("weight_decay", "temperature")
    )
    chosen = {"weight_decay": strength, "temperature": temperature, "factor": 1 / temperature}
    targets = task.targets[torch.from_numpy(np.concatenate([held for _, held in pairs]))]
    return chosen, compute_metrics(torch.cat(logits), targets)


def _fit_by_loop(task: Task, job: Job) -> Fitted:
    config, val = task.config, job.val if job.val is not None else job.rows[:0]
    if config.optim.schedule == "plateau" and not len(val):
        raise WrongUsage(
            "--schedule plateau needs validation, and there are no photos for it. Give --val-share."
        )
    module, inputs = _at_start(task, job.rows)
    drawn = bootstrap(task, job.rows)
    learnt = np.setdiff1d(drawn, task.unlabelled)
    others = len(learnt) < len(drawn)  # photos drawn twice, or with a guessed label
    state = train(
        module,
        inputs,
        task.targets,
        config,
        rows=drawn,
        watched={
            **({"train": learnt} if others else {}),
            **({"val": val} if len(val) else {}),
            **job.watched,
        },
        checkpoint=job.checkpoint,
        mix=mixing(config.augment.mixup or 0.0, config.augment.cutmix or 0.0, len(task.classes)),
        after_epoch=job.after_epoch,
        label=job.label,
    )
    judged = None
    if len(val):
        judged = compute_metrics(
            logits_of(module, inputs, val, config.optim.precision), task.targets[val]
        )
    if isinstance(inputs, FeatureInputs):
        module = _on_raw_features(module, inputs)
    seen = len(drawn) * (state.epoch - state.resumed_from)
    return Fitted(module, learnt, state.history, state.epoch, state.best_epoch, seen, judged, {})


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


def _on_raw_features(module: nn.Module, inputs: FeatureInputs) -> nn.Linear:
    """A head learnt on standardised features as the same head on features as they are."""
    assert isinstance(module, nn.Linear)
    head = copy.deepcopy(module)
    with torch.no_grad():
        head.weight /= torch.as_tensor(inputs.scale)
        head.bias.sub_(head.weight @ torch.as_tensor(inputs.mean))
    return head
