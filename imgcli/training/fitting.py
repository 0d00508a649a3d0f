"""Train one spec or many: by the training loop, or as linear probes all at once."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import median_low

import numpy as np
import torch
from torch import nn

from imgcli.compute.cluster import connected
from imgcli.compute.team import Team
from imgcli.errors import DataError, WrongUsage
from imgcli.models.layers import Whitening
from imgcli.progress import note
from imgcli.records import IntArray
from imgcli.text import count
from imgcli.training.augment import mixing
from imgcli.training.cluster_fits import fit_on
from imgcli.training.context import FitResult, FitSpec, TrainingContext
from imgcli.training.folds import bootstrap, few_labels, hold_out
from imgcli.training.inputs import FeatureInputs, PixelInputs, logits_of
from imgcli.training.lr_finder import find_rate
from imgcli.training.metrics import Metrics, compute_metrics
from imgcli.training.outputs import logits_by, probs_by
from imgcli.training.probe.fit import fit_probes, validation_folds
from imgcli.training.shared_fits import fit_shared
from imgcli.training.shared_photos import team_on
from imgcli.training.training_loop import train

_MAX_WHITENING = 1000  # photos that the filters of a whitening are fitted to


def fit_all(context: TrainingContext, specs: Sequence[FitSpec]) -> Iterator[FitResult]:
    """Fit every spec; heads on frozen features all at once, anything else in turn."""
    specs = [_with_validation(context, spec) for spec in specs]
    for spec, fitted in zip(specs, _fit_labelled(context, specs), strict=True):
        yield _fit_with_pseudo_labels(context, spec, fitted) if len(context.unlabelled) else fitted


def with_rate(context: TrainingContext) -> TrainingContext:
    """The context with the learning rate of a range test, if its config asks for one."""
    if context.config.optim.lr != "auto":
        return context
    rows = _with_validation(context, FitSpec(context.rows("train"))).rows
    module, inputs = _before_training(context, rows)
    rate = float(f"{find_rate(module, inputs, context.targets, context.config, rows):.2g}")
    note(f"Learning rate {rate:g}, found by trying.")
    return replace(context, config=context.config.with_(lr=rate))


def _with_validation(context: TrainingContext, spec: FitSpec) -> FitSpec:
    """The spec with its few labels, if asked for, and its validation rows taken out of them.

    Raises:
        DataError: the validation share of a linear probe holds no photo.
    """
    rows, val = few_labels(context, spec.rows), spec.val
    if val is None and context.config.data.val_share:
        rows, val = hold_out(context, rows, context.config.data.val_share)
        if context.config.optim.is_probe and not len(val):
            raise DataError(
                f"--val-share {context.config.data.val_share:g} holds out none of "
                f"{count(len(rows), 'photo')}, near-duplicates kept together. Give more, or leave "
                "it out to choose the regularisation by folds."
            )
    return replace(spec, rows=rows, val=val)


def _fit_labelled(context: TrainingContext, specs: Sequence[FitSpec]) -> Iterator[FitResult]:
    if context.config.optim.is_probe and specs:
        for spec, fitted in zip(specs, fit_probes(context, specs), strict=True):
            spec.tracked.history(fitted.history, fitted.epochs)
            yield fitted
        return
    for spec in specs:
        yield _fit_elsewhere(context, spec) or fit_by_loop(context, spec)


def _fit_elsewhere(context: TrainingContext, spec: FitSpec) -> FitResult | None:
    """A training that other processes share; None where there are none, or it is a head's."""
    if isinstance(context.inputs, FeatureInputs):
        return None
    if nodes := connected():
        return fit_on(nodes, context, spec, fit_by_loop)
    if team := team_on(context.device):
        return fit_shared(team, context, spec, fit_by_loop)
    return None


def _fit_with_pseudo_labels(
    context: TrainingContext, spec: FitSpec, fitted: FitResult
) -> FitResult:
    """From the start, with pseudo-labels that the first fit is confident of.

    Pseudo-Label (Lee, 2013), in one round.
    """
    labelled, rows = _pseudo_labelled(context, fitted)
    if not len(rows):
        return replace(fitted, chosen={**fitted.chosen, "pseudo_labels": 0})
    second, val = replace(spec, rows=np.concatenate([spec.rows, rows]), checkpoint=None), None
    if context.config.optim.is_probe and spec.val is None:
        chosen, val = _chosen_with_pseudo_labels(context, spec)
        decay = chosen.get("weight_decay", context.config.optim.weight_decay)
        labelled = replace(labelled, config=labelled.config.with_(weight_decay=decay))
        second = replace(second, val=spec.rows[:0], chosen=chosen)
    with spec.tracked.child("with pseudo-labels", "fit") as tracked:
        (result,) = _fit_labelled(labelled, [replace(second, tracked=tracked)])
    chosen = {**second.chosen, **result.chosen, "pseudo_labels": len(rows)}
    if val is None:
        return replace(result, chosen=chosen)
    history = [*result.history, {"epoch": result.epochs, "part": "val", **val.to_json()}]
    return replace(result, val=val, chosen=chosen, history=history)


def _pseudo_labelled(
    context: TrainingContext, fitted: FitResult
) -> tuple[TrainingContext, IntArray]:
    """The context with the labels that a model is confident of, and their rows."""
    rows = context.rows("unlabelled")
    probs = probs_by(context, fitted.module, rows)
    sure = probs.max(axis=1) >= (context.config.data.confidence or 0.0)
    return context.with_pseudo_labels(rows[sure], probs.argmax(axis=1)[sure]), rows[sure]


def _chosen_with_pseudo_labels(
    context: TrainingContext, spec: FitSpec
) -> tuple[Mapping[str, float], Metrics | None]:
    """A head's L2 penalty and temperature by inner folds, and its metrics on held-out photos.

    Each fold makes its own pseudo-labels: those of a fit to all of the spec's photos would know the
    labels that the folds hold out. The median of the folds' choices; empty without folds.
    """
    pairs = validation_folds(context, spec)
    inner = [FitSpec(fit, held) for fit, held in pairs]
    seconds, logits = [], []
    for (fit, held), first in zip(pairs, fit_probes(context, inner) if inner else (), strict=True):
        labelled, rows = _pseudo_labelled(context, first)
        (second,) = fit_probes(labelled, [FitSpec(np.concatenate([fit, rows]), held)])
        seconds.append(second.chosen)
        logits.append(logits_by(labelled, second.module, held))
    if not seconds:
        return {}, None
    l2_penalty, temperature = (
        median_low(chosen[name] for chosen in seconds) for name in ("weight_decay", "temperature")
    )
    chosen = {"weight_decay": l2_penalty, "temperature": temperature, "factor": 1 / temperature}
    targets = context.targets[torch.from_numpy(np.concatenate([held for _, held in pairs]))]
    return chosen, compute_metrics(torch.cat(logits), targets)


def fit_by_loop(context: TrainingContext, spec: FitSpec, team: Team | None = None) -> FitResult:
    """Train a spec by steps.

    Args:
        team: processes that have all called this with the same context and spec, to share it.
    """
    config, val = context.config, spec.val if spec.val is not None else spec.rows[:0]
    if config.optim.schedule == "plateau" and not len(val):
        raise WrongUsage(
            "--schedule plateau needs validation, and there are no photos for it. Give --val-share."
        )
    module, inputs = _before_training(context, spec.rows)
    sampled = bootstrap(context, spec.rows)
    trained_on = np.setdiff1d(sampled, context.unlabelled)
    others = len(trained_on) < len(sampled)  # photos sampled twice, or with a pseudo-label
    spec.tracked.steps_begin()
    state = train(
        module,
        inputs,
        context.targets,
        config,
        rows=sampled,
        watched={
            **({"train": trained_on} if others else {}),
            **({"val": val} if len(val) else {}),
            **spec.watched,
        },
        checkpoint=spec.checkpoint,
        mix=mixing(config.augment.mixup or 0.0, config.augment.cutmix or 0.0, len(context.classes)),
        after_epoch=spec.after_epoch,
        follow=spec.tracked.history,
        label=spec.label,
        team=team,
    )
    val_metrics = None
    if len(val):
        val_metrics = compute_metrics(
            logits_of(module, inputs, val, config.optim.precision, team), context.targets[val]
        )
    if isinstance(inputs, FeatureInputs):
        module = _on_raw_features(module, inputs)
    seen = len(sampled) * (state.epoch - state.resumed_from)
    return FitResult(
        module, trained_on, state.history, state.epoch, state.best_epoch, seen, val_metrics, {}
    )


def _before_training(
    context: TrainingContext, rows: IntArray
) -> tuple[nn.Module, PixelInputs | FeatureInputs]:
    """A copy of the module to train on `rows`, on its device, and its inputs."""
    inputs = context.inputs
    if isinstance(inputs, FeatureInputs):
        head = copy.deepcopy(context.network.classifier.head)
        return head.to(context.device), inputs.standardised(rows)
    classifier = copy.deepcopy(context.network.classifier).to(memory_format=torch.channels_last)
    _fit_whitening(classifier, inputs, rows)
    return classifier.to(context.device), inputs


def _fit_whitening(module: nn.Module, inputs: PixelInputs, rows: IntArray) -> None:
    """Fit the filters of a whitening layer that has none yet to some of the training photos."""
    for layer in module.modules():
        if isinstance(layer, Whitening) and not layer.filters.any():
            layer.fit(
                inputs.batch(rows[:: -(-len(rows) // _MAX_WHITENING)]).to(layer.filters.device)
            )


def _on_raw_features(module: nn.Module, inputs: FeatureInputs) -> nn.Linear:
    """A head for standardised features as the same head for features as they are."""
    assert isinstance(module, nn.Linear)
    head = copy.deepcopy(module)
    with torch.no_grad():
        head.weight /= torch.as_tensor(inputs.scale)
        head.bias.sub_(head.weight @ torch.as_tensor(inputs.mean))
    return head
