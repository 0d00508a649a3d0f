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

from imgcli import workspace
from imgcli.errors import DataError, Interrupted, RunError, WrongUsage
from imgcli.learn.checkpoint import CHECKPOINT
from imgcli.learn.fit import fit_all, with_rate
from imgcli.learn.folds import as_predictions, out_of_fold
from imgcli.learn.inputs import FeatureInputs
from imgcli.learn.jobs import Fitted, Job, logits_by, probs_by
from imgcli.learn.measure import Measure, measure
from imgcli.learn.saved import HISTORY, learnt_validation, load_model, save_history, save_model
from imgcli.learn.task import Task, make_task
from imgcli.models.network import Classifier, count_params, fingerprint
from imgcli.records import IntArray, Predictions, Rejected, TrainConfig
from imgcli.workspace import Run

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
    """
    start = time.perf_counter()
    task = make_task(config, data, device)
    asked = config.made if asked is None else asked
    if resume is None and "patience" in asked:
        _check_patience(task)
    task = with_rate(task)
    run = resume or workspace.new_run(runs, task.config, data, asked)
    checkpoint = run.folder / CHECKPOINT
    job = Job(
        task.rows("train"),
        task.rows("val") if task.dataset.split.val is not None else None,
        watched=_tracked(task, run),
        checkpoint=checkpoint,
    )
    before = fingerprint(task.network.classifier.backbone) if config.frozen else None
    (fitted,) = fit_all(task, [job])
    seconds = time.perf_counter() - start
    classifier = _whole(task, fitted)
    after = fingerprint(classifier.backbone) if config.frozen else None
    assert before == after, "a frozen backbone changed"
    passes = 1 if config.frozen else fitted.passes  # frozen: each photo was looked at once
    knows = learnt_validation(task.config, data) if task.dataset.split.val is None else None
    facts = {
        "params": count_params(classifier, frozen_backbone=config.frozen),
        "epochs": fitted.epochs,
        "kept_epoch": fitted.kept,
        "input": task.network.preprocess.describe(),
        "images_per_second": len(fitted.learnt) * passes / seconds,
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
    """
    assert config.bag_of
    done = _bagged_until(resume, runs) if resume else {}
    asked = resume.asked if resume else None
    documents = []
    for number in range(config.bag_of):
        if number in done:
            documents.append(_document(done[number]))
            continue
        begun = resume if resume and resume.config.bag == number else None
        try:
            trained = train_run(config.with_(bag=number), data, runs, device, begun, asked)
        except KeyboardInterrupt:  # before it began to learn, which says how to go on by itself
            if not documents:
                raise
            raise Interrupted(
                f"Interrupted between networks; {len(documents)} of {config.bag_of} are kept. Go "
                f"on with `imgcli train --resume --out {quote(str(runs))}`."
            ) from None
        documents.append(trained.document)
    return documents, trained


def score_test(run: Run, data: Path | None, device: str = "auto") -> Scored:
    """What the run says of the sealed test part; scored once, then read back.

    Raises:
        DataError: the dataset has no test part.
        RunError: the run knows other classes than the dataset.
    """
    # What was only learnt from is not needed to judge, and need not be there any more.
    config = run.config.with_(pseudo_label=None, confidence=None)
    task = _task_of(run, config, data, device)
    rows = task.rows("test")
    if len(rows) == 0:
        raise DataError(
            f"'{task.dataset.samples.root}' has no test part. Make one with `imgcli split`, or "
            "estimate the error on the train part: imgcli evaluate --folds 10"
        )
    leaks, name = task.dataset.leaks, "predictions-test.npz"
    digests = _digests(task, rows)
    if (run.folder / name).is_file() and workspace.in_ledger(run, digests, "evaluate"):
        return Scored(run.load_predictions(name), None, None, leaks)
    times = _enter(task, run, "evaluate")
    classifier = task.network.classifier
    module = classifier.head if isinstance(task.inputs, FeatureInputs) else classifier
    no_fold = np.full(len(rows), -1, dtype=np.int64)
    predictions = as_predictions(task, "test", rows, probs_by(task, module, rows), no_fold)
    run.save_predictions(name, predictions)
    return Scored(predictions, None, times, leaks)


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
    run.save_folds([first, *again])
    return Scored(first, np.concatenate(train_confusions), times, 0, tuple(again))


def _check_patience(task: Task) -> None:
    """Refuse to wait for a better validation loss where there is none."""
    if not task.config.val_share and task.dataset.split.val is None:
        raise WrongUsage(
            f"--patience {task.config.patience} waits for a better validation loss, and no photos "
            "are held out for one; add --val-share 0.1, or leave it out."
        )


def _document(run: Run) -> dict[str, Any]:
    """What a finished training came to, for the JSON contract."""
    facts = run.read_json("model.json")
    told = {key: facts.get(key) for key in _FACTS}
    return {"run": str(run.folder), "arch": facts.get("arch"), **told}


def _bagged_until(resume: Run, runs: Path) -> dict[int, Run]:
    """The finished networks of a bag up to the one where it was left, by their numbers."""
    config, found = resume.config, dict[int, Run]()
    assert config.bag is not None
    for run in workspace.finished_runs(runs):  # the newest comes last
        with contextlib.suppress(RunError):  # another, which is damaged
            other = run.config
            chosen = {"bag": config.bag, "lr": config.lr, "precision": config.precision}
            belongs = other.with_(**chosen) == config and run.data == resume.data
            if other.bag is None or not belongs:
                continue
            if other.bag < config.bag or run.folder == resume.folder:
                found[other.bag] = run
    return found


def _learnt(task: Task, fitted: Fitted) -> Measure:
    """The figures on the photos that were learnt from, by the weights that were kept."""
    return measure(logits_by(task, fitted.module, fitted.learnt), task.targets[fitted.learnt])


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
    if not config.frozen:
        return make_task(config, run.data if data is None else data, device)
    task = _task_of(run, config, data, device)
    head = copy.deepcopy(task.network.classifier.head)
    torch.manual_seed(config.seed)
    head.reset_parameters()
    classifier = Classifier(task.network.classifier.backbone, head)
    return replace(task, network=replace(task.network, classifier=classifier))


def _tracked(task: Task, run: Run) -> dict[str, IntArray]:
    """The test rows, if the config asks for a test curve; entered in the ledger."""
    if not task.config.track_test:
        return {}
    rows = task.rows("test")
    if len(rows) == 0:
        raise DataError(f"--track-test: '{task.dataset.samples.root}' has no test part.")
    why = "train --track-test"
    if not workspace.in_ledger(run, _digests(task, rows), why):  # a resumed training is the same
        _enter(task, run, why)
    return {"test": rows}


def _enter(task: Task, run: Run, why: str) -> int:
    return workspace.enter_in_ledger(run, _digests(task, task.rows("test")), why)


def _digests(task: Task, rows: IntArray) -> list[str]:
    return [task.dataset.samples.digests[i] for i in rows]


def _last(history: list[dict[str, Any]], part: str) -> dict[str, Any] | None:
    """The last figures of a part in a history."""
    found = [row for row in history if row["part"] == part]
    return {field.name: found[-1][field.name] for field in fields(Measure)} if found else None
