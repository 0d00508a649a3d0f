"""Labels flipped on purpose, and out-of-fold probabilities learnt from such labels."""

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from imgcli.evaluation.label_errors import mean_confusion
from imgcli.records import FloatArray, IntArray
from imgcli.training.probe.logistic import SoftmaxRegression
from imgcli.training.probe.selection import select_l2

FLIPPED = 0.05
FOLDS, INNER_FOLDS = 10, 3


def confused_with(features: NDArray[np.floating], targets: IntArray) -> IntArray:
    """The class `(K,)` that each is most taken for."""
    clean = out_of_fold(features, targets, int(targets.max()) + 1, seed=0)
    taken_for = mean_confusion(clean, targets)
    np.fill_diagonal(taken_for, 0.0)
    return taken_for.argmax(axis=1)


def flip(
    targets: IntArray, kind: str, partner: IntArray, seed: int, share: float = FLIPPED
) -> tuple[IntArray, NDArray[np.bool_]]:
    """Labels of which some are wrong, and which."""
    rng = np.random.default_rng(seed)
    classes = int(targets.max()) + 1
    rows = rng.choice(len(targets), round(share * len(targets)), replace=False)
    labels, flipped = targets.copy(), np.zeros(len(targets), bool)
    flipped[rows] = True
    if kind == "random":
        labels[rows] = (targets[rows] + rng.integers(1, classes, len(rows))) % classes
    else:
        labels[rows] = partner[targets[rows]]
    return labels, flipped


def out_of_fold(
    features: NDArray[np.floating], labels: IntArray, classes: int, seed: int
) -> FloatArray:
    """Probabilities as `imgcli evaluate --folds` makes them for a frozen network."""
    fold = folds_of(labels, FOLDS, seed)
    x, y = torch.from_numpy(features).float(), torch.from_numpy(labels)
    regression = SoftmaxRegression(x, y, classes)
    outer = [fold != number for number in range(FOLDS)]
    tasks = []
    for learnt in outer:
        rows = np.flatnonzero(learnt)
        inner = np.full(len(labels), -1)
        inner[rows] = folds_of(labels[rows], INNER_FOLDS, seed)
        tasks.append([(mask(learnt & (inner != n)), mask(inner == n)) for n in range(INNER_FOLDS)])
    choices = select_l2(regression, tasks)
    strengths, temperatures = (
        x.new_tensor([getattr(choice, name) for choice in choices])
        for name in ("l2_penalty", "temperature")
    )
    heads = regression.solve(torch.stack([mask(learnt) for learnt in outer]), strengths)
    heads = heads.calibrated(temperatures)
    logits = heads.logits(x).double()[torch.from_numpy(fold), torch.arange(len(labels))]
    return np.asarray(torch.softmax(logits, dim=1).numpy())


def folds_of(labels: IntArray, k: int, seed: int) -> IntArray:
    fold = np.zeros(len(labels), np.int64)
    for number, (_, held) in enumerate(
        StratifiedKFold(k, shuffle=True, random_state=seed).split(fold, labels)
    ):
        fold[held] = number
    return fold


def mask(rows: NDArray[np.bool_]) -> torch.Tensor:
    return torch.from_numpy(rows)
