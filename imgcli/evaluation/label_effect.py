"""What correcting the listed labels does to the error, by refitting.

Two errors go when a wrong label is corrected, and they are told apart here. The photo itself was
counted as an error and is none: that says nothing of the network. And the network learns from one
wrong label less: that shows on the other photos, whose labels stay as they are, and is what a user
gains. The photos are the same in both fits, so the interval is of their differences.

Listed photos are those that the first network contradicts. The others are therefore rather those
that it got right, and what is gained on them is a low estimate.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from imgcli.evaluation.intervals import variance_of_mean
from imgcli.evaluation.metrics import Z95
from imgcli.records import IntArray, Predictions
from imgcli.text import count, percent


@dataclass(frozen=True)
class LabelEffect:
    """The error on the photos that are not listed, with the listed labels as they are, and not."""

    listed: int  # labels that were corrected as suggested
    listed_errors: int  # of them counted as errors as they are
    errors: int  # of all photos as they are
    n: int  # photos that are not listed
    before: float  # share of them predicted wrongly
    after: float  # with a head fitted to the corrected labels
    fall: float
    ci95: tuple[float, float]  # of `fall`

    def sentence(self) -> str:
        """For people."""
        low, high = (f"{100 * end:+.1f}" for end in self.ci95)
        own = (
            f"Of {count(self.errors, 'out-of-fold error')}, {self.listed_errors:,} are the listed "
            "photos themselves."
        )
        found = (
            f"from {percent(self.before)} to {percent(self.after)} on "
            f"{count(self.n, 'other photo')} (fall in points {100 * self.fall:+.1f}, 95 % interval "
            f"{low} to {high}; estimated by refitting the head in the same folds)"
        )
        if self.ci95[0] > 0:
            return f"{own} Correcting them would lower the error of the network, {found}."
        if self.ci95[1] < 0:
            return f"{own} Corrected as suggested, they would raise the error, {found}: look first."
        return f"{own} Whether correcting them makes a better network cannot be told, {found}."

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {**asdict(self), "sentence": self.sentence()}


def effect_of_correcting(
    before: Predictions, after: Predictions, listed: IntArray
) -> LabelEffect | None:
    """Compare the out-of-fold predictions before and after labels were corrected.

    Args:
        after: of the same photos in the same folds, by networks trained on the corrected labels.
        listed: rows of the predictions whose labels were corrected.

    Returns:
        None where no other photo is left, or none was corrected.
    """
    assert before.paths == after.paths
    others = np.setdiff1d(np.arange(len(before)), listed)
    if len(others) == 0 or len(listed) == 0:
        return None
    wrong = before.preds != before.targets
    still = after.preds[others] != before.targets[others]
    falls = wrong[others].astype(np.float64) - still
    fall = float(falls.mean())
    half = Z95 * variance_of_mean(falls, before.at(others)) ** 0.5
    return LabelEffect(
        listed=len(listed),
        listed_errors=int(wrong[listed].sum()),
        errors=int(wrong.sum()),
        n=len(others),
        before=float(wrong[others].mean()),
        after=float(still.mean()),
        fall=fall,
        ci95=(fall - half, fall + half),
    )
