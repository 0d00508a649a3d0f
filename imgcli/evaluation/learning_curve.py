"""The learning curve: accuracy by number of training photos, and as expected of twice as many.

Errors are modelled as a power of the number of photos above a lowest level:
error(n) = a + b n^-c (Cortes et al., Learning Curves, 1994), with a, b and c above 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from imgcli.evaluation.intervals import retraining
from imgcli.evaluation.metrics import independent, wilson_interval
from imgcli.records import FloatArray, IntArray
from imgcli.text import percent

POWERS = np.linspace(0.05, 1.5, 59)  # tried for c
MORE = 2.0  # times the photos
DRAWS = 1000  # of the bootstrap
WORTH = 0.5  # points, below which a gain is negligible


def learning_curve(
    classes: Sequence[str],
    photos: FloatArray,
    correct: NDArray[np.bool_],
    targets: IntArray,
    groups: IntArray,
    folds: int,
    seed: int = 0,
) -> dict[str, Any]:
    """The points of the curve and what to expect, as in the document of `learning-curve --json`.

    Intervals of what to expect are by a bootstrap over near-duplicate groups, each draw with the
    points weighted at random too (Rubin's Bayesian bootstrap, 1981), since the curve may not be
    quite of that form. Classes share the power, which one class alone could not tell.

    Args:
        photos: (S,) training photos, growing.
        correct: (S, M) whether each held-out photo was classified correctly.
        targets, groups: (M,).
        folds: that held the photos out: intervals are of the network trained on so many photos.
    """
    n = np.bincount(targets, minlength=len(classes))
    there = np.flatnonzero(n)
    found = _misses(correct, targets, groups, len(classes), seed)[:, there]  # (B + 1, K', S + 1)
    weights = np.random.default_rng(seed).exponential(size=(len(found), len(photos)))
    weights[0] = 1.0  # the first is what was found, the others are drawn
    errors = _errors(found.sum(axis=1))
    power, *ends = extrapolated(photos, errors, weights)
    expected = _expected(errors[:, -1], *ends)
    per_class = []
    for place, label in enumerate(there.tolist()):
        errors = _errors(found[:, place])
        _, *of_class = extrapolated(photos, errors, weights, power)
        row = {"class": classes[label], "n": int(n[label]), "recall": (1 - errors[0]).tolist()}
        per_class.append({**row, **_expected(errors[:, -1], *of_class)})
    return {
        "points": [
            _point(*point, independent(groups) / retraining(folds))
            for point in zip(photos.tolist(), correct, strict=True)
        ],
        "times": MORE,
        "expected": expected,
        "per_class": sorted(per_class, key=lambda row: -row["gain"]),
    }


def extrapolated(
    photos: FloatArray, errors: FloatArray, weights: FloatArray, power: FloatArray | None = None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Fit B curves by weighted least squares.

    Args:
        errors: (B, S) share of wrong answers after each number of photos.
        weights: (B, S).
        power: (B,) c of each curve; None to fit it too.

    Returns:
        The powers, the fitted errors after the last number of photos, and after MORE times as many,
        (B,) each.
    """
    tried = POWERS if power is None else np.zeros(1)
    best = np.full(len(errors), np.inf)
    result = np.zeros((3, len(errors)))
    for c in tried:
        powers = np.full(len(errors), c) if power is None else power
        fallen = (photos / photos[-1]) ** -powers[:, None]  # (B, S), 1 after all photos
        level, height = _line(fallen, errors, weights)
        misfit = (weights * (level + height * fallen - errors) ** 2).sum(axis=1)
        more = MORE**-powers
        found = np.stack([powers, (level + height)[:, 0], level[:, 0] + height[:, 0] * more])
        result = np.where(misfit < best, found, result)
        best = np.minimum(best, misfit)
    return result[0], result[1], result[2]


def _line(x: FloatArray, y: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The level and slope of B weighted least-squares lines, (B, 1) each, neither below 0."""
    weights = weights / weights.sum(axis=1, keepdims=True)
    mean_x, mean_y = ((weights * v).sum(axis=1, keepdims=True) for v in (x, y))
    across = (weights * (x - mean_x) * (y - mean_y)).sum(axis=1, keepdims=True)
    slope = np.maximum(across / (weights * (x - mean_x) ** 2).sum(axis=1, keepdims=True), 0.0)
    level = mean_y - slope * mean_x
    through_0 = (weights * x * y).sum(axis=1, keepdims=True) / (weights * x**2).sum(
        axis=1, keepdims=True
    )
    return np.maximum(level, 0.0), np.where(level < 0, through_0, slope)


# --- what was found, and drawn ------------------------------------------------------------------


def _misses(
    correct: NDArray[np.bool_], targets: IntArray, groups: IntArray, k: int, seed: int
) -> FloatArray:
    """Photos misclassified at each point, and last all photos, per class: (B + 1, K, S + 1).

    The first is what was found, the others are of groups drawn with replacement.
    """
    rng = np.random.default_rng(seed)
    _, group = np.unique(groups, return_inverse=True)
    size, columns = int(group.max()) + 1, len(correct) + 1
    counted = np.r_[~correct, np.ones((1, len(targets)), bool)]  # (S + 1, M)
    cell = targets * columns + np.arange(columns)[:, None]
    rows = np.broadcast_to(group, cell.shape)
    per_group = csr_array(
        (counted.ravel().astype(np.float64), (rows.ravel(), cell.ravel())), (size, k * columns)
    )
    found = [np.ones((1, size)) @ per_group]
    for _ in range(DRAWS):
        times = np.bincount(rng.integers(size, size=size), minlength=size)
        found.append(times[None] @ per_group)
    return np.concatenate(found).reshape(DRAWS + 1, k, columns)


def _errors(misses: FloatArray) -> FloatArray:
    """Shares (B, S) of numbers (B, S + 1); of a class that was not drawn, 0."""
    shares: FloatArray = misses[:, :-1] / np.maximum(misses[:, -1:], 1)
    return shares


def _point(photos: float, correct: NDArray[np.bool_], n: float) -> dict[str, Any]:
    value = float(correct.mean())
    ends = wilson_interval(value, n)
    return {"photos": photos, "accuracy": value, "ci95": list(ends)}


def _expected(found: FloatArray, now: FloatArray, then: FloatArray) -> dict[str, Any]:
    """Accuracy after MORE times the photos, and its gain.

    Args:
        found: (B + 1,) errors after all photos, the first as they were found, the others drawn.
        now, then: (B + 1,) errors as fitted, after all photos and after more.
    """
    gains = np.minimum(now - then, found)
    correct = 1 - found + gains
    return {
        "accuracy": float(correct[0]),
        "ci95": np.quantile(correct[1:], [0.025, 0.975]).tolist(),
        "gain": float(gains[0]),
        "gain_ci95": np.quantile(gains[1:], [0.025, 0.975]).tolist(),
    }


def curve_sentence(document: Mapping[str, Any]) -> str:
    """The expected gain of twice the photos, and whether it is worth it."""
    expected, last = document["expected"], document["points"][-1]
    gain = 100 * np.array([expected["gain"], *expected["gain_ci95"]])
    change = (
        f"Expected accuracy with twice the photos: {percent(expected['accuracy'])}, from "
        f"{percent(last['accuracy'])} ({gain[0]:+.1f} points; 95 % interval {gain[1]:+.1f} to "
        f"{gain[2]:+.1f})"
    )
    if gain[2] < WORTH:
        return f"{change}. More photos like these will not help much; another network may."
    if gain[1] > WORTH:
        return f"{change}. More photos will help."
    return f"{change}. Whether more photos help much cannot be told from these."
