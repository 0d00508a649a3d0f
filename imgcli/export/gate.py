"""An exported file beside imgcli on the same photos: is it the same classifier?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcli.errors import ModelError
from imgcli.records import FloatArray
from imgcli.text import count

LEAST = 200  # photos that are compared, where there are so many
TOLERANCE = 1e-3  # of a probability
MARGIN = 2 * TOLERANCE  # of the first class over the second; above it the first must be the same

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class Gate:
    """What the comparison found on n photos."""

    n: int
    on: str  # "test", "val" or "train": the part that the photos are of
    same_class: int  # photos of the same most probable class
    near_ties: int  # photos whose margin is at most MARGIN
    max_difference: float  # of a probability
    worst: str  # the photo that has it
    unlike: int  # photos above the margin with another class
    strict: bool  # whether the file had to pass; int8 and fp16 are measured instead

    @property
    def passed(self) -> bool:
        return self.unlike == 0 and self.max_difference <= TOLERANCE

    def to_json(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "on": self.on,
            "passed": self.passed if self.strict else None,
            "same_class": self.same_class,
            "near_ties": self.near_ties,
            "max_difference": self.max_difference,
            "tolerance": TOLERANCE,
            "margin": MARGIN,
        }


def compare(
    ours: FloatArray, theirs: FloatArray, names: list[str], on: str, *, strict: bool
) -> Gate:
    """Compare imgcli's probabilities `(n, K)` with the file's.

    Raises:
        ModelError: the file gives numbers that are none, or, if `strict`, others than imgcli.
    """
    if not np.isfinite(theirs).all():
        bad = int((~np.isfinite(theirs).all(axis=1)).sum())
        raise ModelError(
            f"The exported file is not kept: for {bad:,} of {count(len(names), 'photo')} its "
            "probabilities are no numbers. Use --precision fp32."
        )
    differences = np.abs(ours - theirs).max(axis=1)
    same = ours.argmax(axis=1) == theirs.argmax(axis=1)
    second, first = np.sort(ours, axis=1)[:, -2:].T
    clear = first - second > MARGIN
    worst = int(differences.argmax())
    gate = Gate(
        n=len(names),
        on=on,
        same_class=int(same.sum()),
        near_ties=int((~clear).sum()),
        max_difference=float(differences[worst]),
        worst=names[worst],
        unlike=int((clear & ~same).sum()),
        strict=strict,
    )
    if strict and not gate.passed:
        raise ModelError(_refusal(gate, int((differences > TOLERANCE).sum())))
    return gate


def _refusal(gate: Gate, beyond: int) -> str:
    unlike = f", and for {gate.unlike:,} the predicted class" if gate.unlike else ""
    return (
        f"The exported file is not kept: for {beyond:,} of {count(gate.n, 'photo')} its "
        f"probabilities differ from imgcli's by more than {TOLERANCE:g}{unlike}; by most, "
        f"{gate.max_difference:.2g}, for '{gate.worst}'. Use another --format."
    )
