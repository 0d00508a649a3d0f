"""Runs on disk as `train` and `evaluate` leave them, written in a moment and without a network."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from imgcli.commands.split import split
from imgcli.config import TrainConfig
from imgcli.evaluation import metrics
from imgcli.files import save_arrays, write_atomic
from imgcli.latest_run import finish_run
from imgcli.records import Predictions
from imgcli.runs import Run, new_run
from tests.support.photos import coloured_photo, write_classes
from tests.support.predictions import predictions, sure, with_twins

CLASSES = ("cat", "dog", "owl")
WRONG = "blue/12.png"  # a red one
HISTORY = "epoch,step,part,n,loss,accuracy,macro_precision,macro_f1,lr\n"


def judged(wrong: int, k: int = 0, n: int = 60, first: int = 0) -> Predictions:
    """n photos, the first `wrong` of them called by the next class; in k folds, or in none."""
    targets = np.arange(n) % len(CLASSES)
    said = np.where(np.arange(n) < wrong, (targets + 1) % len(CLASSES), targets)
    fold = np.arange(n) // len(CLASSES) % k if k else None
    made = predictions(targets, sure(said, len(CLASSES)), CLASSES, fold)
    paths = tuple(f"cat/{first + i}.jpg" for i in range(n))
    return replace(made, paths=paths)


def evaluated_run(
    runs: Path,
    folds: Predictions | None = None,
    test: Predictions | None = None,
    losses: list[float] | None = None,
    **choices: Any,
) -> Run:
    """A finished run; with folds, what they were joined from and their histories beside them."""
    made = new_run(runs, TrainConfig.of(**{"arch": "tiny", **choices}), Path("dataset"))
    learnt = {"n": 60, "loss": 0.1, "accuracy": 1.0, "macro_precision": 1.0, "macro_f1": 1.0}
    params = {"trainable": 90, "non_trainable": 0, "total": 100}
    model = {"arch": choices.get("arch", "tiny"), "params": params, "seconds": 2.0}
    finish_run(made, {**model, "classes": list(CLASSES), "train": learnt})
    write_atomic(made.folder / "history.csv", history(losses or []))
    if test is not None:
        made.save_predictions("predictions-test.npz", test)
    if folds is not None:
        made.save_predictions("predictions-folds.npz", folds)
        keep(made, "a1", folds, losses or [])
    return made


def keep(made: Run, key: str, folds: Predictions, losses: list[float]) -> Path:
    """The folder of the folds, each of which was right about all that it learnt from."""
    folder = made.folder / "folds" / key
    folder.mkdir(parents=True)
    for f in range(folds.folds or 0):
        held, k = folds.fold == f, len(folds.classes)
        learnt = metrics.confusion_matrix(folds.targets[~held], folds.targets[~held], k)
        arrays = {"rows": folds.indices[held], "probs": folds.probs[held]}
        save_arrays(folder / f"fold-{f:02d}.npz", {**arrays, "train_confusion": learnt})
        write_atomic(folder / f"history-{f:02d}.csv", history([loss + f for loss in losses]))
    return folder


def history(losses: list[float]) -> str:
    """A `history.csv`: a row per batch, and the epoch's figures as a row without a step."""
    batches = [f"1,{i},batch,64,{loss},,,,0.1\n" for i, loss in enumerate(losses)]
    return "".join([HISTORY, *batches, "1,,train,60,0.1,1.0,1.0,1.0,\n"])


def reported_run(
    root: Path,
    folds: Predictions | None = None,
    test: Predictions | None = None,
    *,
    classes: Sequence[str] | None = None,
    epochs: int = 3,
    config: TrainConfig | None = None,
) -> Run:
    """A finished run in `root/runs`, trained on `root/dataset`."""
    known = folds or test
    names = list(classes or (known.classes if known else ("cat", "dog")))
    config = config or TrainConfig.of(arch="tiny", optimizer="sgd", epochs=epochs)
    made = new_run(root / "runs", config, root / "dataset")
    rows = [f"{e},,train,9,{1 / e},{1 - 0.5 / e},,,\n" for e in range(1, epochs + 1)]
    write_atomic(made.folder / "history.csv", HISTORY + "".join(rows))
    if folds is not None:
        made.save_predictions("predictions-folds.npz", folds)
    if test is not None:
        made.save_predictions("predictions-test.npz", test)
    val = {"n": 9, "accuracy": 0.5}
    finish_run(made, {"arch": "tiny", "classes": names, "val": val, "kept_epoch": 2})
    return made


def write_photos(root: Path, *said: Predictions) -> None:
    """The photos of these predictions, in `root/dataset`."""
    for path in (path for one in said for path in one.paths):
        file = root / "dataset" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        coloured_photo((90, 120, 60), hash(path) % 1000, size=16).save(file)


def labelled_predictions(data: Path, seed: int = 0) -> Predictions:
    """Predictions of a good network for the train part: it predicts WRONG as red."""
    photos = json.loads((data / "split.json").read_bytes())["photos"]
    train = [photo for photo in photos if photo["part"] == "train"]
    classes = ("blue", "green", "red")
    targets = np.array([classes.index(photo["path"].split("/")[1]) for photo in train])
    said = [2 if photo["source"] == WRONG else t for photo, t in zip(train, targets, strict=True)]
    probs = np.random.default_rng(seed).uniform(0.0, 0.05, (len(train), 3))
    probs[np.arange(len(train)), said] = 0.95
    return Predictions(
        classes=classes,
        indices=np.arange(len(train)),
        targets=targets,
        probs=probs / probs.sum(axis=1, keepdims=True),
        fold=np.arange(len(train)) % 3,
        groups=np.arange(len(train)),
        paths=tuple(photo["path"] for photo in train),
        on="train",
    )


def run_with_a_wrong_label(folder: Path) -> Run:
    """A run in `folder`, the current one; its dataset is split from raw/, where WRONG is red."""
    write_classes(Path("raw"))
    Path("raw/red/00.png").rename(Path("raw") / WRONG)
    split(seed=1)
    made = reported_run(folder, labelled_predictions(Path("dataset")))
    made.write_json("config.json", {**made.read_json("config.json"), "data": "dataset"})
    return made


def write_twins(folder: Path) -> None:
    """The latest run in `folder`, judged on classes of which c00 and c01 are the same."""
    judged = with_twins(np.random.default_rng(0), k=6, twins=1, n=40)
    folds = replace(judged, fold=np.arange(len(judged)) % 5)
    evaluated_run(folder / "runs").save_predictions("predictions-folds.npz", folds)
