"""Stratified k-fold error estimation with a run's own recipe."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from imgcli import __version__, reading
from imgcli.errors import WrongUsage
from imgcli.files import save_arrays
from imgcli.models.network import network_key
from imgcli.reading import digest_of
from imgcli.records import FloatArray, IntArray, Predictions
from imgcli.tracking.session import NOT_TRACKED, TrackedRun
from imgcli.training.cache_keys import photos_key, view_key
from imgcli.training.context import FitResult, FitSpec, TrainingContext
from imgcli.training.fitting import fit_all
from imgcli.training.folds import evaluation_folds
from imgcli.training.inputs import FeatureInputs
from imgcli.training.metrics import Metrics, compute_metrics
from imgcli.training.model_io import ancestors, save_history
from imgcli.training.other_data import own_photos
from imgcli.training.outputs import logits_by, probs_of
from imgcli.training.spread import spread

T = TypeVar("T")


class Fold(NamedTuple):
    """The rows that one network is trained on, and those it predicts."""

    train: IntArray
    held: IntArray
    label: str


@dataclass(frozen=True, eq=False)
class FoldFit:
    """The network of a fold and its predictions of the held-out rows."""

    context: TrainingContext
    held: IntArray  # (M,)
    fitted: FitResult
    logits: Tensor  # (M, K)

    def module_and_preds(self) -> tuple[nn.Module, IntArray]:
        """The network, and the classes that it predicts of the held-out rows, `(M,)`."""
        return self.fitted.module, self.logits.argmax(1).cpu().numpy()

    def correct(self) -> NDArray[np.bool_]:
        """Which held-out rows are predicted as they are labelled, `(M,)`."""
        _, preds = self.module_and_preds()
        return np.asarray(preds == self.context.dataset.samples.targets[self.held])

    def metrics(self) -> Metrics:
        """The metrics on the held-out rows."""
        return compute_metrics(self.logits, self.context.targets[self.held])

    def result(self) -> "FoldResult":
        """What is kept of the fold."""
        context, k = self.context, len(self.context.classes)
        rows = self.fitted.trained_on
        preds = logits_by(context, self.fitted.module, rows).argmax(1).cpu().numpy()
        cells = context.dataset.samples.targets[rows] * k + preds
        confusion = np.bincount(cells, minlength=k * k).reshape(k, k).astype(np.int64)
        return FoldResult(self.held, probs_of(self.logits), confusion)

    def result_and_history(self) -> "tuple[FoldResult, list[dict[str, Any]]]":
        """What is kept of the fold, and how it was trained."""
        return self.result(), self.fitted.history


Want = Callable[[FoldFit], T]


@dataclass(frozen=True, eq=False)
class FoldResult:
    """Out-of-fold predictions of one fold, and its confusion matrix on its own training photos."""

    rows: IntArray  # (M,) held out
    probs: FloatArray  # (M, K)
    train_confusion: IntArray  # (K, K)


def folds_of(rows: IntArray, fold: IntArray, label: str = "Fold") -> list[Fold]:
    """A network per fold, which is trained on the rows of all others.

    Args:
        fold: the fold `(N,)` of each row, from 0; -1 of one that all are trained on.
    """
    k = int(fold.max()) + 1
    return [Fold(rows[fold != f], rows[fold == f], f"{label} {f + 1} of {k}") for f in range(k)]


def cross_validate(
    context: TrainingContext,
    folds: Sequence[Fold],
    want: Want[T],
    tracked: TrackedRun = NOT_TRACKED,
) -> Iterator[T]:
    """Train a network per fold and predict its held-out rows; what is wanted of each, in order.

    The config's own validation, if any, is inside the training rows of each fold. Heads on frozen
    features are fitted together, as one problem. Other networks are trained one after the other, or
    whole ones each by other processes, which gives the same bits.

    Args:
        want: takes from a fold what is needed of it, where it was trained.
        tracked: the run that the folds are parts of.
    """
    parts = [tracked.child(fold.label, "fold") for fold in folds]
    for part, done in zip(parts, _done(context, folds, parts, want), strict=True):
        if part.followed:
            with part:
                part.summary({f"held/{name}": v for name, v in done.held.to_json().items()})
        yield done.wanted


@dataclass(frozen=True, eq=False)
class _Done(Generic[T]):
    """What is left of a fold when its network is gone."""

    wanted: T
    held: Metrics
    history: list[dict[str, Any]]

    @classmethod
    def of(cls, fold: Fold, context: TrainingContext, fitted: FitResult, want: Want[T]) -> Self:
        logits = logits_by(context, fitted.module, fold.held)
        fit = FoldFit(context, fold.held, fitted, logits)
        return cls(want(fit), fit.metrics(), fitted.history)


def _done(
    context: TrainingContext, folds: Sequence[Fold], parts: Sequence[TrackedRun], want: Want[T]
) -> Iterator[_Done[T]]:
    if isinstance(context.inputs, FeatureInputs):
        specs = [_spec(fold, part) for fold, part in zip(folds, parts, strict=True)]
        for fold, fitted in zip(folds, fit_all(context, specs), strict=True):
            yield _Done.of(fold, context, fitted, want)
        return
    jobs = [partial(_fit, fold=fold, want=want) for fold in folds]
    elsewhere = spread(context, jobs)
    if elsewhere is None:
        for job, part in zip(jobs, parts, strict=True):
            yield job(context, tracked=part)
        return
    for part, done in zip(parts, elsewhere, strict=True):
        part.history(done.history, sum("step" in row for row in done.history))
        yield done


def _fit(
    context: TrainingContext, *, fold: Fold, want: Want[T], tracked: TrackedRun = NOT_TRACKED
) -> _Done[T]:
    (fitted,) = fit_all(context, [_spec(fold, tracked)])
    return _Done.of(fold, context, fitted, want)


def _spec(fold: Fold, tracked: TrackedRun) -> FitSpec:
    return FitSpec(fold.train, label=fold.label, tracked=tracked)


def out_of_fold(
    context: TrainingContext,
    part: str,
    k: int,
    seed: int,
    keep: Path,
    tracked: TrackedRun = NOT_TRACKED,
) -> tuple[Predictions, IntArray]:
    """Predict every photo of a part by a network that was not trained on it.

    Args:
        part: "train" or "all".
        keep: folder of finished folds; those found there are not computed again.
        tracked: the run that the folds are parts of.

    Returns:
        Out-of-fold predictions, and the folds' confusion matrices on their training photos
        `(k, K, K)`.

    Raises:
        WrongUsage: fewer than 2 folds, or initial weights that were trained on the photos.
        DataError: fewer groups of photos than folds.
    """
    refuse_known_photos(context)
    if k < 2:
        raise WrongUsage(
            f"--folds {k} is too few; use at least 2, or leave it out for the test part."
        )
    rows = context.rows(part)
    fold = evaluation_folds(context, rows, k, seed)
    folder = keep / _key(context, rows, fold)
    folder.mkdir(parents=True, exist_ok=True)
    results = {f: r for f in range(k) if (r := _load(folder / f"fold-{f:02d}.npz")) is not None}
    pending = [f for f in range(k) if f not in results]
    if pending and context.config.optim.is_probe:
        pending = list(range(k))  # fitted together, so that they come out the same again
    folds = folds_of(rows, fold)
    fits = cross_validate(context, [folds[f] for f in pending], FoldFit.result_and_history, tracked)
    for f, (result, rows_of_history) in zip(pending, fits, strict=True):
        results[f] = result
        history = folder / f"history-{f:02d}.csv"
        save_history(history, rows_of_history)
        vouched = {**vars(results[f]), "history_sha256": digest_of(history)}
        save_arrays(folder / f"fold-{f:02d}.npz", vouched)
    in_order = [results[f] for f in range(k)]
    confusions = np.stack([result.train_confusion for result in in_order])
    return predictions_of(context, part, in_order), confusions


def refuse_known_photos(context: TrainingContext) -> None:
    """Refuse folds of photos that the initial weights were trained on: none is unseen.

    Raises:
        WrongUsage: they are a run's that was trained on them, or that began with such.
    """
    data, digests = context.dataset.samples.root, {*context.dataset.samples.digests}
    for run in ancestors(context.config):
        if run.data.resolve() != data.resolve() and digests.isdisjoint(own_photos(run).trained):
            continue
        raise WrongUsage(
            f"Folds of '{data}' would be predicted by networks that know their photos: they start "
            f"from the weights of '{run.folder}', which was trained on them. Evaluate on the "
            "validation or the test part, without --folds."
        )


def predictions_of(
    context: TrainingContext, part: str, results: Sequence[FoldResult]
) -> Predictions:
    """Folds joined, in the order of the photos."""
    rows = np.concatenate([result.rows for result in results])
    fold = np.repeat(np.arange(len(results)), [len(result.rows) for result in results])
    probs = np.concatenate([result.probs for result in results])
    order = np.argsort(rows)
    return as_predictions(context, part, rows[order], probs[order], fold[order])


def as_predictions(
    context: TrainingContext, part: str, rows: IntArray, probs: FloatArray, fold: IntArray
) -> Predictions:
    """Probabilities of some rows with what the dataset knows of them."""
    samples, split = context.dataset.samples, context.dataset.split
    of_row = {row: name for name, own in split.parts.items() for row in own.tolist()}
    return Predictions(
        classes=samples.classes,
        indices=rows,
        targets=samples.targets[rows],
        probs=probs,
        fold=fold,
        groups=samples.groups[rows],
        paths=tuple(samples.paths[i] for i in rows),
        on=part,
        digests=tuple(samples.digests[i] for i in rows),
        parts=tuple(of_row[i] for i in rows.tolist()) if part == "all" else (),
    )


def _key(context: TrainingContext, rows: IntArray, fold: IntArray) -> str:
    """A name for exactly these folds of exactly this context, by this version of imgcli."""
    samples, network = context.dataset.samples, context.network
    parts = [
        __version__,
        repr(context.config),
        repr(context.classes),
        photos_key(samples, rows),
        repr(fold.tolist()),
        *(samples.digests[row] for row in context.unlabelled.tolist()),
        network_key(network, network.classifier),  # before training: published, a file's, random
        view_key(network.preprocess),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _load(path: Path) -> FoldResult | None:
    """A finished fold; None where there is none, or it is damaged and must be made again."""
    try:
        file = reading.read_arrays(path)
        return FoldResult(file["rows"], file["probs"], file["train_confusion"])
    except reading.UNREADABLE:
        return None
