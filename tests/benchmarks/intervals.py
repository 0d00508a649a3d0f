"""How often intervals of folds hold the figures of the network that is delivered.

    python -m tests.benchmarks.intervals DATASET WEIGHTS [--draws 1000] [--n 150 400 1600]
    python -m tests.benchmarks.intervals FEATURES.npz

DATASET is 10,000 photos and more as `imgcli split` leaves them, WEIGHTS those of mobilenetv2_100:
their frozen features are the population; or `features` (N, D) and `targets` (N,) of a file are.
Each draw takes n photos of it, trains ten heads of folds and the head that is delivered, and
measures that one on photos that were not drawn. Classes are even, or of sizes up to 1:8. A row has
the accuracy delivered, then for each figure how often the interval held it and how wide the
interval is beside one of the true spread, 1.96 √(mean squared error); and the same without the
correction for retrained networks. The last column is how often the intervals of the classes' recall
and precision held. Not among the timed benchmarks.
"""

import argparse
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from imgcli.config import TrainConfig
from imgcli.evaluation.evaluate import class_figures
from imgcli.evaluation.metrics import (
    FIGURES,
    Z95,
    Margins,
    confusion_of,
    precision,
    recall,
    wilson_interval,
)
from imgcli.records import FloatArray, IntArray, Predictions
from imgcli.training.context import make_context
from imgcli.training.inputs import FeatureInputs
from tests.support.predictions import intervals_of, predictions, sure

FOLDS = 10
COMPONENTS = 128  # of the features, so that a thousand draws end
UNEVEN = 8.0  # times as many photos in the largest class as in the smallest
TESTED = 400  # photos of a class that the delivered head is measured on


@dataclass
class Tally:
    """What became of one figure's intervals over the draws."""

    held: list[bool] = field(default_factory=list)
    half: list[float] = field(default_factory=list)
    error: list[float] = field(default_factory=list)

    def add(self, value: float, bounds: tuple[float, float], truth: float) -> None:
        self.held.append(bounds[0] <= truth <= bounds[1])
        self.half.append((bounds[1] - bounds[0]) / 2)
        self.error.append(value - truth)

    def __str__(self) -> str:
        held, n = float(np.mean(self.held)), len(self.held)
        low, high = wilson_interval(held, n)
        ideal = Z95 * float(np.sqrt(np.mean(np.square(self.error))))
        width = float(np.mean(self.half)) / ideal
        return f"{100 * held:.1f} % ({100 * low:.1f}–{100 * high:.1f}), {width:.2f}"


def population(dataset: Path, weights: Path) -> tuple[FloatArray, IntArray]:
    """The first components of the photos' frozen features `(N, COMPONENTS)`, and their classes."""
    config = TrainConfig.of(arch="mobilenetv2_100", freeze=True, weights=str(weights))
    task = make_context(config, dataset)
    assert isinstance(task.inputs, FeatureInputs)
    rows = task.rows("all")
    features = task.inputs.features[rows].double().numpy()
    return leading(features), task.dataset.samples.targets[rows]


def leading(features: FloatArray) -> FloatArray:
    """Features (N, D) along their first components, (N, COMPONENTS)."""
    features = features - features.mean(axis=0)
    values, vectors = np.linalg.eigh(features.T @ features / len(features))
    scaled: FloatArray = features @ vectors[:, -COMPONENTS:] / np.sqrt(values[-1])
    return scaled


def head(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=60)


def draw(
    features: FloatArray, targets: IntArray, n: int, shares: FloatArray, strength: float, seed: int
) -> tuple[Predictions, Margins]:
    """Out-of-fold predictions of n photos, and the margins of the delivered head on new ones."""
    rng = np.random.default_rng(seed)
    k = len(shares)
    sizes = np.maximum(rng.multinomial(n, shares), 2)
    shuffled = [rng.permutation(np.flatnonzero(targets == label)) for label in range(k)]
    rows = np.concatenate([some[:size] for some, size in zip(shuffled, sizes, strict=True)])
    new = np.concatenate(
        [some[size : size + TESTED] for some, size in zip(shuffled, sizes, strict=True)]
    )
    x, y = features[rows], targets[rows]
    preds, fold = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    parts = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(x, y)
    for number, (train, held_out) in enumerate(parts):
        fold[held_out] = number
        preds[held_out] = head(strength).fit(x[train], y[train]).predict(x[held_out])
    found = head(strength).fit(x, y).predict(features[new])
    weight = shares[targets[new]] / np.bincount(targets[new], minlength=k)[targets[new]]
    hit = found == targets[new]
    delivered = Margins(
        np.bincount(targets[new][hit], weight[hit], minlength=k),
        np.bincount(targets[new], weight, minlength=k),
        np.bincount(found, weight, minlength=k),
    )
    return predictions(y, sure(preds, k), fold=fold), delivered


def report(features: FloatArray, targets: IntArray, n: int, uneven: bool, chosen: int) -> None:
    k = int(targets.max()) + 1
    shares = np.geomspace(1, UNEVEN if uneven else 1, k)
    shares /= shares.sum()
    for strength in (30.0, 3000.0):
        tallies = {(name, retrained): Tally() for name in FIGURES for retrained in (True, False)}
        accuracies, of_classes = [], []
        for seed in range(chosen):
            some, delivered = draw(features, targets, n, shares, strength, seed)
            values = {name: float(f(confusion_of(some))) for name, f in FIGURES.items()}
            accuracies.append(float(FIGURES["accuracy"](delivered)))
            of_classes += held_of_classes(some, delivered)
            given = replace(some, fold=np.full(len(some), -1))
            for retrained, which in ((True, some), (False, given)):
                for name, bounds in intervals_of(which, draws=300).items():
                    truth = float(FIGURES[name](delivered))
                    tallies[name, retrained].add(values[name], bounds, truth)
        sizes = "uneven" if uneven else "even"
        print(f"| {n:,} {sizes}, C {strength:g}, {np.mean(accuracies):.3f} ", end="")
        print("|", " | ".join(str(tally) for tally in tallies.values()), end=" ")
        print(f"| {100 * np.mean(of_classes):.1f} % |", flush=True)


def held_of_classes(some: Predictions, delivered: Margins) -> list[bool]:
    """Whether the interval of each class's recall and precision holds the delivered head's."""
    truths = (recall(delivered), precision(delivered))
    found = []
    for label, one in enumerate(class_figures([some])):
        for bounds, truth in zip((one.recall_ci95, one.precision_ci95), truths, strict=True):
            if bounds and not np.isnan(truth[label]):
                found.append(bool(bounds[0] <= truth[label] <= bounds[1]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.intervals")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("weights", type=Path, nargs="?")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--n", type=int, nargs="+", default=[150, 400, 1600])
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")  # scikit-learn's, of classes of fewer photos than folds
    if chosen.weights is None:
        kept = np.load(chosen.dataset)
        features, targets = leading(kept["features"].astype(float)), kept["targets"]
    else:
        features, targets = population(chosen.dataset, chosen.weights)
    head_row = [f"{name}{end}" for name in FIGURES for end in ("", ", without")] + ["classes"]
    print(f"| photos, head, accuracy | {' | '.join(head_row)} |\n|{'---|' * (len(head_row) + 1)}")
    for n in chosen.n:
        for uneven in (False, True):
            report(features, targets, n, uneven, chosen.draws)


if __name__ == "__main__":
    main()
