"""Linear probes: heads on frozen features, those of all specs fitted as one problem."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from imgcli.errors import DataError
from imgcli.records import IntArray
from imgcli.training.context import FitResult, FitSpec, TrainingContext
from imgcli.training.folds import bootstrap, groups_per_class, stratified_folds
from imgcli.training.inputs import FeatureInputs
from imgcli.training.metrics import Metrics
from imgcli.training.outputs import metrics_by
from imgcli.training.probe.heads import joined
from imgcli.training.probe.logistic import MAX_ITERATIONS, SoftmaxRegression
from imgcli.training.probe.selection import L2_PENALTIES, Choice, select_l2
from imgcli.training.training_loop import balanced_weights

_INNER_FOLDS = 3  # that choose the L2 penalty, inside the training rows
# Held-out photos that are enough to choose it by: the standard error of an accuracy is 1.1 points
# at most. No more of the inner folds are fitted, which is most of the work on many photos.
ENOUGH = 2000
_DEFAULT_L2 = 0.1  # where one photo per class leaves nothing to choose it by


def fit_probes(context: TrainingContext, specs: Sequence[FitSpec]) -> Iterator[FitResult]:
    """Linear probes of all specs: choose each L2 penalty by validation, then fit to all rows."""
    assert isinstance(context.inputs, FeatureInputs)
    features, targets = context.inputs.features[context.labelled], context.targets[context.labelled]
    optim, k = context.config.optim, len(context.classes)
    regression = SoftmaxRegression(
        features,
        targets,
        k,
        label_smoothing=optim.label_smoothing or 0.0,
        max_iterations=optim.epochs or MAX_ITERATIONS,
    )
    sampled = [bootstrap(context, spec.rows) for spec in specs]
    weights = [_sample_weights(context, rows) for rows in sampled]
    choices = _choose(context, regression, specs, weights)
    default = _DEFAULT_L2 if optim.weight_decay is None else optim.weight_decay
    l2_penalties = [choice.l2_penalty if choice else default for choice in choices]
    temperatures = [
        choice.temperature if choice else spec.chosen.get("temperature", 1.0)
        for spec, choice in zip(specs, choices, strict=True)
    ]
    known = [choice.head for choice in choices if choice]
    heads = regression.solve(
        torch.stack(weights),
        features.new_tensor(l2_penalties),
        start=joined(known) if len(known) == len(specs) else None,
    ).calibrated(features.new_tensor(temperatures))
    last = len(heads.path) - 1
    for j, (spec, choice) in enumerate(zip(specs, choices, strict=True)):
        head = nn.Linear(features.shape[1], k, device=features.device)
        head.load_state_dict({"weight": heads.weight[j], "bias": heads.bias[j]})
        val = choice.val if choice else None
        trained_on = np.setdiff1d(sampled[j], context.unlabelled)
        history = _history_of(context, spec, trained_on, head, heads.path[:, j].tolist(), val)
        chosen = choice.to_json() if choice else {}
        yield FitResult(head, trained_on, history, last, last, len(sampled[j]), val, chosen)


def _choose(
    context: TrainingContext,
    regression: SoftmaxRegression,
    specs: Sequence[FitSpec],
    weights: Sequence[Tensor],
) -> list[Choice] | list[None]:
    """Each spec's L2 penalty and temperature by validation; None where there is none.

    Args:
        weights: sample weights of the labelled rows, `(M,)` per spec.
    """
    pairs = [validation_folds(context, spec) for spec in specs]
    if not all(pairs):
        return [None] * len(specs)
    masks = [
        [
            (sampled * _sample_weights(context, fit), _sample_weights(context, held) > 0)
            for fit, held in these
        ]
        for these, sampled in zip(pairs, weights, strict=True)
    ]
    asked = context.config.optim.weight_decay
    candidates = L2_PENALTIES if asked is None else (asked,)
    return select_l2(regression, masks, candidates)


def _history_of(
    context: TrainingContext,
    spec: FitSpec,
    trained_on: IntArray,
    head: nn.Linear,
    objectives: Sequence[float],
    val: Metrics | None,
) -> list[dict[str, Any]]:
    """The objective at each iteration, and the metrics after the last."""
    figures = {"val": val} if val else {}
    for part, rows in {"train": trained_on, **spec.watched}.items():
        figures[part] = metrics_by(context, head, rows)
    last = len(objectives) - 1
    return [
        *(
            {"epoch": i, "part": "batch", "n": len(spec.rows), "loss": v}
            for i, v in enumerate(objectives)
        ),
        *({"epoch": last, "part": part, **m.to_json()} for part, m in figures.items()),
    ]


def _sample_weights(context: TrainingContext, rows: IntArray) -> Tensor:
    """Sample weights: how often each labelled row is among `rows`, `(M,)` on the device.

    With `balance` times a weight of its class. To weigh photos and to draw them more often is the
    same for a head that is fitted to its optimum.
    """
    counts = np.bincount(rows, minlength=len(context.labelled))
    weights = torch.from_numpy(counts[context.labelled]).float().to(context.device)
    if context.config.optim.balance is not None:
        of_classes = balanced_weights(context.targets, rows[context.labelled[rows]])
        weights *= of_classes[context.targets[context.labelled]]
    return weights


def validation_folds(context: TrainingContext, spec: FitSpec) -> list[tuple[IntArray, IntArray]]:
    """Pairs of rows to fit and to validate on: the given validation rows, or inner folds.

    Of the inner folds, the first that hold out `ENOUGH` photos together. Pseudo-labels never
    validate. Empty where few labels were asked for and each class has one photo, near-duplicates
    counted once; and where the given validation rows are empty.
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
    pairs = [
        (spec.rows[fold != f], np.setdiff1d(spec.rows[fold == f], context.unlabelled))
        for f in np.unique(fold)
    ]
    held = np.cumsum([len(rows) for _, rows in pairs])
    return pairs[: int(np.searchsorted(held, ENOUGH)) + 1]
