"""A workspace as `train` and `evaluate` leave it, made in a moment, photos and all."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imgcli.config import TrainConfig
from imgcli.files import write_atomic
from imgcli.records import IntArray, Predictions
from imgcli.runs import Run, finish_run, new_run
from tests.photo_folders import coloured_photo

HISTORY = "epoch,step,part,n,loss,accuracy,macro_precision,macro_f1,lr\n"
# What a class may be called, and what HTML, a script or a line of text would make of it.
ODD = (  # sorted, as classes are
    "</script><script>alert(1)</script>",
    "<b>\"'&amp;",
    "new\nline",
    "undecodable \udcff byte",
    "{{ 7 * 7 }}",
    "\u05e9\u05dc\u05d5\u05dd",
    "\u202eturned",
)


def predictions(
    confusion: Sequence[Sequence[int]] | IntArray,
    classes: Sequence[str] | None = None,
    folds: int = 0,
    on: str = "train",
    seed: int = 0,
) -> Predictions:
    """Predictions with this confusion matrix, of photos called `<on>/c<class>/<number>.png`."""
    counts = np.asarray(confusion)
    k, n = len(counts), int(counts.sum())
    targets, said = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices((k, k)))
    rng = np.random.default_rng(seed)
    probs = rng.uniform(0.0, 0.3 / k, (n, k))
    probs[np.arange(n), said] = rng.uniform(0.4, 0.9, n)
    probs /= probs.sum(axis=1, keepdims=True)
    return Predictions(
        classes=tuple(classes or (f"class_{i:03d}" for i in range(k))),
        indices=np.arange(n),
        targets=targets.astype(np.int64),
        probs=probs,
        fold=np.arange(n) % folds if folds else np.full(n, -1),
        groups=np.arange(n),
        paths=tuple(f"{on}/c{target}/{i:04d}.png" for i, target in enumerate(targets)),
        on=on,
    )


def run(
    root: Path,
    folds: Predictions | None = None,
    test: Predictions | None = None,
    *,
    classes: Sequence[str] | None = None,
    epochs: int = 3,
) -> Run:
    """A finished run in `root/runs`, trained on `root/dataset`."""
    known = folds or test
    names = list(classes or (known.classes if known else ("cat", "dog")))
    config = TrainConfig.of(arch="tiny", optimizer="sgd", epochs=epochs)
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
