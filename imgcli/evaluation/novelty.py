"""Photos of none of the classes: how far a photo is from the photos of a run, and when it is said.

The score joins the entropy of a photo's probabilities, which tells photos between classes, with the
Mahalanobis distance of its features from the nearest class by the covariance within classes (Lee et
al., A Simple Unified Framework for Detecting Out-of-Distribution Samples, 2018), which tells those
that are far from all and may be of a class with a probability of 99.9 %.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from imgcli import reading
from imgcli.errors import DataError
from imgcli.evaluation.calibration import calibrated
from imgcli.files import save_arrays
from imgcli.records import FloatArray, IntArray, Predictions
from imgcli.runs import FOLDS, Run

NAME = "novelty.npz"  # in a run's folder
FORMAT = 1
# Chosen on known and unknown classes of three datasets, and on one split of caltech30 through the
# whole program: see tests/benchmarks/novelty.py. Distances up to the usual tell nothing there that
# the entropy does not; with their full weight photos that are known by sight come out as strange.
SOFTER = 3.0  # temperature that probabilities are softened by before their entropy is taken
WEIGHT = 0.75  # of the distance beside the entropy, both in standard deviations
USUAL = 1.0  # standard deviations above the mean, up to which a distance does not count
PARTS = 2  # of the score
MOST_FEATURES = 2048  # D; of more, as many random projections
MOST_PHOTOS = 10_000  # that the covariance is estimated from
BOUNDS = (-5.0, 8.0)  # of a standardised part of the score


@dataclass(frozen=True, eq=False)
class NoveltyDetector:
    """Distances of photos from the photos of K classes, and the scores of held-out ones."""

    mean: FloatArray  # (D,) of normalised features
    whitening: FloatArray  # (D, D) that makes the covariance within classes the identity
    class_means: FloatArray  # (K', D) whitened, of the classes that occur
    centre: FloatArray  # (2,) mean of each part of the score over held-out photos
    spread: FloatArray  # (2,) its standard deviation
    known: FloatArray  # (M,) scores of held-out photos, ascending
    weights: FloatArray  # (M,) of each: 1 by the photos of its group

    def scores(self, features: FloatArray, probs: FloatArray) -> FloatArray:
        """How novel photos are, (M,); comparable with `known`.

        Args:
            features: (M, D) that the head sees.
            probs: (M, K), calibrated as those of the out-of-fold predictions were.
        """
        standard = (_parts(self, features, probs) - self.centre) / self.spread
        return _joined(standard)

    def threshold(self, false_alarms: float) -> float:
        """The score above which at most this share of new photos of the classes is.

        As of split conformal prediction: a new photo, exchangeable with the held-out ones, is above
        it with this probability at most. Infinite where there are too few photos.
        """
        groups = float(self.weights.sum())
        allowed = false_alarms * (groups + 1) - 1
        if allowed < -1e-9:
            return float("inf")
        above = np.cumsum(self.weights[::-1])[::-1] - self.weights  # weight of what is after each
        return float(self.known[np.flatnonzero(above <= allowed + 1e-9)[0]])

    @property
    def groups(self) -> int:
        """Groups of near-duplicates among the held-out photos."""
        return round(float(self.weights.sum()))


def needed(false_alarms: float) -> int:
    """The fewest groups of held-out photos that can promise a rate of false alarms."""
    return int(np.ceil(round(1 / false_alarms - 1, 9)))


def fit_novelty(features: FloatArray, predictions: Predictions) -> NoveltyDetector:
    """What tells photos of none of the classes, from a run's out-of-fold predictions.

    Scores of held-out photos are by the distances from the other folds' photos.

    Args:
        features: (M, D) of the photos of the predictions.
        predictions: out-of-fold, calibrated as those of new photos will be.

    Raises:
        DataError: predictions that are of no folds, or a single class.
    """
    if not predictions.folds or len(np.unique(predictions.targets)) < 2:
        raise DataError("Novelty needs predictions of folds, of two classes or more.")
    parts = np.zeros((len(predictions), PARTS))
    for fold in np.unique(predictions.fold):
        held = predictions.fold == fold
        near = _fit(features[~held], predictions.targets[~held])
        parts[held] = _parts(near, features[held], predictions.probs[held])
    centre, spread = parts.mean(axis=0), np.maximum(parts.std(axis=0), 1e-9)
    scores = _joined((parts - centre) / spread)
    _, group, sizes = np.unique(predictions.groups, return_inverse=True, return_counts=True)
    order = np.argsort(scores, kind="stable")
    return replace(
        _fit(features, predictions.targets),
        centre=centre,
        spread=spread,
        known=scores[order],
        weights=(1 / sizes[group])[order],
    )


def _fit(features: FloatArray, targets: IntArray) -> NoveltyDetector:
    """The distances by some photos; without scores yet."""
    if len(features) > MOST_PHOTOS:
        some = np.random.default_rng(0).choice(len(features), MOST_PHOTOS, replace=False)
        features, targets = features[some], targets[some]
    own = _normalised(features)
    mean = own.mean(axis=0)
    own -= mean
    _, place = np.unique(targets, return_inverse=True)
    means = np.array([own[place == k].mean(axis=0) for k in range(place.max() + 1)])
    covariance = _shrunk_covariance(own - means[place])
    # Σ = L Lᵀ, so x ↦ L⁻¹ x has the covariance I.
    whitening = np.linalg.inv(np.linalg.cholesky(covariance)).T
    nothing = np.empty(0)
    return NoveltyDetector(
        mean, whitening, means @ whitening, np.zeros(2), np.ones(2), nothing, nothing
    )


def _shrunk_covariance(residuals: FloatArray) -> FloatArray:
    """Covariance of centred rows `(M, D)`, shrunk towards a multiple of the identity.

    By as much as Ledoit & Wolf (A Well-Conditioned Estimator, 2004) have it.
    """
    m, d = residuals.shape
    sample = residuals.T @ residuals / m
    level = float(np.trace(sample)) / d
    squares = residuals**2
    noise = float((squares.sum(axis=1) ** 2).sum()) / m**2 - float((sample**2).sum()) / m
    distance = float((sample**2).sum()) - d * level**2
    share = min(1.0, max(0.0, noise / distance)) if distance > 0 else 1.0
    floor = max(level, 1e-12) * 1e-6  # of photos that are all alike
    return np.asarray((1 - share) * sample + (share * level + floor) * np.eye(d))


def _normalised(features: FloatArray) -> FloatArray:
    """Features `(M, D)` by their signed square roots, each row of length 1."""
    own = np.asarray(features, dtype=np.float64)
    if own.shape[1] > MOST_FEATURES:
        rng = np.random.default_rng(0)
        own = own @ rng.normal(size=(own.shape[1], MOST_FEATURES)) / MOST_FEATURES**0.5
    own = np.sign(own) * np.sqrt(np.abs(own))
    lengths = np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-12)
    normalised: FloatArray = own / lengths
    return normalised


def _parts(near: NoveltyDetector, features: FloatArray, probs: FloatArray) -> FloatArray:
    """Entropy of softened probabilities, and distance from the nearest class, (M, 2)."""
    soft = calibrated(probs, SOFTER)
    entropy = -(soft * np.log(np.maximum(soft, 1e-30))).sum(axis=1)
    white = (_normalised(features) - near.mean) @ near.whitening
    means = near.class_means
    crossed = -2 * white @ means.T + (means**2).sum(axis=1)
    nearest = (white**2).sum(axis=1) + crossed.min(axis=1)
    parts: FloatArray = np.c_[entropy, np.sqrt(np.maximum(nearest, 0))]
    return parts


def _joined(standard: FloatArray) -> FloatArray:
    """The score of standardised entropies and distances `(M, 2)`."""
    entropy, distance = standard.clip(*BOUNDS).T
    return np.asarray(entropy + WEIGHT * np.maximum(0, distance - USUAL))


# --- kept in a run ------------------------------------------------------------------------------

ARRAYS = ("mean", "whitening", "class_means", "centre", "spread", "known", "weights")


def save(run: Run, found: NoveltyDetector, temperature: float) -> None:
    """Store it with the run, for the out-of-fold predictions that it is made of."""
    arrays: dict[str, Any] = {name: getattr(found, name) for name in ARRAYS}
    arrays["whitening"] = arrays["whitening"].astype(np.float32)
    about = {"format": FORMAT, "of": run.digest(FOLDS), "model": run.digest("model.json")}
    save_arrays(run.folder / NAME, {**arrays, **about, "temperature": temperature})


def load(run: Run, temperature: float) -> NoveltyDetector | None:
    """That of the run's present out-of-fold predictions and temperature; None without one.

    Raises:
        RunError: the file is damaged.
    """
    if not (run.folder / NAME).is_file():
        return None
    try:
        file = reading.read_arrays(run.folder / NAME)
        made_of = (int(file["format"]), str(file["of"]), str(file["model"]))
        if made_of != (FORMAT, run.digest(FOLDS), run.digest("model.json")):
            return None
        if abs(float(file["temperature"]) - temperature) > 1e-9:
            return None
        found = NoveltyDetector(*(np.asarray(file[name], dtype=np.float64) for name in ARRAYS))
        d = len(found.mean)
        if found.whitening.shape != (d, d) or found.class_means.shape[1:] != (d,):
            raise ValueError("its arrays are not of one size")
        if found.known.shape != found.weights.shape or not len(found.known):
            raise ValueError("its arrays are not of one size")
    except (*reading.UNREADABLE, IndexError) as error:
        raise run.damaged(NAME, error) from None
    return found
