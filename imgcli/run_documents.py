"""What the documents of a run must hold for the program to use them, and what to do about damage.

    config.json        the choices of the training
    model.json         what came of it; SHA-256 of the files beside it
    calibration.json   the factor on the logits
    labels.json        labels that are probably wrong
    learning-curve.json  accuracy by the number of training photos
    features.json      where the features of a frozen backbone are in the cache
    predictions-*.npz  what the network said of photos

Each carries a hash of its content, but for `merges.json`, which is a plan that users edit.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import UNSET, Meta, Struct, UnsetType
from numpy.typing import NDArray

from imgcli.config import MAX_SHIFT, Fit
from imgcli.documents import Count, Name, Positive, Relative, Sha256, Share, stays_inside
from imgcli.records import Predictions

EDITED = ("merges.json",)  # by users, and so without a hash
NOT_FINITE = ("model.json",)  # where a loss may be NaN: of a training that diverged

Channels = tuple[float, float, float]
PARTS = ("train", "test", "all", "other")


class Photos(Struct, frozen=True):
    """The photos that a training began with."""

    n: Count
    sha256: str  # of their paths in the dataset, their bytes, classes and parts


class Config(Struct):
    """`config.json`."""

    config: dict[str, Any]  # by flat names; `Run.config` has them as a TrainConfig
    data: str = "dataset"  # as it was typed
    data_from_run: str | None = None  # the same from the run's folder, for projects that move
    photos: Photos | None = None
    asked: list[str] | None = None
    launch: str | None = None  # of torchrun, that began it


class Figures(Struct, frozen=True):
    """The figures of one part of the dataset in `model.json`."""

    n: Count = 0
    loss: float = 0.0
    accuracy: float = 0.0
    macro_precision: float = 0.0
    macro_f1: float = 0.0


class View(Struct):
    """A `records.Preprocess`, with the ranges that its numbers must be in."""

    size: Annotated[int, Meta(ge=1, le=1 << 14)]  # pixels
    mean: Channels
    std: tuple[Positive, Positive, Positive]
    fit: Fit = "squash"
    crop: Annotated[float, Meta(gt=0, le=1)] = 1.0
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    test_flip: bool = False
    test_shift: Annotated[int, Meta(ge=0, le=MAX_SHIFT)] = 0  # pixels
    channels: Literal[1, 3] = 3


class Chosen(Struct):
    """What validation chose."""

    weight_decay: Annotated[float, Meta(ge=0, le=1e300)] | None = None


class Model(Struct):
    """`model.json`: what it says is of these types; who needs what it lacks, says so."""

    arch: str = ""
    classes: list[str] | UnsetType = UNSET
    params: dict[str, Count] = {}
    seconds: Annotated[float, Meta(ge=0, le=1e300)] = 0.0
    train: Figures = Figures()
    val: Figures | None = None
    test: Figures | None = None
    val_learnt_by: str | None = None
    notation: str | None = None
    model_args: dict[str, Any] = {}
    mirror: bool = False
    feature_power: Annotated[float, Meta(gt=0, le=1)] = 1.0
    preprocess: View | None = None
    precision: str = "fp32"
    input: str | None = None
    epochs: Count | None = None
    kept_epoch: Count | None = None
    images_per_second: float | None = None
    engine: str | None = None
    chosen: Chosen | None = None
    files: dict[str, Sha256] = {}

    def __post_init__(self) -> None:
        if self.classes is not UNSET:
            check_classes(self.classes)


class Calibration(Struct):
    """`calibration.json`."""

    factor: Positive


class Issue(Struct):
    """One photo of `labels.json`."""

    path: Relative
    label: str
    suggestion: str
    score: Share
    reason: str
    index: Count = 0
    probability: Share = 0.0
    suggested_probability: Share = 0.0
    nearest: Count | None = None
    nearest_as_labelled: Count | None = None
    nearest_as_suggested: Count | None = None


class Labels(Struct):
    """`labels.json`."""

    predictions: str
    labels: list[Issue]


class Expected(Struct, frozen=True):
    """An accuracy in `learning-curve.json`."""

    accuracy: Share
    ci95: tuple[Share, Share]


class Point(Expected, frozen=True):
    """The accuracy of so many training photos, on average over the folds."""

    photos: Positive


class LearningCurve(Struct):
    """`learning-curve.json`."""

    folds: Count
    n: Count
    points: Annotated[list[Point], Meta(min_length=1)]
    times: Positive
    expected: Expected
    sentence: str


class FeatureStore(Struct, frozen=True):
    """Where the features of one network are in the cache."""

    name: Name
    size: Annotated[int, Meta(ge=1, le=1 << 24)]  # of one photo's


class Features(Struct):
    """`features.json`."""

    weights: Sha256
    made_by: str
    power: Positive
    stores: Annotated[list[FeatureStore], Meta(min_length=1)]


KINDS: Mapping[str, Any] = {
    "config.json": Config,
    "model.json": Model,
    "calibration.json": Calibration,
    "labels.json": Labels,
    "learning-curve.json": LearningCurve,
    "features.json": Features,
}


def check_classes(classes: list[str]) -> None:
    """Raise ValueError unless there are classes, each once, and sorted as `Samples` has them."""
    if not classes or "" in classes or classes != sorted(set(classes)):
        raise ValueError("the classes are not names in their order, each once")


def remedy(name: str, run: str) -> str:
    """What to do about a damaged file of a run.

    Args:
        run: the run's name, quoted for a shell.
    """
    folds = f"imgcli evaluate --folds 10 --run {run}"
    if name.startswith("predictions-test"):
        return f"Remove it and judge the run again: imgcli evaluate --run {run}"
    if name.startswith(("predictions-", "calibration", "novelty")):
        return f"Remove it and judge the run again: {folds}"
    if name == "labels.json":
        return f"Remove it and look at the labels again: imgcli check --labels --run {run}"
    if name == "learning-curve.json":
        return f"Remove it and make the curve again: imgcli learning-curve --run {run}"
    if name == "explanations.npz":
        return f"Remove it and explain the mistakes again: imgcli explain --run {run}"
    if name == "history.csv":
        return "Restore it, or remove it and do without its curves."
    return "Restore it or train again."


def arrays_of(predictions: Predictions) -> dict[str, NDArray[Any]]:
    """The arrays of predictions, as they are kept in a file."""
    return {one.name: np.asarray(getattr(predictions, one.name)) for one in fields(predictions)}


def as_predictions(arrays: Mapping[str, NDArray[Any]]) -> Predictions:
    """Predictions of their arrays in a file.

    Raises:
        ValueError: the arrays are of other types, shapes or ranges than those of predictions.
        LookupError: one is missing.
    """
    classes = tuple(_texts(arrays, "classes", 1))
    paths = tuple(_texts(arrays, "paths", 1))
    check_classes(list(classes))
    if any(not stays_inside(path) for path in paths):
        raise ValueError("a path that leaves the dataset")
    (on,) = _texts(arrays, "on", 0)
    if on not in PARTS:
        raise ValueError(f"no part '{on}'")
    targets, fold = _whole(arrays, "targets"), _whole(arrays, "fold")
    if ((targets < 0) | (targets >= len(classes))).any() or (fold < -1).any():
        raise ValueError("a class or a fold that there is not")
    probs = arrays["probs"]
    if probs.dtype.kind != "f" or not ((probs >= 0) & (probs <= 1 + 1e-4)).all():
        raise ValueError("probabilities that are none")
    kept = "digests" in arrays and arrays["digests"].size
    divided = "parts" in arrays and arrays["parts"].size  # of on="all"
    try:
        return Predictions(
            classes=classes,
            indices=_whole(arrays, "indices"),
            targets=targets,
            probs=probs.astype(np.float64),
            fold=fold,
            groups=_whole(arrays, "groups"),
            paths=paths,
            on=on,
            out_of_sample=bool(arrays["out_of_sample"]),
            digests=tuple(_texts(arrays, "digests", 1) if kept else ()),
            parts=tuple(_texts(arrays, "parts", 1) if divided else ()),
        )
    except AssertionError:
        raise ValueError("arrays that do not belong together") from None


def _whole(arrays: Mapping[str, NDArray[Any]], name: str) -> NDArray[np.int64]:
    array = arrays[name]
    if array.dtype.kind not in "iu":
        raise ValueError(f"'{name}' are no whole numbers")
    return array.astype(np.int64)


def _texts(arrays: Mapping[str, NDArray[Any]], name: str, sides: int) -> list[str]:
    array = arrays[name]
    if array.dtype.kind != "U" or array.ndim != sides:
        raise ValueError(f"'{name}' is no text")
    return [str(text) for text in np.atleast_1d(array).tolist()]
