"""Stratified k-fold error estimation with a run's own recipe."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imgcli import __version__, reading
from imgcli.errors import WrongUsage
from imgcli.files import save_arrays
from imgcli.reading import digest_of
from imgcli.records import FloatArray, IntArray, Predictions
from imgcli.training.cache_keys import network_key, photos_key, view_key
from imgcli.training.context import Task, judging_folds
from imgcli.training.fit_spec import Fitted, Job, logits_by, probs_by
from imgcli.training.fitting import fit_all
from imgcli.training.model_io import runs_before, save_history


@dataclass(frozen=True, eq=False)
class FoldResult:
    """One fold: what its network said of the photos it had not seen, and of those it had."""

    rows: IntArray  # (M,) held out
    probs: FloatArray  # (M, K)
    train_confusion: IntArray  # (K, K) on the fold's own training photos


def out_of_fold(
    task: Task, part: str, k: int, seed: int, keep: Path
) -> tuple[Predictions, IntArray]:
    """Predict every photo of a part by a network that has not seen it.

    Args:
        part: "train" or "all".
        keep: folder for finished folds; those found there are not computed again.

    Returns:
        Out-of-fold predictions, and the folds' confusion matrices on their train sides `(k, K, K)`.

    Raises:
        WrongUsage: fewer than 2 folds, or weights to start from that know the photos.
        DataError: a class has fewer groups of photos than there are folds.
    """
    refuse_seen(task)
    if k < 2:
        raise WrongUsage(
            f"--folds {k} is too few; use at least 2, or leave it out for the test part."
        )
    rows = task.rows(part)
    fold = judging_folds(task, rows, k, seed)
    folder = keep / _key(task, rows, fold)
    folder.mkdir(parents=True, exist_ok=True)
    results = {f: r for f in range(k) if (r := _load(folder / f"fold-{f:02d}.npz")) is not None}
    pending = [f for f in range(k) if f not in results]
    if pending and task.config.optim.is_probe:
        pending = list(range(k))  # fitted together, so that they come out the same again
    jobs = [Job(rows[fold != f], label=f"Fold {f + 1} of {k}") for f in pending]
    for f, fitted in zip(pending, fit_all(task, jobs), strict=True):
        results[f] = _judge(task, fitted, rows[fold == f])
        history = folder / f"history-{f:02d}.csv"
        save_history(history, fitted.history)
        vouched = {**vars(results[f]), "history_sha256": digest_of(history)}
        save_arrays(folder / f"fold-{f:02d}.npz", vouched)
    return (
        predictions_of(task, part, [results[f] for f in range(k)]),
        np.stack([results[f].train_confusion for f in range(k)]),
    )


def refuse_seen(task: Task) -> None:
    """Refuse folds of photos that the weights to start from have learnt from: none is unseen.

    Raises:
        WrongUsage: they are a run's that was trained on the same dataset, or that began with such.
    """
    data = task.dataset.samples.root
    for run in runs_before(task.config, data):
        raise WrongUsage(
            f"Folds of '{data}' would be judged by networks that have seen their photos: they "
            f"begin with the weights of '{run.folder}', which has learnt from them. Judge by the "
            "validation or the test part, without --folds."
        )


def predictions_of(task: Task, part: str, results: Sequence[FoldResult]) -> Predictions:
    """Folds joined, in the order of the photos."""
    rows = np.concatenate([result.rows for result in results])
    fold = np.repeat(np.arange(len(results)), [len(result.rows) for result in results])
    probs = np.concatenate([result.probs for result in results])
    order = np.argsort(rows)
    return as_predictions(task, part, rows[order], probs[order], fold[order])


def as_predictions(
    task: Task, part: str, rows: IntArray, probs: FloatArray, fold: IntArray
) -> Predictions:
    """Probabilities of some rows with what the dataset knows of them."""
    samples = task.dataset.samples
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
    )


def _judge(task: Task, fitted: Fitted, held: IntArray) -> FoldResult:
    k = len(task.classes)
    preds = logits_by(task, fitted.module, fitted.learnt).argmax(1).cpu().numpy()
    cells = task.dataset.samples.targets[fitted.learnt] * k + preds
    confusion = np.bincount(cells, minlength=k * k).reshape(k, k).astype(np.int64)
    return FoldResult(held, probs_by(task, fitted.module, held), confusion)


def _key(task: Task, rows: IntArray, fold: IntArray) -> str:
    """A name for exactly these folds of exactly this task, by this version of imgcli."""
    samples, network = task.dataset.samples, task.network
    parts = [
        __version__,
        repr(task.config),
        repr(task.classes),
        photos_key(samples, rows),
        repr(fold.tolist()),
        *(samples.digests[row] for row in task.unlabelled.tolist()),
        network_key(network, network.classifier),  # as they begin: published, a file's, drawn
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
