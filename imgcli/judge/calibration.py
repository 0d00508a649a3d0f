"""Probabilities that mean what they say: one factor on the logits, by out-of-fold predictions."""

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from imgcli.judge.metrics import expected_calibration_error, independent, wilson
from imgcli.judge.stored import for_decisions
from imgcli.records import FloatArray, IntArray, Predictions
from imgcli.workspace import FOLDS, Run

NAME = "calibration.json"  # in a run's folder


# --- temperature --------------------------------------------------------------------------------


def best_factor(scores: FloatArray, targets: IntArray) -> float:
    """The factor on scores `(M, K)` whose softmax has the least log loss.

    One over the temperature of Guo et al., On Calibration of Modern Neural Networks (2017).
    """

    def loss(exponent: float) -> float:
        logs = log_softmax(np.exp(exponent) * scores, axis=1)
        return float(-logs[np.arange(len(targets)), targets].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-5.0, 5.0), method="bounded").x))


def calibrated(probs: FloatArray, factor: float) -> FloatArray:
    """Probabilities `(M, K)` as they are with the logits multiplied by `factor`."""
    scaled: FloatArray = softmax(factor * logs(probs), axis=1)
    return scaled


def logs(probs: FloatArray) -> FloatArray:
    """Log probabilities: logits, but for a number that is the same for all classes of a photo."""
    found: FloatArray = np.log(np.maximum(probs, np.finfo(np.float64).tiny))
    return found


def cross_calibrated(predictions: Predictions) -> Predictions:
    """Each fold calibrated by the factor chosen on the others: what calibrating does to new photos.

    Without folds nothing is left to choose on, and the predictions are what they were.
    """
    probs = predictions.probs.copy()
    for fold in range(predictions.folds or 0):
        held = predictions.fold == fold
        factor = best_factor(logs(predictions.probs[~held]), predictions.targets[~held])
        probs[held] = calibrated(predictions.probs[held], factor)
    return replace(predictions, probs=probs)


def calibration_json(predictions: Predictions) -> dict[str, Any]:
    """What a run keeps in `calibration.json`: `factor` multiplies its logits from now on."""
    return _judged(
        predictions,
        cross_calibrated(predictions),
        best_factor(logs(predictions.probs), predictions.targets),
    )


def checked_json(predictions: Predictions, factor: float) -> dict[str, Any]:
    """How a factor that was chosen on other photos fares on these."""
    after = replace(predictions, probs=calibrated(predictions.probs, factor))
    return _judged(predictions, after, factor)


def _judged(before: Predictions, after: Predictions, factor: float) -> dict[str, Any]:
    before_and_after = (expected_calibration_error(p.probs, p.targets) for p in (before, after))
    return {
        "factor": factor,
        "n": len(before),
        "folds": before.folds,
        **dict(zip(("ece_before", "ece"), before_and_after, strict=True)),
    }


def made_of(run: Run) -> str:
    """What tells the out-of-fold predictions that a run was calibrated by; empty without any."""
    return run.digest(FOLDS)


def factor_of(run: Run) -> float:
    """The factor on a run's logits: 1 for one that was never judged by folds."""
    if not (run.folder / NAME).is_file():
        return 1.0
    try:
        kept, folds = run.read_json(NAME), made_of(run)
        if folds and kept.get("predictions", folds) != folds:
            # Judged again since, together with other runs or until a kill.
            deciding = for_decisions(run.load_predictions(FOLDS))
            return best_factor(logs(deciding.probs), deciding.targets)
        return float(kept["factor"])
    except (KeyError, TypeError, ValueError) as error:
        raise run.damaged(NAME, error) from None


def reliability(predictions: Predictions, bins: int = 15) -> list[dict[str, Any]]:
    """Per bin of equal width: photos, mean confidence, the share that is right, its interval.

    Bins are those of the expected calibration error, a bin holding its upper edge; an empty one is
    left out.
    """
    confidence = predictions.probs.max(axis=1)
    right = predictions.preds == predictions.targets
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    rows = []
    for b in np.unique(place):
        inside = place == b
        share, n = float(right[inside].mean()), int(inside.sum())
        low, high = wilson(share, independent(predictions.groups[inside]))
        rows.append(
            {
                "from": b / bins,
                "to": (b + 1) / bins,
                "n": n,
                "confidence": float(confidence[inside].mean()),
                "right": share,
                "ci95": [float(low), float(high)],
            }
        )
    return rows
