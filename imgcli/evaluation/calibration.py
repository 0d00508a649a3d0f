"""Temperature scaling by out-of-fold predictions, and the reliability diagram.

Logits are divided by one temperature (Guo et al., On Calibration of Modern Neural Networks, 2017).
"""

from dataclasses import replace
from typing import Any

import numpy as np

from imgcli.evaluation.metrics import (
    confidence_bins,
    expected_calibration_error,
    independent,
    log_losses,
    log_probs,
    wilson_interval,
)
from imgcli.evaluation.predictions_io import for_decisions
from imgcli.records import FloatArray, IntArray, Predictions
from imgcli.runs import FOLDS, Run

NAME = "calibration.json"  # in a run's folder
BLOCK = 1 << 17  # probabilities worked on at once: 1 MB, which a processor's cache holds
WIDEST = 5.0  # of |log T|
NEAR_ENOUGH = 1e-4  # share of 1 / T that a last step may change: the error is about its square
NO_GAIN = 1e-12  # nats a photo that a step may gain and not be made
MAX_STEPS = 60


# --- temperature --------------------------------------------------------------------------------


def best_temperature(scores: FloatArray, targets: IntArray, rows: IntArray | None = None) -> float:
    """The T for which softmax(scores / T) has the least log loss, of scores `(M, K)`.

    The log loss is convex in 1 / T: Newton's method inside a bracket, whose error after a step is
    about the square of the step. T is between e^-5 and e^5.

    Args:
        rows: of the photos to go by; by default all of them.
    """
    rows = np.arange(len(targets)) if rows is None else rows
    step = max(1, BLOCK // scores.shape[1])
    blocks = [rows[start : start + step] for start in range(0, len(rows), step)]
    own = float(scores[rows, targets[rows]].sum())
    factor, least, most = 1.0, np.exp(-WIDEST), np.exp(WIDEST)
    for _ in range(MAX_STEPS):
        means, variances = zip(*(_moments(scores[block], factor) for block in blocks), strict=True)
        slope, curvature = sum(means) - own, sum(variances)
        least, most = (factor, most) if slope < 0 else (least, factor)
        tried = factor - slope / curvature if curvature > 0 else factor
        tried = min(max(tried, np.exp(-WIDEST)), np.exp(WIDEST))
        if not least <= tried <= most:
            tried = np.sqrt(least * most)
        moved, factor = abs(tried / factor - 1), tried
        if moved < NEAR_ENOUGH or slope**2 <= NO_GAIN * len(rows) * curvature:
            break
    return float(1 / factor)


def _moments(scores: FloatArray, factor: float) -> tuple[float, float]:
    """Sums over photos of the mean and the variance of scores `(M, K)` under softmax(factor · s).

    They are the first derivative by the factor, but for the targets' own scores, and the second.
    """
    scaled = scores * factor
    scaled -= scaled.max(axis=1, keepdims=True)
    np.exp(scaled, out=scaled)
    total = scaled.sum(axis=1)
    scaled *= scores
    means = scaled.sum(axis=1) / total
    squares = np.einsum("mk,mk->m", scaled, scores) / total
    return float(means.sum()), float((squares - means**2).clip(0).sum())


def calibrated(probs: FloatArray, temperature: float) -> FloatArray:
    """Probabilities `(M, K)` as they are with the logits divided by `temperature`."""
    scaled = log_probs(probs) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=1, keepdims=True)
    return scaled


def cross_calibrated(predictions: Predictions) -> Predictions:
    """Each fold calibrated by the others' temperature, as new photos would be.

    Without folds there is nothing to choose on, and the predictions stay as they are.
    """
    if predictions.folds is None:
        return predictions
    probs, scores = predictions.probs.copy(), log_probs(predictions.probs)
    for fold in range(predictions.folds):
        held = predictions.fold == fold
        temperature = best_temperature(scores, predictions.targets, np.flatnonzero(~held))
        probs[held] = calibrated(predictions.probs[held], temperature)
    return replace(predictions, probs=probs)


def helpful_temperature(predictions: Predictions) -> tuple[float, Predictions]:
    """The temperature to use, and the predictions as held-out photos have them with it.

    It is 1 where the temperature of the other folds does not lower the log loss of held-out photos
    by more than a standard error, or raises their calibration error: what is calibrated already
    would be made worse.
    """
    crossed = cross_calibrated(predictions)
    before, after = (log_losses(one.probs, one.targets) for one in (predictions, crossed))
    gain = before - after
    if predictions.folds and gain.mean() <= gain.std() / len(gain) ** 0.5:
        return 1.0, predictions
    if _ece(crossed) > _ece(predictions):
        return 1.0, predictions
    return best_temperature(log_probs(predictions.probs), predictions.targets), crossed


def calibration_json(predictions: Predictions) -> dict[str, Any]:
    """The document `calibration.json` of a run, whose `temperature` divides its logits."""
    temperature, after = helpful_temperature(predictions)
    return _calibration_json(predictions, after, temperature)


def checked_json(predictions: Predictions, temperature: float) -> dict[str, Any]:
    """The calibration error of these photos with a temperature that was chosen on others."""
    after = replace(predictions, probs=calibrated(predictions.probs, temperature))
    return _calibration_json(predictions, after, temperature)


def _calibration_json(
    before: Predictions, after: Predictions, temperature: float
) -> dict[str, Any]:
    return {
        "temperature": temperature,
        "factor": 1 / temperature,  # on the logits: the same, as earlier versions kept it
        "n": len(before),
        "folds": before.folds,
        "ece_before": _ece(before),
        "ece": _ece(after),
    }


def _ece(predictions: Predictions) -> float:
    return expected_calibration_error(predictions.probs, predictions.targets)


def made_of(run: Run) -> str:
    """The digest of the out-of-fold predictions that calibrate a run; empty without any."""
    return run.digest(FOLDS)


def temperature_of(run: Run) -> float:
    """The temperature of a run's logits: 1 for one that was never evaluated by folds."""
    if not (run.folder / NAME).is_file():
        return 1.0
    try:
        kept, folds = run.read_json(NAME), made_of(run)
        if folds and kept.get("predictions", folds) != folds:
            # Evaluated again since, together with other runs or until a kill.
            return helpful_temperature(for_decisions(run.load_predictions(FOLDS)))[0]
        factor = float(kept["factor"])
        if not 0 < factor < np.inf:
            raise ValueError(f"the factor {factor} is not above 0 and finite")
        return 1 / factor
    except (KeyError, TypeError, ValueError) as error:
        raise run.damaged(NAME, error) from None


def reliability(predictions: Predictions, bins: int = 15) -> list[dict[str, Any]]:
    """Per bin of equal width: photos, mean confidence, accuracy, and its interval.

    Bins are those of the expected calibration error; an empty one is left out.
    """
    confidence = predictions.probs.max(axis=1)
    correct = predictions.preds == predictions.targets
    bin_of = confidence_bins(confidence, bins)
    rows = []
    for b in np.unique(bin_of):
        inside = bin_of == b
        accuracy = float(correct[inside].mean())
        rows.append(
            {
                "from": b / bins,
                "to": (b + 1) / bins,
                "n": int(inside.sum()),
                "confidence": float(confidence[inside].mean()),
                "right": accuracy,
                "ci95": list(wilson_interval(accuracy, independent(predictions.groups[inside]))),
            }
        )
    return rows
