"""The stages of a run, from photos to files in its folder: train it, score it."""

import contextlib
import copy
import time
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import torch

from imgcli import ledger
from imgcli.config import TrainConfig
from imgcli.errors import DataError, Interrupted, RunError, WrongUsage
from imgcli.files import locked
from imgcli.models.memory import within_memory
from imgcli.models.network import Classifier, count_params, fingerprint
from imgcli.records import IntArray, Predictions, Rejected
from imgcli.runs import CHECKPOINT, Run, finished_runs, new_run, sweep, training
from imgcli.training.cache_keys import score_key
from imgcli.training.context import Task, make_task
from imgcli.training.cross_validation import as_predictions, out_of_fold
from imgcli.training.device import choose_device
from imgcli.training.fit_spec import Fitted, Job, logits_by, probs_by
from imgcli.training.fitting import fit_all, with_rate
from imgcli.training.inputs import FeatureInputs
from imgcli.training.metrics import Metrics, compute_metrics
from imgcli.training.model_io import (
    HISTORY,
    chosen_in,
    learnt_validation,
    load_model,
    save_history,
    save_model,
)
from imgcli.training.precision import has_bf16, refuse_emulated

FOLDS_LOCK = ".folds.lock"  # in a run: of who writes its out-of-fold predictions
_FACTS = (  # of a finished run that are told of it
    *("params", "epochs", "kept_epoch", "input", "images_per_second", "seconds"),
    *("train", "val", "val_learnt_by", "test", "chosen"),
)


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training came to."""

    run: Run
    document: dict[str, Any]  # of the JSON contract
    history: list[dict[str, Any]]
    rejected: tuple[Rejected, ...]  # photos that could not be used
    leaks: int  # groups of duplicates that lie in the test part and outside it


@dataclass(frozen=True, eq=False)
class Scored:
    """What a run says of photos that it has not learnt from."""

    predictions: Predictions
    train_confusions: IntArray | None  # (k, K, K) the folds' train sides
    times: int | None  # how often the test part has now been scored; None if not by this command
    leaks: int
    again: tuple[Predictions, ...] = ()  # of further repeats of the folds, in the same order


@within_memory()
def train_run(
    config: TrainConfig,
    data: Path,
    runs: Path,
    device: str = "auto",
    resume: Run | None = None,
    asked: Collection[str] | None = None,
) -> Trained:
    """Train by a config, or go on with an unfinished run, and store everything in its folder.

    Args:
        asked: the choices of the config that were made, if others are settled already.

    Raises:
        StorageError: another imgcli is training the run to resume.
        RunError: it has been finished meanwhile.
    """
    _check_precision(config, device, resume)
    sweep(runs)
    if resume is None:
        return _train_new(config, data, runs, device, config.changed() if asked is None else asked)
    with training(resume):
        if resume.finished:
            raise RunError(f"The run '{resume.folder}' has been finished by another imgcli.")
        start = time.perf_counter()
        task = with_rate(make_task(config, data, device))
        return _train(task, resume, data, start)


def _train_new(
    config: TrainConfig, data: Path, runs: Path, device: str, asked: Collection[str]
) -> Trained:
    """Train in a folder that is made as soon as nothing is wrong with what was asked for."""
    start = time.perf_counter()
    task = make_task(config, data, device)
    if "patience" in asked:
        _check_patience(task)
    _check_tracked(task)
    task = with_rate(task)
    run = new_run(runs, task.config, data, asked)
    with training(run):
        return _train(task, run, data, start)


def _train(task: Task, run: Run, data: Path, start: float) -> Trained:
    """Fit, judge and store.

    Args:
        start: by the performance counter, when the command began.
    """
    config, checkpoint = task.config, run.folder / CHECKPOINT
    job = Job(
        task.rows("train"),
        task.rows("val") if task.dataset.split.val is not None else None,
        watched=_tracked(task, run),
        checkpoint=checkpoint,
    )
    before = fingerprint(task.network.classifier.backbone) if config.model.frozen else None
    (fitted,) = fit_all(task, [job])
    seconds = time.perf_counter() - start
    classifier = _whole(task, fitted)
    after = fingerprint(classifier.backbone) if config.model.frozen else None
    assert before == after, "a frozen backbone changed"
    seen = len(fitted.learnt) if config.model.frozen else fitted.seen  # frozen: each photo once
    knows = learnt_validation(task.config, data) if task.dataset.split.val is None else None
    facts = {
        "params": count_params(classifier, frozen_backbone=config.model.frozen),
        "epochs": fitted.epochs,
        "kept_epoch": fitted.kept,
        "input": task.network.preprocess.describe(),
        "images_per_second": seen / seconds,
        "seconds": seconds,
        "train": _learnt(task, fitted).to_json(),
        "val": fitted.val and fitted.val.to_json(),
        "val_learnt_by": str(knows.folder) if fitted.val and knows else None,
        "test": _last(fitted.history, "test"),
        "chosen": dict(fitted.chosen),
    }
    save_history(run.folder / HISTORY, fitted.history)
    network = replace(task.network, classifier=classifier)
    save_model(run, network, task.config, task.classes, {**facts, "backbone_sha256": after})
    checkpoint.unlink(missing_ok=True)
    return Trained(run, _document(run), fitted.history, task.rejected, task.dataset.leaks)


def train_bag(
    config: TrainConfig, data: Path, runs: Path, device: str = "auto", resume: Run | None = None
) -> tuple[list[dict[str, Any]], Trained]:
    """Train `config.bag_of` networks, each on a bootstrap sample, or go on where that was left.

    Returns:
        The documents of all of them, and the last training.

    Raises:
        StorageError: another imgcli goes on with this bag.
    """
    assert config.data.bag_of
    _check_precision(config, device, resume)
    with contextlib.ExitStack() as held:
        if resume:
            held.enter_context(locked(resume.folder / ".bag.lock"))
        return _train_rest(config, data, runs, device, resume)


def _train_rest(
    config: TrainConfig, data: Path, runs: Path, device: str, resume: Run | None
) -> tuple[list[dict[str, Any]], Trained]:
    """The networks of a bag that are not there yet."""
    done = _bagged_until(resume, runs) if resume else {}
    asked = resume.asked if resume else None
    documents = []
    for number in range(config.data.bag_of or 0):
        if number in done:
            documents.append(_document(done[number]))
            continue
        begun = resume if resume and resume.config.data.bag == number else None
        try:
            trained = train_run(config.with_(bag=number), data, runs, device, begun, asked)
        except KeyboardInterrupt:  # before it began to learn, which says how to go on by itself
            if not documents:
                raise
            raise Interrupted(
                f"Interrupted between networks; {len(documents)} of {config.data.bag_of} are kept. "
                f"Continue with `imgcli train --resume --out {quote(str(runs))}`."
            ) from None
        documents.append(trained.document)
    return documents, trained


@within_memory()
def score_test(run: Run, data: Path | None, device: str = "auto") -> Scored:
    """What the run says of the sealed test part; scored once, then read back.

    Raises:
        DataError: the dataset has no test part.
        RunError: the run knows other classes than the dataset.
    """
    # What was only learnt from is not needed to judge, and need not be there any more.
    config = run.config.with_(pseudo_label=None, confidence=None, weight_decay=None)
    task = _task_of(run, config, data, device)
    rows = task.rows("test")
    if len(rows) == 0:
        raise DataError(
            f"'{task.dataset.samples.root}' has no test part. Make one with `imgcli split`, or "
            "estimate the error on the train part: imgcli evaluate --folds 10"
        )
    leaks, name = task.dataset.leaks, "predictions-test.npz"
    made_of = score_key(task.dataset.samples, rows, task.network, task.config.optim.precision)
    known = run.made_of(name) == made_of
    if known and ledger.entered(run, _digests(task, rows), "evaluate"):
        return Scored(run.load_predictions(name), None, None, leaks)
    times = _enter(task, run, "evaluate")
    classifier = task.network.classifier
    module = classifier.head if isinstance(task.inputs, FeatureInputs) else classifier
    no_fold = np.full(len(rows), -1, dtype=np.int64)
    predictions = as_predictions(task, "test", rows, probs_by(task, module, rows), no_fold)
    run.save_predictions(name, predictions, made_of)
    return Scored(predictions, None, times, leaks)


@within_memory()
def score_folds(
    run: Run,
    data: Path | None,
    part: str,
    k: int,
    seed: int | None = None,
    device: str = "auto",
    repeats: int = 1,
) -> Scored:
    """Out-of-fold predictions by the run's own recipe, and the folds' train sides.

    Args:
        repeats: how often to deal the folds, by `seed` and the numbers after it. The first ones are
            the run's out-of-fold predictions from now on; the others are kept beside them.
    """
    task, times = fresh_task(run, data, device), None
    if part == "all" and task.dataset.split.test is not None:
        times = _enter(task, run, f"evaluate --folds {k} --on all")
    seed = task.config.seed if seed is None else seed
    dealt = [
        out_of_fold(task, part, k, seed + repeat, run.folder / "folds") for repeat in range(repeats)
    ]
    (first, *again), train_confusions = zip(*dealt, strict=True)
    with locked(run.folder / FOLDS_LOCK, wait=60):
        run.save_folds([first, *again])
    return Scored(first, np.concatenate(train_confusions), times, 0, tuple(again))


def _check_precision(config: TrainConfig, device_name: str, resume: Run | None) -> None:
    """Refuse a precision that the device lacks: in another one it were another network.

    Raises:
        WrongUsage: it was asked for.
        RunError: it is that of the run to go on with.
    """
    device = choose_device(device_name)
    if resume is None:
        refuse_emulated(config.optim.precision, device)
    elif config.optim.precision == "bf16" and not has_bf16(device):
        raise RunError(
            f"'{resume.folder}' was begun in bf16, which this {device.type.upper()} does not have, "
            "and in fp32 it would become another network. Resume it on a machine with bf16, or "
            "train again."
        )


def _check_patience(task: Task) -> None:
    """Refuse to wait for a better validation loss where there is none."""
    if not task.config.data.val_share and task.dataset.split.val is None:
        raise WrongUsage(
            f"--patience {task.config.optim.patience} waits for a better validation loss, and no "
            "photos are held out for one; add --val-share 0.1, or leave it out."
        )


def _check_tracked(task: Task) -> None:
    """Refuse a test curve where there is no test part."""
    if task.config.data.track_test and not len(task.rows("test")):
        raise DataError(f"--track-test: '{task.dataset.samples.root}' has no test part.")


def _document(run: Run) -> dict[str, Any]:
    """What a finished training came to, for the JSON contract."""
    facts = run.read_json("model.json")
    told = {key: facts.get(key) for key in _FACTS}
    return {"run": str(run.folder), "arch": facts.get("arch"), **told, "chosen": chosen_in(facts)}


def _bagged_until(resume: Run, runs: Path) -> dict[int, Run]:
    """The finished networks of a bag up to the one where it was left, by their numbers."""
    config, found = resume.config, dict[int, Run]()
    assert config.data.bag is not None
    for run in finished_runs(runs):  # the newest comes last
        with contextlib.suppress(RunError):  # another, which is damaged
            other = run.config
            chosen = {
                "bag": config.data.bag,
                "lr": config.optim.lr,
                "precision": config.optim.precision,
            }
            belongs = other.with_(**chosen) == config and run.data == resume.data
            if other.data.bag is None or not belongs:
                continue
            if other.data.bag < config.data.bag or run.folder == resume.folder:
                found[other.data.bag] = run
    return found


def _learnt(task: Task, fitted: Fitted) -> Metrics:
    """The figures on the photos that were learnt from, by the weights that were kept."""
    return compute_metrics(
        logits_by(task, fitted.module, fitted.learnt), task.targets[fitted.learnt]
    )


def _whole(task: Task, fitted: Fitted) -> Classifier:
    """The fitted network with its backbone, whichever part of it was learnt."""
    if isinstance(fitted.module, Classifier):
        return fitted.module
    assert isinstance(fitted.module, torch.nn.Linear)
    return Classifier(task.network.classifier.backbone, fitted.module)


def _task_of(run: Run, config: TrainConfig, data: Path | None, device: str) -> Task:
    """The run's task with its trained network in place."""
    network, classes, _ = load_model(run)
    task = make_task(config, run.data if data is None else data, device, network)
    if task.classes != classes:
        raise RunError(
            f"'{task.dataset.samples.root}' has {len(task.classes)} classes, and the run "
            f"'{run.folder}' knows {len(classes)} others. Name its own dataset with --data."
        )
    task.network.classifier.to(task.device).eval()
    return task


def fresh_task(run: Run, data: Path | None, device: str) -> Task:
    """The run's task as it was before training: the same recipe, the same initial weights.

    A frozen backbone is the run's own, lest its published weights be needed again; its head, which
    may begin anywhere, is drawn anew: the run's has learnt from photos that folds hold out.
    """
    config = run.config
    if not config.model.frozen:
        return make_task(config, run.data if data is None else data, device)
    task = _task_of(run, config, data, device)
    head = copy.deepcopy(task.network.classifier.head)
    torch.manual_seed(config.seed)
    head.reset_parameters()
    classifier = Classifier(task.network.classifier.backbone, head)
    return replace(task, network=replace(task.network, classifier=classifier))


def _tracked(task: Task, run: Run) -> dict[str, IntArray]:
    """The test rows, if the config asks for a test curve; entered in the ledger."""
    _check_tracked(task)
    if not task.config.data.track_test:
        return {}
    rows = task.rows("test")
    why = "train --track-test"
    if not ledger.entered(run, _digests(task, rows), why):  # a resumed training is the same
        _enter(task, run, why)
    return {"test": rows}


def _enter(task: Task, run: Run, why: str) -> int:
    return ledger.enter(run, _digests(task, task.rows("test")), why)


def _digests(task: Task, rows: IntArray) -> list[str]:
    return [task.dataset.samples.digests[i] for i in rows]


def _last(history: list[dict[str, Any]], part: str) -> dict[str, Any] | None:
    """The last figures of a part in a history."""
    found = [row for row in history if row["part"] == part]
    return {field.name: found[-1][field.name] for field in fields(Metrics)} if found else None
