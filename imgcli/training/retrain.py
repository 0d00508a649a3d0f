"""Cross-validation with merged classes or other labels, on cached features and the same folds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from imgcli.errors import RunError
from imgcli.models.memory import within_memory
from imgcli.models.network import Classifier
from imgcli.records import Predictions
from imgcli.runs import Run
from imgcli.text import count, duration
from imgcli.training.cache_keys import changed_photos
from imgcli.training.context import TrainingContext, make_context
from imgcli.training.cross_validation import FoldFit, cross_validate, folds_of, predictions_of
from imgcli.training.model_io import load_model


def retrained(
    run: Run, data: Path | None, before: Predictions, merges: Sequence[Sequence[str]]
) -> Iterator[Predictions]:
    """Out-of-fold predictions by the run's config, for each merge by itself, with the same folds.

    All is chosen inside each fold, as in the folds before, so that the two can be compared: the
    run's own regularisation was chosen by all its training photos, those that a fold holds out too.

    Args:
        data: the dataset, where it is not the one the run was trained on.
        before: the run's out-of-fold predictions.
        merges: the names of the classes of each.

    Raises:
        RunError: the backbone was trained too, so that it would take long; or the photos differ.
    """
    if not run.config.model.frozen:
        raise RunError(_too_long(run, before.folds or 0, len(merges)))
    network, _, _ = load_model(run)
    context = make_context(run.config, run.data if data is None else data, network=network)
    _need_same_photos(run, context, before)
    for names in merges:
        yield _out_of_fold(_merged(context, names), before)


def relabelled(
    run: Run, data: Path | None, before: Predictions, labels: Mapping[int, str]
) -> Predictions:
    """Out-of-fold predictions by the run's config, with some labels changed, in the same folds.

    Args:
        data: the dataset, where it is not the one the run was trained on.
        before: the run's out-of-fold predictions, of a frozen backbone.
        labels: the new classes, by the photos' rows of the dataset.

    Raises:
        RunError: the photos differ.
    """
    network, _, _ = load_model(run)
    context = make_context(run.config, run.data if data is None else data, network=network)
    _need_same_photos(run, context, before)
    samples = context.dataset.samples
    targets = samples.targets.copy()
    for row, name in labels.items():
        targets[row] = samples.classes.index(name)
    changed = replace(
        context,
        dataset=replace(context.dataset, samples=replace(samples, targets=targets)),
        targets=torch.from_numpy(targets).to(context.targets.device),
    )
    return _out_of_fold(changed, before)


@within_memory()
def _out_of_fold(context: TrainingContext, before: Predictions) -> Predictions:
    rows = np.union1d(before.indices, context.rows(before.on))
    fold = np.full(len(rows), -1)  # photos that are trained on and never held out, as before
    fold[np.searchsorted(rows, before.indices)] = before.fold
    results = cross_validate(context, folds_of(rows, fold), FoldFit.result)
    return predictions_of(context, before.on, [*results])


def _merged(context: TrainingContext, names: Sequence[str]) -> TrainingContext:
    """The context as if the classes `names` were one, with a new head for that many classes."""
    samples = context.dataset.samples
    first, *others = sorted(names)
    classes = tuple(name for name in samples.classes if name not in others)
    place = [classes.index(first if name in others else name) for name in samples.classes]
    targets = np.where(samples.targets < 0, -1, np.array(place)[samples.targets])
    torch.manual_seed(context.config.seed)
    old = context.network.classifier
    head = nn.Linear(old.head.in_features, len(classes))
    return replace(
        context,
        dataset=replace(
            context.dataset, samples=replace(samples, targets=targets, classes=classes)
        ),
        network=replace(context.network, classifier=Classifier(old.backbone, head)),
        targets=torch.from_numpy(targets).to(context.targets.device),
    )


def _need_same_photos(run: Run, context: TrainingContext, before: Predictions) -> None:
    samples = context.dataset.samples
    there = before.indices < len(samples)
    known = there.all() and before.paths == tuple(samples.paths[i] for i in before.indices)
    if not known or samples.classes != before.classes or changed_photos(samples, before):
        raise RunError(
            f"'{samples.root}' does not hold the photos that the folds of '{run.folder}' were "
            "judged on. Make the folds again: imgcli evaluate --folds 10"
        )


def _too_long(run: Run, folds: int, merges: int) -> str:
    seconds = float(run.read_json("model.json").get("seconds") or 0) * folds * merges
    return (
        f"--retrain fits heads on cached features, and the run '{run.folder}' trained its backbone "
        f"too: {count(folds, 'fold')} for each of {count(merges, 'merge')} would take about "
        f"{duration(seconds)}. Go by the matrix, or merge with `imgcli merge` and train again."
    )
