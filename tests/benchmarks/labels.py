"""Labels flipped on purpose and looked for again: imgcli beside cleanlab on the same probabilities.

Of every 20 labels one is flipped, to any class or to the class that its own is most taken for. What
is counted is what is missed: among as many photos as were flipped, ranked first, the share that was
not; and 1 less the average precision. The probabilities are out-of-fold, by softmax regressions on
features of a frozen network, learnt from the flipped labels.
"""

from collections.abc import Iterator

import numpy as np
import torch
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold

from imgcli.evaluation.label_errors import mean_confusion, neighbours, suspicion
from imgcli.records import FloatArray, IntArray, Predictions
from imgcli.training.probe.logistic import SoftmaxRegression
from imgcli.training.probe.selection import select_l2
from tests.benchmarks.heads import some_features
from tests.benchmarks.script import Setting, main
from tests.benchmarks.timing import Goal, Result

FLIPPED = 0.05
FOLDS, INNER_FOLDS = 10, 3
SEEDS = 5
PEERS = ("self_confidence", "normalized_margin")  # cleanlab's scores; the first is its usual one
WAYS = {"features": "probabilities and neighbours", "none": "probabilities alone"}


def measure(setting: Setting) -> Iterator[Result]:
    name, features, targets = some_features(setting)
    classes = int(targets.max()) + 1
    clean = out_of_fold(features, targets, classes, seed=0)
    taken_for = mean_confusion(clean, targets)
    np.fill_diagonal(taken_for, 0.0)
    for kind in ("random", "confusable"):
        found: dict[str, list[tuple[float, float]]] = {}
        for seed in range(setting.rounds(SEEDS)):
            labels, flipped = flip(targets, kind, taken_for.argmax(axis=1), 100 + seed)
            probs = out_of_fold(features, labels, classes, seed)
            for way, suspected in rankings(features, labels, probs).items():
                found.setdefault(way, []).append(missed(suspected, flipped))
        for way, words in WAYS.items():
            for peer in PEERS:
                for place, what in enumerate(("first n", "average precision")):
                    yield Result(
                        f"{kind} flips, {name}, {words}: missed, by {what}",
                        tuple(one[place] for one in found[way]),
                        tuple(one[place] for one in found[peer]),
                        f"cleanlab {peer}",
                        unit="",
                        goal=Goal("cost", 1.0),
                    )


def flip(
    targets: IntArray, kind: str, partner: IntArray, seed: int
) -> tuple[IntArray, NDArray[np.bool_]]:
    """Labels of which some are wrong, and which."""
    rng = np.random.default_rng(seed)
    classes = int(targets.max()) + 1
    rows = rng.choice(len(targets), round(FLIPPED * len(targets)), replace=False)
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


def rankings(
    features: NDArray[np.floating], labels: IntArray, probs: FloatArray
) -> dict[str, FloatArray]:
    """How suspect each label is, by everyone."""
    m = len(labels)
    said = Predictions(
        classes=tuple(f"{k:03}" for k in range(probs.shape[1])),
        indices=np.arange(m),
        targets=labels,
        probs=probs,
        fold=np.full(m, -1),
        groups=np.arange(m),
        paths=tuple(map(str, range(m))),
        on="train",
    )
    return {
        "features": suspicion(said, features, neighbours(features, said))[0],
        "none": suspicion(said, None, None)[0],
        **{peer: -get_label_quality_scores(labels, probs, method=peer) for peer in PEERS},
    }


def missed(suspected: FloatArray, flipped: NDArray[np.bool_]) -> tuple[float, float]:
    """What is not found among the first n, and by average precision."""
    first = np.argsort(-suspected, kind="stable")[: flipped.sum()]
    precision = float(average_precision_score(flipped, suspected))
    return 1 - float(flipped[first].mean()), 1 - precision


if __name__ == "__main__":
    main(measure, __doc__)
