"""A training from photos to the files in its folder: inputs and network, fit, evaluate, save."""

import contextlib
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from shlex import quote
from typing import Any

import torch

from imgcli import ledger
from imgcli.config import TrainConfig
from imgcli.errors import DataError, RunError, WrongUsage
from imgcli.latest_run import make_room_for_latest
from imgcli.models.memory import within_memory
from imgcli.models.network import Classifier, Network, count_params, fingerprint
from imgcli.photos.assign import suggested_folds
from imgcli.photos.dataset import load_dataset
from imgcli.records import IntArray, Rejected
from imgcli.run_lookup import sweep
from imgcli.runs import CHECKPOINT, RUNS, Run, new_run, training
from imgcli.text import listed
from imgcli.tracking.about import about_run
from imgcli.tracking.session import NO_TRACKERS, TrackedRun, Trackers
from imgcli.training.cache_keys import photos_of
from imgcli.training.context import FitResult, FitSpec, TrainingContext, make_context
from imgcli.training.device import choose_device
from imgcli.training.fitting import fit_all, with_rate
from imgcli.training.folds import groups_per_class
from imgcli.training.metrics import Metrics
from imgcli.training.model_io import (
    HISTORY,
    chosen_in,
    save_history,
    save_model,
    trained_on_validation,
)
from imgcli.training.outputs import metrics_by
from imgcli.training.precision import has_bf16, refuse_emulated

_FACTS = (  # of a finished run, for its JSON document
    *("params", "epochs", "kept_epoch", "input", "images_per_second", "seconds", "engine"),
    *("train", "val", "val_learnt_by", "test", "chosen"),
)


@dataclass(frozen=True, eq=False)
class Trained:
    """A finished training."""

    run: Run
    document: dict[str, Any]  # of the JSON contract
    history: list[dict[str, Any]]
    rejected: tuple[Rejected, ...]  # photos that could not be used
    leaks: int  # groups both in the test part and outside it
    grouped_by: tuple[str, ...] = ()  # what joins photos into groups, beside duplicates
    folds: int = 10  # that an evaluation by folds may have; 0 where there can be none
    rare: tuple[str, ...] = ()  # sentences about classes of few photos


@within_memory()
def train_run(
    config: TrainConfig,
    data: Path,
    runs: Path,
    device: str = "auto",
    resume: Run | None = None,
    asked: Collection[str] | None = None,
    trackers: Trackers = NO_TRACKERS,
) -> Trained:
    """Train by a config, or resume an unfinished run, and save everything in its folder.

    A new run gets its folder once the config and the dataset have been checked.

    Args:
        asked: the choices that were made, where the config holds resolved defaults too.
        trackers: are told of it; they decide nothing.

    Raises:
        StorageError: another imgcli is training the run to resume.
        RunError: it has been finished meanwhile.
    """
    start = time.perf_counter()
    asked = config.changed() if asked is None else asked
    check_precision(config, device, resume)
    sweep(runs)
    make_room_for_latest(runs)
    with contextlib.ExitStack() as held:
        if resume:
            held.enter_context(training(resume))
            if resume.finished:
                raise RunError(f"The run '{resume.folder}' has been finished by another imgcli.")
            check_photos(resume, data)
            resume.move_data(data)

        # Inputs and network.
        context = make_context(config, data, device)
        _check_parts(context, () if resume else asked)
        context = with_rate(context)
        run = resume or new_run(runs, context.config, data, asked, photos_of(context.dataset))
        if not resume:
            held.enter_context(training(run))
        tracked = held.enter_context(trackers.run(about_run(run)))
        tracked.begin()

        # Fit.
        backbone = _frozen_backbone(context, context.network)
        spec = FitSpec(
            context.rows("train"),
            context.rows("val") if context.dataset.split.val is not None else None,
            watched=_tracked(context, run),
            checkpoint=run.folder / CHECKPOINT,
            tracked=tracked,
        )
        (fitted,) = fit_all(context, [spec])
        network = _trained_network(context, fitted)
        seconds = time.perf_counter() - start

        # Evaluate.
        facts = _evaluate(context, fitted, network, seconds)
        assert facts["backbone_sha256"] == backbone, "a frozen backbone changed"

        # Save; `model.json` comes last and says that the run is finished.
        save_history(run.folder / HISTORY, fitted.history)
        save_model(run, network, context.config, context.classes, facts)
        (run.folder / CHECKPOINT).unlink(missing_ok=True)
        _track_facts(tracked, facts)
    dataset = context.dataset
    return Trained(
        run,
        document_of(run),
        fitted.history,
        context.rejected,
        dataset.leaks,
        dataset.grouped_by,
        *_foldable(context),
    )


def _track_facts(tracked: TrackedRun, facts: Mapping[str, Any]) -> None:
    """The figures of a finished training, for its trackers."""
    parts = {part: facts[part] for part in ("train", "val", "test") if facts[part]}
    names = [one.name for one in fields(Metrics)]
    numbers = {f"params_{name}": n for name, n in facts["params"].items()}
    numbers |= {name: facts[name] for name in ("epochs", "kept_epoch", "seconds")}
    numbers |= {"images_per_second": facts["images_per_second"], **facts["chosen"]}
    numbers |= {f"{part}/{name}": m[name] for part, m in parts.items() for name in names}
    tracked.summary({f"final/{name}": value for name, value in numbers.items()})
    table = [[part, *(metrics[name] for name in names)] for part, metrics in parts.items()]
    tracked.table("figures", ["part", *names], table)


def _foldable(context: TrainingContext) -> tuple[int, tuple[str, ...]]:
    """How many folds the training photos may have, and sentences about classes of few."""
    groups = groups_per_class(context, context.rows("train")).tolist()
    what = "group of photos" if context.dataset.grouped_by else "independent photo"
    once = [name for name, n in zip(context.classes, groups, strict=True) if n == 1]
    notes = []
    if once:
        notes.append(
            f"One {what} only to train on: class {listed(once)}. Folds cannot judge it: it is "
            "trained on in every one."
        )
    folds = suggested_folds(groups) if max(groups) > 1 else 0
    return folds, tuple(notes)


def document_of(run: Run) -> dict[str, Any]:
    """A finished training, for the JSON contract."""
    facts = run.read_json("model.json")
    kept = {key: facts.get(key) for key in _FACTS}
    return {"run": str(run.folder), "arch": facts.get("arch"), **kept, "chosen": chosen_in(facts)}


def check_photos(run: Run, data: Path) -> None:
    """Refuse to resume a training on other photos than it began with.

    Raises:
        RunError: they differ, or it is not known whether they do.
        DataError: no such dataset.
    """
    asked = f"'{run.folder}' was begun on '{run.data}'"
    if not data.is_dir():
        runs = run.folder.parent
        out = "" if runs == RUNS else f" --out {quote(str(runs))}"
        raise RunError(
            f"{asked}, and there is no folder '{data}' here. Name the folder with the same photos: "
            f"imgcli train --resume --run {quote(run.folder.name)}{out} --data DATASET"
        )
    known, now = run.photos, photos_of(load_dataset(data, config=run.config.data))
    if known is None:
        if data.resolve() != run.data.resolve():
            raise RunError(
                f"{asked} by a version that did not keep the photos' hashes, so that '{data}' "
                f"cannot be compared with it. Put the dataset back to '{run.data}', or train again."
            )
    elif known != now:
        counts = f"{known.n:,} photos, and '{data}' has {now.n:,}"
        differ = counts if known.n != now.n else f"other photos than the {now.n:,} of '{data}'"
        raise RunError(
            f"'{run.folder}' was begun with {differ}: it resumes only where every photo has the "
            "same bytes, name, class and part. Name such a folder with --data, or train again."
        )


def check_precision(config: TrainConfig, device_name: str, resume: Run | None) -> None:
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


def _check_parts(context: TrainingContext, asked: Collection[str]) -> None:
    """Refuse --patience without validation photos, and --track-test without a test part."""
    split, config = context.dataset.split, context.config
    if "patience" in asked and not config.data.val_share and split.val is None:
        raise WrongUsage(
            f"--patience {config.optim.patience} waits for a better validation loss, and "
            "no photos are held out for one; add --val-share 0.1, or leave it out."
        )
    if config.data.track_test and not len(context.rows("test")):
        raise DataError(f"--track-test: '{context.dataset.samples.root}' has no test part.")


def _tracked(context: TrainingContext, run: Run) -> dict[str, IntArray]:
    """The test rows, with --track-test; entered in the ledger, once for a resumed training too."""
    if not context.config.data.track_test:
        return {}
    why = "train --track-test"
    if not ledger.entered(run, context.test_digests, why):
        ledger.enter(run, context.test_digests, why)
    return {"test": context.rows("test")}


def _trained_network(context: TrainingContext, fitted: FitResult) -> Network:
    """The whole network: a fitted head is put on its frozen backbone."""
    module = fitted.module
    if not isinstance(module, Classifier):
        assert isinstance(module, torch.nn.Linear)
        module = Classifier(context.network.classifier.backbone, module)
    return replace(context.network, classifier=module)


def _evaluate(
    context: TrainingContext, fitted: FitResult, network: Network, seconds: float
) -> dict[str, Any]:
    """The facts of a finished training, by their names in `model.json`."""
    frozen, rows = context.config.model.frozen, fitted.trained_on
    seen = len(rows) if frozen else fitted.samples_seen  # through a frozen backbone: once each
    own_val, data = context.dataset.split.val is not None, context.dataset.samples.root
    knows = None if own_val else trained_on_validation(context.config, data)
    # Of one view: six of each training photo would take as long as two epochs, to choose nothing.
    train = metrics_by(context.of_one_view(), fitted.module, rows)
    test = [row for row in fitted.history if row["part"] == "test"][-1:]
    return {
        "params": count_params(network.classifier, frozen_backbone=frozen),
        "epochs": fitted.epochs,
        "kept_epoch": fitted.best_epoch,
        "input": network.preprocess.describe(),
        "images_per_second": seen / seconds,
        "seconds": seconds,
        "engine": context.engine,
        "train": train.to_json(),
        "val": fitted.val and fitted.val.to_json(),
        "val_learnt_by": str(knows.folder) if fitted.val and knows else None,
        "test": {one.name: test[0][one.name] for one in fields(Metrics)} if test else None,
        "chosen": dict(fitted.chosen),
        "backbone_sha256": _frozen_backbone(context, network),
    }


def _frozen_backbone(context: TrainingContext, network: Network) -> str | None:
    return fingerprint(network.classifier.backbone) if context.config.model.frozen else None
