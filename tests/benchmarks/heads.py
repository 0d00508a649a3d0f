"""Heads for ten folds and a grid of strengths: one stacked problem beside scikit-learn's fits."""

from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from imgcli.config import TrainConfig
from imgcli.photos.split import split_folder
from imgcli.training.context import make_context
from imgcli.training.device import choose_device
from imgcli.training.inputs import FeatureInputs
from imgcli.training.probe.heads import Heads
from imgcli.training.probe.logistic import fit_softmax
from imgcli.training.probe.selection import L2_PENALTIES
from tests.benchmarks.script import Setting, main
from tests.benchmarks.timing import Goal, Result, alternate

FOLDS = 10
ITERATIONS = 1000  # at most, for scikit-learn: it then ends by its own default tolerance
PEER = "scikit-learn's LogisticRegression"

Floats = NDArray[np.floating]
Fitted = tuple[int, float, Floats, Floats]  # fold, strength, weights (K, D), biases (K,)


def measure(setting: Setting) -> Iterator[Result]:
    name, features, targets = some_features(setting)
    classes = int(targets.max()) + 1
    fold = folds_of(targets)
    features = varying(features, fold)
    device = choose_device(setting.device)
    on_device = torch.from_numpy(features).to(device), torch.from_numpy(targets).to(device)
    rows = torch.from_numpy(fold != np.arange(FOLDS)[:, None]).to(device)  # (folds, M)
    solved: dict[str, list[Fitted]] = {}

    def ours(folder: Path) -> None:
        solved["imgcli"] = stacked(*on_device, rows, classes)

    def theirs(folder: Path) -> None:
        solved[PEER] = one_by_one(features, targets, fold)

    seconds = alternate({"imgcli": ours, PEER: theirs}, setting.rounds(3), setting.work)
    work = (
        f"heads of {FOLDS} folds × {len(L2_PENALTIES)} strengths, {name}, {features.shape[1]:,} "
        f"features, {classes} classes"
    )
    yield Result(work, seconds["imgcli"], seconds[PEER], PEER, goal=Goal("faster", 20.0))
    apart = compared(features, targets, fold, solved)
    yield Result(
        f"{work}: how far the worst objective lies above the peer's, relatively",
        (max(0.0, max(apart)),),
        goal=Goal("below", 1e-4),
        unit="",
        note=f"from {min(apart):+.1e} to {max(apart):+.1e}; where scikit-learn's is much higher "
        "it stopped early, by its default tolerance",
    )


def some_features(setting: Setting) -> tuple[str, Floats, NDArray[np.int64]]:
    """Features `(M, D)` of real photos by a trained network, else numbers of that kind."""
    weights = setting.material.weights
    if weights is None:
        m, d, k = setting.amount((2056, 1280, 30), (600, 1280, 12), (300, 128, 5))
        rng = np.random.default_rng(0)
        targets = np.arange(m) % k
        features = rng.normal(0, 1, (m, d)) + 0.25 * rng.normal(0, 1, (k, d))[targets]
        return f"{m:,} rows drawn at random", features.astype(np.float32), targets
    photos = setting.material.photos(*setting.amount((), (600, 12), (200, 5)))
    config = TrainConfig.of(
        arch="mobilenetv2_100", model_args={"pad_type": "same"}, freeze=True, weights=str(weights)
    )
    with chdir(setting.work):
        split_folder(photos.root, duplicates="off")
        task = make_context(config, Path("dataset"), setting.device)
    assert isinstance(task.inputs, FeatureInputs)
    features = task.inputs.features.cpu().numpy()
    name = f"mobilenetv2_100 on {photos}"
    return name, features[task.readable], task.dataset.samples.targets[task.readable]


def folds_of(targets: NDArray[np.int64]) -> NDArray[np.int64]:
    fold = np.zeros(len(targets), np.int64)
    folder = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    for number, (_, held) in enumerate(folder.split(fold, targets)):
        fold[held] = number
    return fold


def varying(features: Floats, fold: NDArray[np.int64]) -> Floats:
    """The features that vary in every fold; how one that hardly does is scaled is a convention."""
    deviations = [features[fold != number].std(axis=0) for number in range(FOLDS)]
    return features[:, np.min(deviations, axis=0) > 1e-3]


def stacked(features: Tensor, targets: Tensor, rows: Tensor, classes: int) -> list[Fitted]:
    """imgcli's way: all folds at once, each strength begun where the one before it ended."""
    solved = []
    heads: Heads | None = None
    for strength in L2_PENALTIES:
        strengths = features.new_full((FOLDS,), strength)
        heads = fit_softmax(features, targets, rows, strengths, classes=classes, start=heads)
        weight, bias = heads.weight.cpu().numpy(), heads.bias.cpu().numpy()
        solved += [(number, strength, weight[number], bias[number]) for number in range(FOLDS)]
    return solved


def one_by_one(
    features: Floats, targets: NDArray[np.int64], fold: NDArray[np.int64]
) -> list[Fitted]:
    """scikit-learn's way; its C counts the rows, imgcli's strength is per row: C = 1 / (n λ)."""
    solved = []
    for number in range(FOLDS):
        learnt = fold != number
        scaler = StandardScaler().fit(features[learnt])
        standardised = scaler.transform(features[learnt])
        for strength in L2_PENALTIES:
            c = 1 / (strength * learnt.sum())
            model = LogisticRegression(C=c, max_iter=ITERATIONS).fit(standardised, targets[learnt])
            weight = model.coef_ / scaler.scale_
            bias = model.intercept_ - weight @ scaler.mean_
            solved.append((number, strength, weight, bias))
    return solved


def compared(
    features: Floats,
    targets: NDArray[np.int64],
    fold: NDArray[np.int64],
    solved: dict[str, list[Fitted]],
) -> list[float]:
    """The relative difference of each of imgcli's objectives from the peer's."""
    values = {
        who: {
            (number, strength): objective(features, targets, fold != number, strength, weight, bias)
            for number, strength, weight, bias in fitted
        }
        for who, fitted in solved.items()
    }
    return [ours / values[PEER][problem] - 1 for problem, ours in values["imgcli"].items()]


def objective(
    features: Floats,
    targets: NDArray[np.int64],
    learnt: NDArray[np.bool_],
    strength: float,
    weight: Floats,
    bias: Floats,
) -> float:
    """What both minimise, in double precision: see imgcli.training.probe.logistic."""
    rows = features[learnt].astype(np.float64)
    logits = rows @ weight.T + bias
    loss = np.mean(logsumexp(logits, axis=1) - logits[np.arange(len(rows)), targets[learnt]])
    return float(loss + strength / 2 * np.square(weight * rows.std(axis=0)).sum())


if __name__ == "__main__":
    main(measure, __doc__)
