"""The pipeline of a run, from photos to files in its folder: train, score the test part, folds."""

import contextlib
import copy
import time
from collections.abc import Collection, Mapping
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
from imgcli.models.network import Classifier, Network, count_params, fingerprint, network_key
from imgcli.records import IntArray, Rejected, Scored
from imgcli.runs import CHECKPOINT, Run, finished_runs, new_run, sweep, training
from imgcli.training.cache_keys import evaluation_key, score_key
from imgcli.training.context import (
    FitResult,
    FitSpec,
    TrainingContext,
    logits_by,
    make_context,
    probs_by,
)
from imgcli.training.cross_validation import as_predictions, out_of_fold
from imgcli.training.device import choose_device
from imgcli.training.fitting import fit_all, with_rate
from imgcli.training.inputs import FeatureInputs
from imgcli.training.metrics import Metrics, compute_metrics
from imgcli.training.model_io import (
    HISTORY,
    chosen_in,
    load_model,
    save_history,
    save_model,
    trained_on_validation,
)
from imgcli.training.precision import has_bf16, refuse_emulated

FOLDS_LOCK = ".folds.lock"  # in a run: of who writes its out-of-fold predictions
_FACTS = (  # of a finished run, for its JSON document
    *("params", "epochs", "kept_epoch", "input", "images_per_second", "seconds"),
    *("train", "val", "val_learnt_by", "test", "chosen"),
)


@dataclass(frozen=True, eq=False)
class Trained:
    """A finished training."""

    run: Run
    document: dict[str, Any]  # of the JSON contract
    history: list[dict[str, Any]]
    rejected: tuple[Rejected, ...]  # photos that could not be used
    leaks: int  # groups of duplicates both in the test part and outside it


@within_memory()
def train_run(
    config: TrainConfig,
    data: Path,
    runs: Path,
    device: str = "auto",
    resume: Run | None = None,
    asked: Collection[str] | None = None,
) -> Trained:
    """Train by a config, or resume an unfinished run, and save everything in its folder.

    Args:
        asked: the choices that were made, where the config holds resolved defaults too.

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
        context = with_rate(make_context(config, data, device))
        return _train(context, resume, data, start)


def _train_new(
    config: TrainConfig, data: Path, runs: Path, device: str, asked: Collection[str]
) -> Trained:
    """Train in a new folder, made once the config and the dataset have been checked."""
    start = time.perf_counter()
    context = make_context(config, data, device)
    if "patience" in asked:
        _check_patience(context)
    _check_tracked(context)
    context = with_rate(context)
    run = new_run(runs, context.config, data, asked)
    with training(run):
        return _train(context, run, data, start)


def _train(context: TrainingContext, run: Run, data: Path, start: float) -> Trained:
    """Fit, evaluate, save.

    Args:
        start: by the performance counter, when the command began.
    """
    before = _frozen_backbone(context, context.network)
    fitted = _fit(context, run)
    seconds = time.perf_counter() - start
    network = _trained_network(context, fitted)
    facts = _evaluate(context, fitted, network, data, seconds)
    assert facts["backbone_sha256"] == before, "a frozen backbone changed"
    _save(context, fitted, network, facts, run)
    return Trained(run, _document(run), fitted.history, context.rejected, context.dataset.leaks)


def _fit(context: TrainingContext, run: Run) -> FitResult:
    """Train on the train part, from the run's checkpoint if there is one."""
    spec = FitSpec(
        context.rows("train"),
        context.rows("val") if context.dataset.split.val is not None else None,
        watched=_tracked(context, run),
        checkpoint=run.folder / CHECKPOINT,
    )
    (fitted,) = fit_all(context, [spec])
    return fitted


def _evaluate(
    context: TrainingContext, fitted: FitResult, network: Network, data: Path, seconds: float
) -> dict[str, Any]:
    """The facts of a finished training, by their names in `model.json`."""
    frozen, rows = context.config.model.frozen, fitted.trained_on
    seen = len(rows) if frozen else fitted.samples_seen  # through a frozen backbone: once each
    own_val = context.dataset.split.val is not None
    knows = None if own_val else trained_on_validation(context.config, data)
    train = compute_metrics(logits_by(context, fitted.module, rows), context.targets[rows])
    return {
        "params": count_params(network.classifier, frozen_backbone=frozen),
        "epochs": fitted.epochs,
        "kept_epoch": fitted.best_epoch,
        "input": network.preprocess.describe(),
        "images_per_second": seen / seconds,
        "seconds": seconds,
        "train": train.to_json(),
        "val": fitted.val and fitted.val.to_json(),
        "val_learnt_by": str(knows.folder) if fitted.val and knows else None,
        "test": _last(fitted.history, "test"),
        "chosen": dict(fitted.chosen),
        "backbone_sha256": _frozen_backbone(context, network),
    }


def _frozen_backbone(context: TrainingContext, network: Network) -> str | None:
    return fingerprint(network.classifier.backbone) if context.config.model.frozen else None


def _save(
    context: TrainingContext,
    fitted: FitResult,
    network: Network,
    facts: Mapping[str, Any],
    run: Run,
) -> None:
    """Write history, weights and facts; then the checkpoint is not needed any more."""
    save_history(run.folder / HISTORY, fitted.history)
    save_model(run, network, context.config, context.classes, facts)
    (run.folder / CHECKPOINT).unlink(missing_ok=True)


def train_bag(
    config: TrainConfig, data: Path, runs: Path, device: str = "auto", resume: Run | None = None
) -> tuple[list[dict[str, Any]], Trained]:
    """Train `config.bag_of` networks, each on a bootstrap sample, or resume that.

    Returns:
        The documents of all of them, and the last training.

    Raises:
        StorageError: another imgcli resumes this bag.
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
    """The networks of a bag that are not finished yet."""
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
        except KeyboardInterrupt:  # before training began, which says by itself how to resume
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
    """The run's predictions of the sealed test part; computed once, then read back.

    Raises:
        DataError: the dataset has no test part.
        RunError: the run knows other classes than the dataset.
    """
    # What only training needs may be gone by now.
    config = run.config.with_(pseudo_label=None, confidence=None, weight_decay=None)
    context = _trained_context(run, config, data, device)
    rows = context.rows("test")
    if len(rows) == 0:
        raise DataError(
            f"'{context.dataset.samples.root}' has no test part. Make one with `imgcli split`, or "
            "estimate the error on the train part: imgcli evaluate --folds 10"
        )
    leaks, name = context.dataset.leaks, "predictions-test.npz"
    key = score_key(
        context.dataset.samples,
        rows,
        network_key(context.network, context.network.classifier),
        context.network.preprocess,
        context.config.optim.precision,
    )
    made_of = f"{key} {evaluation_key(run, context.dataset, device, 'test')}"
    stored = run.made_of(name)
    known = stored.partition(" ")[0] == key
    if known and ledger.entered(run, _digests(context, rows), "evaluate"):
        predictions = run.load_predictions(name)
        if stored != made_of:
            run.save_predictions(name, predictions, made_of)
        return Scored(predictions, None, None, leaks)
    times = _enter(context, run, "evaluate")
    classifier = context.network.classifier
    module = classifier.head if isinstance(context.inputs, FeatureInputs) else classifier
    no_fold = np.full(len(rows), -1, dtype=np.int64)
    predictions = as_predictions(context, "test", rows, probs_by(context, module, rows), no_fold)
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
    """Out-of-fold predictions by the run's own config, and the folds' training confusions.

    Args:
        repeats: of the whole cross-validation, with `seed` and the numbers after it. The first is
            the run's out-of-fold predictions from now on; the others are kept beside it.
    """
    context, times = fresh_context(run, data, device), None
    if part == "all" and context.dataset.split.test is not None:
        times = _enter(context, run, f"evaluate --folds {k} --on all")
    seed = context.config.seed if seed is None else seed
    repeated = [
        out_of_fold(context, part, k, seed + repeat, run.folder / "folds")
        for repeat in range(repeats)
    ]
    (first, *again), train_confusions = zip(*repeated, strict=True)
    made_of = evaluation_key(run, context.dataset, device, part, k, seed, repeats)
    with locked(run.folder / FOLDS_LOCK, wait=60):
        run.save_folds([first, *again], made_of)
    return Scored(first, np.concatenate(train_confusions), times, 0, tuple(again))


def _check_precision(config: TrainConfig, device_name: str, resume: Run | None) -> None:
    """Refuse a precision that the device lacks; another one would give another network.

    Raises:
        WrongUsage: it was asked for.
        RunError: it is that of the run to resume.
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


def _check_patience(context: TrainingContext) -> None:
    """Refuse --patience without validation photos."""
    if not context.config.data.val_share and context.dataset.split.val is None:
        raise WrongUsage(
            f"--patience {context.config.optim.patience} waits for a better validation loss, and "
            "no photos are held out for one; add --val-share 0.1, or leave it out."
        )


def _check_tracked(context: TrainingContext) -> None:
    """Refuse --track-test without a test part."""
    if context.config.data.track_test and not len(context.rows("test")):
        raise DataError(f"--track-test: '{context.dataset.samples.root}' has no test part.")


def _document(run: Run) -> dict[str, Any]:
    """A finished training, for the JSON contract."""
    facts = run.read_json("model.json")
    kept = {key: facts.get(key) for key in _FACTS}
    return {"run": str(run.folder), "arch": facts.get("arch"), **kept, "chosen": chosen_in(facts)}


def _bagged_until(resume: Run, runs: Path) -> dict[int, Run]:
    """The finished networks of a bag, up to the one to resume, by their numbers."""
    config, found = resume.config, dict[int, Run]()
    assert config.data.bag is not None
    for run in finished_runs(runs):  # the newest comes last
        with contextlib.suppress(RunError):  # a damaged one
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


def _trained_network(context: TrainingContext, fitted: FitResult) -> Network:
    """The whole network: a fitted head is put on its frozen backbone."""
    module = fitted.module
    if not isinstance(module, Classifier):
        assert isinstance(module, torch.nn.Linear)
        module = Classifier(context.network.classifier.backbone, module)
    return replace(context.network, classifier=module)


def _trained_context(
    run: Run, config: TrainConfig, data: Path | None, device: str
) -> TrainingContext:
    """The run's context with its trained network in place."""
    network, classes, _ = load_model(run)
    context = make_context(config, run.data if data is None else data, device, network)
    if context.classes != classes:
        raise RunError(
            f"'{context.dataset.samples.root}' has {len(context.classes)} classes, and the run "
            f"'{run.folder}' knows {len(classes)} others. Name its own dataset with --data."
        )
    context.network.classifier.to(context.device).eval()
    return context


def fresh_context(run: Run, data: Path | None, device: str) -> TrainingContext:
    """The run's context before training: the same config, the same initial weights.

    A frozen backbone is the run's own, so that its published weights are not needed again; the head
    is random again: the run's was trained on photos that folds hold out.
    """
    config = run.config
    if not config.model.frozen:
        return make_context(config, run.data if data is None else data, device)
    context = _trained_context(run, config, data, device)
    head = copy.deepcopy(context.network.classifier.head)
    torch.manual_seed(config.seed)
    head.reset_parameters()
    classifier = Classifier(context.network.classifier.backbone, head)
    return replace(context, network=replace(context.network, classifier=classifier))


def _tracked(context: TrainingContext, run: Run) -> dict[str, IntArray]:
    """The test rows, with --track-test; entered in the ledger."""
    _check_tracked(context)
    if not context.config.data.track_test:
        return {}
    rows = context.rows("test")
    why = "train --track-test"
    if not ledger.entered(run, _digests(context, rows), why):  # a resumed training is the same
        _enter(context, run, why)
    return {"test": rows}


def _enter(context: TrainingContext, run: Run, why: str) -> int:
    return ledger.enter(run, _digests(context, context.rows("test")), why)


def _digests(context: TrainingContext, rows: IntArray) -> list[str]:
    return [context.dataset.samples.digests[i] for i in rows]


def _last(history: list[dict[str, Any]], part: str) -> dict[str, Any] | None:
    """The last metrics of a part in a history."""
    found = [row for row in history if row["part"] == part]
    return {field.name: found[-1][field.name] for field in fields(Metrics)} if found else None
