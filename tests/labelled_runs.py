"""A run evaluated with folds, on photos one of which has a wrong label."""

import json
from pathlib import Path

import numpy as np

from imgcli.commands.split import split
from imgcli.records import Predictions
from imgcli.runs import Run
from tests.photo_folders import write_classes
from tests.report import report_runs

WRONG = "blue/12.png"  # a red one


def judged(data: Path, seed: int = 0) -> Predictions:
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
    made = report_runs.run(folder, judged(Path("dataset")))
    made.write_json("config.json", {**made.read_json("config.json"), "data": "dataset"})
    return made
