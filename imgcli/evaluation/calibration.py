"""Temperature scaling by out-of-fold predictions, and the reliability diagram.

Logits are divided by one temperature (Guo et al., On Calibration of Modern Neural Networks, 2017).
"""

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from imgcli.evaluation.metrics import (
    confidence_bins,
    expected_calibration_error,
    independent,
    log_probs,
    wilson_interval,
)
from imgcli.evaluation.predictions_io import for_decisions
from imgcli.records import FloatArray, IntArray, Predictions
from imgcli.runs import FOLDS, Run

NAME = "calibration.json"  # in a run's folder
BLOCK = 1 << 17  # probabilities worked on at once: 1 MB, which a processor's cache holds


# --- temperature --------------------------------------------------------------------------------


def best_temperature(scores: FloatArray, targets: IntArray, rows: IntArray | None = None) -> float:
    """The T for which softmax(scores / T) has the least log loss, of scores `(M, K)`.

    Args:
        rows: of the photos to go by; by default all of them.
    """
    rows = np.arange(len(targets)) if rows is None else rows
    step = max(1, BLOCK // scores.shape[1])
    blocks = [rows[start : start + step] for start in range(0, len(rows), step)]

    def loss(exponent: float) -> float:
        temperature = np.exp(exponent)
        return sum(_log_loss(scores[block] / temperature, targets[block]) for block in blocks)

    return float(np.exp(minimize_scalar(loss, bounds=(-5.0, 5.0), method="bounded").x))


def _log_loss(scores: FloatArray, targets: IntArray) -> float:
    """The sum of the photos' negative log likelihoods; overwrites the scores `(M, K)`."""
    scores -= scores.max(axis=1, keepdims=True)
    own = scores[np.arange(len(targets)), targets]
    return float((np.log(np.exp(scores, out=scores).sum(axis=1)) - own).sum())


def calibrated(probs: FloatArray, temperature: float) -> FloatArray:
    """Probabilities `(M, K)` as they are with the logits divided by `temperature`."""
    scaled: FloatArray = softmax(log_probs(probs) / temperature, axis=1)
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


def calibration_json(predictions: Predictions) -> dict[str, Any]:
    """The document `calibration.json` of a run, whose `temperature` divides its logits."""
    return _calibration_json(
        predictions,
        cross_calibrated(predictions),
        best_temperature(log_probs(predictions.probs), predictions.targets),
    )


def checked_json(predictions: Predictions, temperature: float) -> dict[str, Any]:
    """The calibration error of these photos with a temperature that was chosen on others."""
    after = replace(predictions, probs=calibrated(predictions.probs, temperature))
    return _calibration_json(predictions, after, temperature)


def _calibration_json(
    before: Predictions, after: Predictions, temperature: float
) -> dict[str, Any]:
    before_and_after = (expected_calibration_error(p.probs, p.targets) for p in (before, after))
    return {
        "temperature": temperature,
        "factor": 1 / temperature,  # on the logits: the same, as earlier versions kept it
        "n": len(before),
        "folds": before.folds,
        **dict(zip(("ece_before", "ece"), before_and_after, strict=True)),
    }


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
            deciding = for_decisions(run.load_predictions(FOLDS))
            return best_temperature(log_probs(deciding.probs), deciding.targets)
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
