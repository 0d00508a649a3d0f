"""Prediction sets: the classes that a photo may be of, the true one among them as often as asked.

Conformal prediction by out-of-fold probabilities. A class is in a photo's set where its probability
is no less than a threshold: sets by thresholds are the smallest there are for their coverage
(Sadinle, Lei and Wasserman, Least Ambiguous Set-Valued Classifiers, 2019).
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcli.errors import DataError
from imgcli.evaluation.intervals import retraining
from imgcli.evaluation.metrics import independent, wilson_interval
from imgcli.records import FloatArray, IntArray, Predictions

Bools = NDArray[np.bool_]

SLACK = 0.03  # by which the coverage of a class may be less than that of all photos


@dataclass(frozen=True)
class ClassCoverage:
    """How often the photos of a class have it in their set, out-of-fold."""

    name: str
    n: int
    covered: float
    covered_ci95: tuple[float, float]


@dataclass(frozen=True)
class PredictionSets:
    """Thresholds of the classes, and what sets by them are like, out-of-fold."""

    coverage: float  # that was asked for
    thresholds: tuple[float, ...]  # (K,) probability from which on the class is in a photo's set
    n: int  # out-of-fold photos
    covered: float  # share of them whose class is in their set; thresholds are of other folds
    covered_ci95: tuple[float, float]
    classes_per_photo: float  # mean
    single: float  # share of photos with one class in their set
    per_class: tuple[ClassCoverage, ...]  # of those that occur
    few: tuple[str, ...]  # classes with too few photos for a threshold of their own

    def to_json(self) -> dict[str, Any]:
        document = asdict(self)
        document["per_class"] = [{"class": one.pop("name"), **one} for one in document["per_class"]]
        return document


def prediction_sets(predictions: Predictions, coverage: float) -> PredictionSets:
    """The thresholds at which a photo's class is in its set so often, in each class nearly so.

    The threshold of all photos has the coverage asked for, whatever the classifier (Vovk et al.,
    Algorithmic Learning in a Random World, 2005, with weights of 1/m for the m photos of a group of
    near-duplicates). A class whose own photos have less than SLACK below it takes a lower threshold
    that gives them that much (class-conditional: Vovk, Conditional Validity of Inductive Conformal
    Predictors, 2012); of few photos, of G groups, the least of their probabilities, which gives
    G / (G + 1). The full coverage in each class would have classes that are hard to recognise in
    the sets of most other photos: on 30 classes 1.5 classes a photo instead of 1.1.

    What `covered` and the rest say is cross-fitted: each fold by the thresholds of the others.

    Raises:
        DataError: so few photos that no threshold has that coverage.
    """
    if (needed := _needed(coverage)) > (groups := len(np.unique(predictions.groups))):
        raise DataError(
            f"--coverage {coverage:g} takes {needed:,} out-of-fold photos, near-duplicates counted "
            f"once, and there {'is' if groups == 1 else 'are'} {groups:,}. Use a lower value, or "
            "add photos."
        )
    held = _cross_fitted(predictions, coverage)
    inside = held[np.arange(len(predictions)), predictions.targets]
    sizes = held.sum(axis=1)
    covered = float(inside.mean())
    return PredictionSets(
        coverage=coverage,
        thresholds=tuple(_thresholds(predictions, coverage).tolist()),
        n=len(predictions),
        covered=covered,
        covered_ci95=wilson_interval(covered, _effective(predictions)),
        classes_per_photo=float(sizes.mean()),
        single=float((sizes == 1).mean()),
        per_class=tuple(_per_class(predictions, inside)),
        few=tuple(
            name
            for k, name in enumerate(predictions.classes)
            if len(np.unique(predictions.groups[predictions.targets == k]))
            < _needed(coverage - SLACK)
        ),
    )


def sets_of(probs: FloatArray, thresholds: FloatArray | tuple[float, ...]) -> Bools:
    """Which classes are in each photo's set, (M, K); the most probable one always is."""
    inside: Bools = probs >= np.asarray(thresholds)
    inside[np.arange(len(probs)), probs.argmax(axis=1)] = True
    return inside


def _effective(predictions: Predictions) -> float:
    """Independent photos, fewer since thresholds chosen on other photos would be others."""
    return independent(predictions.groups) / retraining(predictions.folds)


def _needed(coverage: float) -> int:
    """The fewest groups g with ceil(coverage (g + 1)) ≤ g."""
    return math.ceil(round(coverage / (1 - coverage), 9))


def _cross_fitted(predictions: Predictions, coverage: float) -> Bools:
    """Each photo's set by the thresholds of the other folds' photos, (M, K)."""
    held = np.zeros(predictions.probs.shape, bool)
    for fold in range(predictions.folds or 0):
        own = predictions.fold == fold
        others = predictions.at(np.flatnonzero(~own))
        held[own] = sets_of(predictions.probs[own], _thresholds(others, coverage))
    return held


def _thresholds(predictions: Predictions, coverage: float) -> FloatArray:
    """The threshold of each class, (K,)."""
    own = predictions.probs[np.arange(len(predictions)), predictions.targets]
    common = _threshold(own, predictions.groups, coverage)
    found = np.full(len(predictions.classes), common)
    for k in np.unique(predictions.targets):
        rows = predictions.targets == k
        threshold = _threshold(own[rows], predictions.groups[rows], coverage - SLACK)
        found[k] = min(common, threshold or own[rows].min())
    return found


def _threshold(own: FloatArray, groups: IntArray, coverage: float) -> float:
    """The highest probability that enough photos have; 0 where all would not be enough.

    Args:
        own: (M,) the probability of each photo's true class.
        groups: (M,) whose photos share a weight of 1.
    """
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(-own, kind="stable")
    reached = np.cumsum(1 / sizes[group[order]])
    enough = np.flatnonzero(reached >= coverage * (len(sizes) + 1) - 1e-9)
    return float(own[order[enough[0]]]) if len(enough) else 0.0


def _per_class(predictions: Predictions, inside: Bools) -> list[ClassCoverage]:
    """The coverage of each class that occurs."""
    found = []
    for k in np.unique(predictions.targets).tolist():
        rows = predictions.targets == k
        covered = float(inside[rows].mean())
        n = independent(predictions.groups[rows])
        found.append(
            ClassCoverage(
                predictions.classes[k], int(rows.sum()), covered, wilson_interval(covered, n)
            )
        )
    return found
