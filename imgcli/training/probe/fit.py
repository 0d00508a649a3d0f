"""Heads on frozen features, fitted to their optimum: those of all specs as one problem."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from imgcli.errors import DataError
from imgcli.records import IntArray
from imgcli.training.context import FitResult, FitSpec, TrainingContext, logits_by
from imgcli.training.folds import groups_per_class, stratified_folds
from imgcli.training.inputs import FeatureInputs
from imgcli.training.metrics import Metrics, compute_metrics
from imgcli.training.probe.logistic import MAX_ITERATIONS, fit_softmax
from imgcli.training.probe.ridge import Ridge
from imgcli.training.probe.selection import STRENGTHS, Choice, Solver, choose_strengths, mean_heads
from imgcli.training.sampling import bootstrap

_INNER_FOLDS = 3  # that choose a head's regularisation, inside the rows it learns from
_ALONE = 0.1  # the strength where one photo per class leaves nothing to choose it by


def fit_to_optimum(context: TrainingContext, specs: Sequence[FitSpec]) -> Iterator[FitResult]:
    """Linear probes of all specs: choose each L2 penalty by validation, then fit to all rows."""
    assert isinstance(context.inputs, FeatureInputs)
    features, targets = context.inputs.features[context.labelled], context.targets[context.labelled]
    solve = _solver(context, features, targets)
    drawn = [bootstrap(context, spec.rows) for spec in specs]
    times = [_times(context, rows) for rows in drawn]
    choices = _choose(context, solve, features, targets, specs, times)
    strengths = [choice.strength if choice else _alone(context) for choice in choices]
    temperatures = [
        choice.temperature if choice else spec.chosen.get("temperature", 1.0)
        for spec, choice in zip(specs, choices, strict=True)
    ]
    known = [choice.heads for choice in choices if choice]
    heads = solve(
        torch.stack(times),
        features.new_tensor(strengths),
        start=mean_heads(known) if len(known) == len(specs) else None,
    ).calibrated(features.new_tensor(temperatures))
    last = len(heads.path) - 1
    for j, (spec, choice) in enumerate(zip(specs, choices, strict=True)):
        head = nn.Linear(features.shape[1], len(context.classes), device=features.device)
        head.load_state_dict({"weight": heads.weight[j], "bias": heads.bias[j]})
        val = compute_metrics(choice.logits[choice.held], targets[choice.held]) if choice else None
        learnt = np.setdiff1d(drawn[j], context.unlabelled)
        history = _history_of(context, spec, learnt, head, heads.path[:, j].tolist(), val)
        chosen = choice.to_json() if choice else {}
        yield FitResult(head, learnt, history, last, last, len(drawn[j]), val, chosen)


def _choose(
    context: TrainingContext,
    solve: Solver,
    features: Tensor,
    targets: Tensor,
    specs: Sequence[FitSpec],
    times: Sequence[Tensor],
) -> list[Choice] | list[None]:
    """Each spec's regularisation, by rows held out; None where there are none to hold out.

    Args:
        times: how often each labelled row is learnt from, `(M,)` per spec.
    """
    pairs = [fit_and_held(context, spec) for spec in specs]
    if not all(pairs):
        return [None] * len(specs)
    masks = [
        [(drawn * _times(context, fit), _times(context, held) > 0) for fit, held in these]
        for these, drawn in zip(pairs, times, strict=True)
    ]
    return choose_strengths(solve, features, targets, masks, _strengths(context))


def _strengths(context: TrainingContext) -> Sequence[float]:
    return (
        STRENGTHS
        if context.config.optim.weight_decay is None
        else (context.config.optim.weight_decay,)
    )


def _alone(context: TrainingContext) -> float:
    return (
        _ALONE if context.config.optim.weight_decay is None else context.config.optim.weight_decay
    )


def _solver(context: TrainingContext, features: Tensor, targets: Tensor) -> Solver:
    """What fits heads to their optimum, as the config says."""
    config, k = context.config, len(context.classes)
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
    context: TrainingContext,
    spec: FitSpec,
    learnt: IntArray,
    head: nn.Linear,
    objectives: Sequence[float],
    val: Metrics | None,
) -> list[dict[str, Any]]:
    """The objective at each iteration, and what came of the last."""
    figures = {"val": val} if val else {}
    for part, rows in {"train": learnt, **spec.watched}.items():
        figures[part] = compute_metrics(logits_by(context, head, rows), context.targets[rows])
    last = len(objectives) - 1
    return [
        *(
            {"epoch": i, "part": "batch", "n": len(spec.rows), "loss": v}
            for i, v in enumerate(objectives)
        ),
        *({"epoch": last, "part": part, **m.to_json()} for part, m in figures.items()),
    ]


def _times(context: TrainingContext, rows: IntArray) -> Tensor:
    """How often each labelled row of the dataset is among `rows`, `(M,)` on the device."""
    counts = np.bincount(rows, minlength=len(context.labelled))
    return torch.from_numpy(counts[context.labelled]).float().to(context.device)


def fit_and_held(context: TrainingContext, spec: FitSpec) -> list[tuple[IntArray, IntArray]]:
    """Which rows a spec's choices are made on: the given validation rows, or folds.

    Nothing is judged by a guessed label. Empty where few labels were asked for and each class has
    one photo, near-duplicates counted once; and where the validation rows given are none.
    """
    if spec.val is not None:
        return [(spec.rows, spec.val)] if len(spec.val) else []
    k = min(_INNER_FOLDS, int(groups_per_class(context, spec.rows).max()))
    if k < 2 and context.config.data.labels_per_class is not None:
        return []
    if k < 2:
        raise DataError(
            f"'{context.dataset.samples.root}' has one training photo per class, near-duplicates "
            "counted once; two are needed to choose the head's regularisation. Add photos."
        )
    fold = stratified_folds(context, spec.rows, k, context.config.seed)
    return [
        (spec.rows[fold != f], np.setdiff1d(spec.rows[fold == f], context.unlabelled))
        for f in np.unique(fold)
    ]
