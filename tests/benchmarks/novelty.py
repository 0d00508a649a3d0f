"""How well photos of none of the classes are told, and whether the rate of false alarms is kept.

    python -m tests.benchmarks.novelty FEATURES.npz [--known 20] [--draws 10] [--first 0]

FEATURES.npz holds frozen `features (N, D)` and `targets (N,)`. Each draw knows some of the classes;
four fifths of their photos are those of a run: out-of-fold probabilities of five folds, by
multinomial logistic regression, fit the detector. The rest are fresh, and photos of the other
classes are none of these. A row has the area under the ROC curve and the false alarms where 95 % of
the unknown are told (FPR95), by novelty and by the highest probability alone, then at a promised
rate of 5 %: the share of fresh photos called none of these, and of unknown ones. Constants were
chosen on draws from 100 on. Not among the timed benchmarks.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from imgcli.evaluation.novelty import fit_novelty
from imgcli.records import FloatArray, IntArray
from tests.support.predictions import predictions

FOLDS = 5
PROMISED = 0.05
MOST = 1_500  # photos of a run
MOST_UNKNOWN = 800


def probabilities(
    features: FloatArray, targets: IntArray, train: IntArray, asked: IntArray
) -> FloatArray:
    """Of a head fitted to standardised features of some photos, for others, (M, K)."""
    mean, spread = features[train].mean(axis=0), features[train].std(axis=0) + 1e-6
    head = LogisticRegression(C=0.003, max_iter=500)
    head.fit((features[train] - mean) / spread, targets[train])
    return np.asarray(head.predict_proba((features[asked] - mean) / spread))


def measures(fresh: FloatArray, unknown: FloatArray) -> tuple[float, float]:
    """Area under the ROC curve, and FPR95."""
    truth = np.r_[np.zeros(len(fresh)), np.ones(len(unknown))]
    area = float(roc_auc_score(truth, np.r_[fresh, unknown]))
    return area, float((fresh >= np.quantile(unknown, 0.05)).mean())


def one_draw(features: FloatArray, targets: IntArray, known: int, seed: int) -> list[float]:
    """A row of figures."""
    rng = np.random.default_rng(seed)
    classes = np.sort(rng.permutation(targets.max() + 1)[:known])
    inside = np.isin(targets, classes)
    own, others = (rng.permutation(np.flatnonzero(mask)) for mask in (inside, ~inside))
    fresh, train = own[: len(own) // 5], own[len(own) // 5 :][:MOST]
    asked = np.r_[fresh, others[:MOST_UNKNOWN]]
    place = np.searchsorted(classes, targets)
    probs, fold = np.zeros((len(train), known)), np.zeros(len(train), int)
    cut = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(train, place[train])
    for number, (fit, held) in enumerate(cut):
        probs[held] = probabilities(features, place, train[fit], train[held])
        fold[held] = number
    found = fit_novelty(features[train], predictions(place[train], probs, fold=fold))
    new = probabilities(features, place, train, asked)
    scores, n = found.scores(features[asked], new), len(fresh)
    alarms = scores > found.threshold(PROMISED)
    plain = -new.max(axis=1)
    return [
        *measures(scores[:n], scores[n:]),
        *measures(plain[:n], plain[n:]),
        float(alarms[:n].mean()),
        float(alarms[n:].mean()),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.novelty")
    parser.add_argument("features", type=Path)
    parser.add_argument("--known", type=int, default=20)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    chosen = parser.parse_args()
    with np.load(chosen.features) as file:
        features, targets = file["features"].astype(float), file["targets"].astype(int)
    seeds = range(chosen.first, chosen.first + chosen.draws)
    rows = np.array([one_draw(features, targets, chosen.known, seed) for seed in seeds])
    names = ("AUROC", "FPR95", "AUROC, max. prob.", "FPR95, max. prob.", "false alarms", "told")
    for name, values in zip(names, rows.T, strict=True):
        print(f"{name:18} {values.mean():.3f} ± {values.std(ddof=1):.3f} ({len(values)} draws)")


if __name__ == "__main__":
    main()
