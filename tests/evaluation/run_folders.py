"""Runs on disk as `train` and `evaluate` leave them, written in a moment and without a network."""

from pathlib import Path
from typing import Any

import numpy as np

from imgcli.config import TrainConfig
from imgcli.evaluation import metrics
from imgcli.files import save_arrays, write_atomic
from imgcli.records import Predictions
from imgcli.runs import Run, finish_run, new_run
from tests.evaluation.planted import predictions, sure

CLASSES = ("cat", "dog", "owl")
HISTORY = "epoch,step,part,n,loss,accuracy,macro_precision,macro_f1,lr\n"


def judged(wrong: int, k: int = 0, n: int = 60, first: int = 0) -> Predictions:
    """n photos, the first `wrong` of them called by the next class; in k folds, or in none."""
    targets = np.arange(n) % len(CLASSES)
    said = np.where(np.arange(n) < wrong, (targets + 1) % len(CLASSES), targets)
    fold = np.arange(n) // len(CLASSES) % k if k else None
    made = predictions(targets, sure(said, len(CLASSES)), CLASSES, fold)
    paths = tuple(f"cat/{first + i}.jpg" for i in range(n))
    return Predictions(**{**vars(made), "paths": paths})


def run(
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
