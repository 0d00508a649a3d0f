"""Which classes are one: imgcli's suggestions beside cleanlab's and the most confused pairs.

    python -m tests.benchmarks.merges DATASET WEIGHTS [--seeds 5]

DATASET is caltech30 as `imgcli split` leaves it, WEIGHTS those of mobilenetv2_100. Ten random
classes of 40 photos and more are split at random into twins, a linear head is fitted on frozen
features in five folds, and all three rank the pairs of classes by the same probabilities. Then
twins of 1:20 photos, drawn in feature space since so few photos have none to spare, clean sets, and
classes that are two joined ones and should be split.
A peer ranks all pairs; imgcli lists what it is sure of, and is judged by that list, where what is
not listed comes last, and with the other pairs after it. Not among the timed benchmarks.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from cleanlab.dataset import find_overlapping_classes
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import cross_val_predict

from imgcli.config import TrainConfig
from imgcli.evaluation.merges.separability import ExpectedAuc
from imgcli.evaluation.merges.suggest import suggest_merges
from imgcli.evaluation.metrics import confusion_matrix
from imgcli.evaluation.subclasses import suggest_splits
from imgcli.records import FloatArray, IntArray, Predictions
from imgcli.training.context import FitSpec, TrainingContext, make_context
from imgcli.training.cross_validation import FoldResult, predictions_of
from imgcli.training.fitting import fit_all
from imgcli.training.folds import stratified_folds
from imgcli.training.inputs import FeatureInputs
from imgcli.training.outputs import probs_by
from tests.support.predictions import predictions

FOLDS = 5
TWINS = 10
STRENGTH = 0.01  # of the heads' regularisation, not chosen anew each time
OVERLAP = {  # classes of caltech30 that a person, too, would confuse with another
    *("Faces", "Faces_easy", "lotus", "water_lilly", "crocodile", "crocodile_head"),
    *("crab", "crayfish", "lobster"),
}

Pair = tuple[int, int]
Ranking = dict[Pair, float]


def suggested(judged: Predictions) -> Ranking:
    """The suggestions' pairs in their order, those of a group together; nothing else."""
    found: Ranking = {}
    listed = suggest_merges(judged)
    for place, suggestion in enumerate(listed):
        numbers = [judged.classes.index(name) for name in suggestion.classes]
        for pair in combinations(sorted(numbers), 2):
            found.setdefault(pair, float(len(listed) - place))
    return found


def ranked(judged: Predictions) -> Ranking:
    """The suggestions first; the other pairs follow by how often they are told apart wrongly."""
    contrast = ExpectedAuc(judged)
    pairs = combinations(range(len(judged.classes)), 2)
    return {pair: contrast.loss(*pair) for pair in pairs} | suggested(judged)


def cleanlabs(judged: Predictions) -> Ranking:
    table = find_overlapping_classes(labels=judged.targets, pred_probs=judged.probs)
    columns = ("Class Index A", "Class Index B", "Joint Probability")
    rows = table[list(columns)].itertuples(index=False)
    return {(int(min(a, b)), int(max(a, b))): float(p) for a, b, p in rows}


def most_confused(judged: Predictions) -> Ranking:
    k = len(judged.classes)
    counts = confusion_matrix(judged.targets, judged.preds, k)
    both = counts + counts.T
    return {(a, b): float(both[a, b]) for a, b in combinations(range(k), 2)}


METHODS: dict[str, Callable[[Predictions], Ranking]] = {
    "imgcli": ranked,
    "imgcli, listed": suggested,
    "cleanlab": cleanlabs,
    "most confused": most_confused,
}


def average_precision(found: Ranking, truth: set[Pair], k: int) -> float:
    pairs = list(combinations(range(k), 2))
    scores = [found.get(pair, 0.0) for pair in pairs]
    return float(average_precision_score([pair in truth for pair in pairs], scores))


def first_ten(found: Ranking, truth: set[Pair]) -> int:
    return len(truth & set(sorted(found, key=lambda pair: -found[pair])[: len(truth)]))


# --- data ---------------------------------------------------------------------------------------


def of_labels(task: TrainingContext, rows: IntArray, labels: IntArray, seed: int) -> Predictions:
    """Out-of-fold predictions of some rows under other labels, 0 to K - 1."""
    classes = tuple(f"{i:03d}" for i in range(int(labels.max()) + 1))
    targets = np.full(len(task.dataset.samples), 0, np.int64)
    targets[rows] = labels
    samples = replace(task.dataset.samples, targets=targets, classes=classes)
    task = replace(
        task,
        dataset=replace(task.dataset, samples=samples),
        targets=torch.from_numpy(targets),
    )
    fold = stratified_folds(task, rows, FOLDS, seed)
    jobs = [FitSpec(rows[fold != f]) for f in range(FOLDS)]
    unused = np.zeros((len(classes), len(classes)), np.int64)
    results = [
        FoldResult(rows[fold == f], probs_by(task, fitted.module, rows[fold == f]), unused)
        for f, fitted in enumerate(fit_all(task, jobs))
    ]
    return predictions_of(task, "all", results)


def with_twins(task: TrainingContext, seed: int) -> tuple[Predictions, set[Pair]]:
    """Ten classes with a half of their photos, drawn at random, given to a new class each."""
    rng = np.random.default_rng(seed)
    rows, samples = task.rows("all"), task.dataset.samples
    counts = samples.counts(rows)
    chosen = rng.choice(np.flatnonzero(counts >= 40), TWINS, replace=False)
    labels = samples.targets[rows].copy()
    truth = set()
    for new, old in enumerate(chosen.tolist(), start=len(counts)):
        members = rng.permutation(np.flatnonzero(labels == old))
        labels[members[: len(members) // 2]] = new
        truth.add((old, new))
    return of_labels(task, rows, labels, seed), truth


def clean(task: TrainingContext, seed: int) -> Predictions:
    """Twelve classes that nobody would confuse, 80 % of their photos."""
    rng = np.random.default_rng(seed)
    samples = task.dataset.samples
    apart = [i for i, name in enumerate(samples.classes) if name not in OVERLAP]
    chosen = rng.choice(apart, 12, replace=False)
    rows = task.rows("all")
    rows = rows[np.isin(samples.targets[rows], chosen) & (rng.random(len(rows)) < 0.8)]
    return of_labels(task, rows, np.searchsorted(np.sort(chosen), samples.targets[rows]), seed)


def uneven(seed: int) -> tuple[Predictions, set[Pair]]:
    """Twenty kinds of points, ten of them under two labels of 200 and 10 points."""
    rng = np.random.default_rng(seed)
    kind = np.r_[np.repeat(np.arange(TWINS), 2), np.arange(TWINS, 2 * TWINS)]
    sizes = np.r_[np.tile([200, 10], TWINS), rng.choice([10, 50, 200], TWINS)]
    targets = np.repeat(np.arange(len(kind)), sizes)
    centres = rng.normal(size=(2 * TWINS, 32))
    points = 0.5 * centres[kind[targets]] + rng.normal(size=(len(targets), 32))
    model = LogisticRegression(C=0.1, max_iter=300)
    probs: FloatArray = cross_val_predict(model, points, targets, cv=FOLDS, method="predict_proba")
    return predictions(targets, probs), {(2 * i, 2 * i + 1) for i in range(TWINS)}


def split_of_joined(task: TrainingContext, seed: int) -> tuple[bool, int]:
    """Two random classes made one: whether it is named as two kinds, and how many others are."""
    assert isinstance(task.inputs, FeatureInputs)
    rows, samples = task.rows("all"), task.dataset.samples
    kept, gone = np.random.default_rng(seed).choice(len(samples.classes), 2, replace=False)
    labels = np.where(samples.targets[rows] == gone, kept, samples.targets[rows])
    features = task.inputs.features[rows].double().numpy()
    found = suggest_splits(features, labels, samples.groups[rows], samples.classes)
    others = [split for split in found if split.name != samples.classes[kept]]
    return len(others) < len(found), len(others)


# --- figures ------------------------------------------------------------------------------------


def report(name: str, cases: list[tuple[Predictions, set[Pair]]]) -> None:
    print(f"\n{name}, {len(cases)} seeds")
    for method, rank in METHODS.items():
        found = [(rank(judged), truth, len(judged.classes)) for judged, truth in cases]
        precisions = [average_precision(*each) for each in found]
        tens = [first_ten(ranking, truth) for ranking, truth, _ in found]
        print(f"  {method:14} average precision {fmean(precisions):.3f}; in the first ten: {tens}")
    for judged, truth in cases:
        same = [s.classes for s in suggest_merges(judged) if s.kind == "same"]
        named = {tuple(map(judged.classes.index, pair)) for pair in same}
        print(f"  twins called same: {len(truth & named)}; others: {len(named - truth)}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.merges")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    chosen = parser.parse_args()
    config = TrainConfig.of(
        arch="mobilenetv2_100",
        model_args={"pad_type": "same"},
        freeze=True,
        weights=str(chosen.weights),
        weight_decay=STRENGTH,
    )
    task = make_context(config, chosen.dataset)
    seeds = range(chosen.seeds)
    report("1:20, drawn", [uneven(seed) for seed in seeds])
    report("twins of caltech30", [with_twins(task, seed) for seed in seeds])
    alarms = [bool(suggest_merges(clean(task, seed))) for seed in range(4 * chosen.seeds)]
    print(f"\nclean sets with a suggestion: {sum(alarms)} of {len(alarms)}")
    splits = [split_of_joined(task, seed) for seed in range(10 * chosen.seeds)]
    found, others = sum(found for found, _ in splits), sum(others for _, others in splits)
    print(f"classes joined of two, found: {found} of {len(splits)}; single ones named: {others}")


if __name__ == "__main__":
    main()
