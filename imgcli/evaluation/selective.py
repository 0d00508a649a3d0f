"""Selective prediction: the confidence threshold at which answers have a precision asked for.

Chosen on out-of-fold predictions; it holds for photos like those.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import betaincinv

from imgcli.errors import DataError
from imgcli.evaluation.metrics import independent, wilson_interval
from imgcli.records import IntArray, Predictions
from imgcli.text import count

DOUBT = 0.05  # the probability that a precision is promised and not reached
MAX_ERRORS = 4  # allowed among the first, most confident photos
GROWTH = 1.03  # of the number of photos answered, from one try to the next


@dataclass(frozen=True)
class SelectivePrediction:
    """A selective prediction: photos of a confidence of at least `threshold` get an answer."""

    min_precision: float
    threshold: float
    share: float  # coverage: of the out-of-fold photos, the share that is answered
    answered: int
    n: int
    precision: float  # of the answers, out-of-fold
    precision_ci95: tuple[float, float]
    lower_bound: float  # of that precision, one-sided with 95 % confidence
    weak: dict[str, float]  # precision of the classes whose own answers are surely worse

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def selective_prediction(predictions: Predictions, min_precision: float) -> SelectivePrediction:
    """The lowest confidence from which on answers are correct at least so often.

    From the most confident photos on, more and more are answered as long as the lower 95 % bound of
    the precision (Clopper & Pearson 1934, one-sided) is no less than what was asked for; the first
    try that is less ends it. Tried in a fixed order, the first wrong step is taken in at most 5 %
    of data, however many there are (fixed-sequence testing; Angelopoulos et al., Learn then Test,
    2021). Near-duplicates count as if they shared their fate.

    Raises:
        DataError: so high a precision cannot be promised.
    """
    confidence = predictions.probs.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    ranked, groups = confidence[order], predictions.groups[order]
    correct = np.cumsum((predictions.preds == predictions.targets)[order])
    kept = 0
    copies = len(ranked) / independent(groups)
    tries = _tries(min_precision, len(ranked), copies)
    for few in tries:
        # Photos of one confidence are answered together or not at all.
        m = int(np.searchsorted(-ranked, -ranked[few - 1], side="right"))
        if _lower(correct[m - 1] / m, independent(groups[:m])) < min_precision:
            break
        kept = m
    if not kept:
        raise DataError(_refusal(min_precision, tries[0], correct))
    precision = float(correct[kept - 1]) / kept
    return SelectivePrediction(
        min_precision=min_precision,
        threshold=float(ranked[kept - 1]),
        share=kept / len(ranked),
        answered=kept,
        n=len(ranked),
        precision=precision,
        precision_ci95=wilson_interval(precision, independent(groups[:kept])),
        lower_bound=_lower(precision, independent(groups[:kept])),
        weak=_weak(predictions, order[:kept], min_precision),
    )


def _weak(predictions: Predictions, answered: IntArray, min_precision: float) -> dict[str, float]:
    """Precision of the classes whose 95 % interval (Wilson) ends below it, the worst first."""
    preds = predictions.preds[answered]
    correct, groups = preds == predictions.targets[answered], predictions.groups[answered]
    found = {}
    for k in np.unique(preds).tolist():
        own = preds == k
        precision = float(correct[own].mean())
        if wilson_interval(precision, independent(groups[own]))[1] < min_precision:
            found[predictions.classes[k]] = precision
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _tries(min_precision: float, n: int, copies: float) -> list[int]:
    """How many of the most confident photos to answer, from few to all.

    Args:
        copies: photos for each one that tells something new.
    """
    m, tries = int(_first(min_precision, n / copies) * copies) + 1, []
    while m < n:
        tries.append(m)
        m = int(m * GROWTH) + 1
    return [*tries, n]


def _first(min_precision: float, n: float) -> int:
    """So few photos that a few errors, or with few photos at hand none, end it at once."""
    for errors in range(MAX_ERRORS, -1, -1):
        few = errors + 1
        while _lower(1 - errors / few, few) < min_precision:
            few = int(few * GROWTH) + 1
        if few <= n / 2:
            break
    return few


def _lower(precision: float, n: float) -> float:
    """The lower 95 % bound of a precision found on n photos; n need not be whole."""
    hits = precision * n
    return float(betaincinv(hits, n - hits + 1, DOUBT)) if hits > 0 else 0.0


def _refusal(min_precision: float, few: int, correct: IntArray) -> str:
    """Why a precision cannot be promised, and what to do.

    Args:
        few: photos, the first try.
        correct: among the most confident 1, 2, 3, ... photos, (n,).
    """
    cannot = f"--min-precision {min_precision:g} cannot be guaranteed"
    wrong = few - int(correct[few - 1])
    if not wrong:
        n = count(len(correct), "out-of-fold photo")
        return f"{cannot} by {n}, even if all were correct. Use a lower value, or add photos."
    return (
        f"{cannot}: {wrong:,} of the {count(few, 'most confident out-of-fold prediction')} "
        f"{'is' if wrong == 1 else 'are'} wrong. Use a lower value, or review the labels: imgcli "
        "check --labels"
    )
