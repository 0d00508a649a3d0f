"""What is answered to new photos: the most probable class, none, several, or what costs least."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imgcli.records import UNSURE, FloatArray, IntArray

if TYPE_CHECKING:
    from imgcli.evaluation.costs import CostFigures, Costs
    from imgcli.evaluation.prediction_sets import PredictionSets
    from imgcli.evaluation.selective import SelectivePrediction

SEPARATOR = " | "  # of the classes of a set in a table
NOVEL = -2  # in the place of a class: none of these


@dataclass(frozen=True, eq=False)
class Decisions:
    """The answers to M photos over K classes."""

    answers: IntArray  # (M,) classes; -1 for no answer, -2 for none of these
    photos: Sequence[Mapping[str, Any]]  # (M,) what the document says of each beside its class
    columns: Mapping[str, Sequence[object]]  # of a table, each (M,)
    document: Mapping[str, Any] = field(default_factory=dict)  # what it says of all together
    sets: Sequence[Sequence[int]] | None = None  # (M,) classes of each set, most probable first

    @property
    def sure(self) -> NDArray[np.bool_]:
        """Which photos are answered, (M,)."""
        return np.asarray(self.answers >= 0)

    @property
    def none_of_these(self) -> NDArray[np.bool_]:
        """Which photos are of none of the classes, (M,)."""
        return np.asarray(self.answers == NOVEL)

    def shown(self, probs: FloatArray) -> IntArray:
        """The class of each photo, (M,): its answer, or the most probable one where it has none."""
        return np.where(self.sure, self.answers, probs.argmax(axis=1))


def most_probable(probs: FloatArray) -> Decisions:
    """Each photo is given its most probable class."""
    nothing: Mapping[str, Any] = {}
    return Decisions(probs.argmax(axis=1), [nothing] * len(probs), {})


def by_confidence(
    probs: FloatArray,
    classes: Sequence[str],
    threshold: float,
    promise: "SelectivePrediction | None" = None,
) -> Decisions:
    """Photos of a confidence of at least `threshold` are given their most probable class."""
    best = probs.argmax(axis=1)
    answers = np.where(probs.max(axis=1) >= threshold, best, -1)
    return Decisions(
        answers,
        _unsure(answers),
        {"likely": [classes[k] for k in best]},
        {**({"promise": promise.to_json()} if promise else {}), **_counts(answers)},
    )


def by_sets(probs: FloatArray, classes: Sequence[str], sets: "PredictionSets") -> Decisions:
    """Photos with one class in their set are given it."""
    from imgcli.evaluation.prediction_sets import sets_of

    inside = sets_of(probs, sets.thresholds)
    order = np.argsort(-probs, axis=1, kind="stable")
    members = [row[kept[row]].tolist() for row, kept in zip(order, inside, strict=True)]
    answers = np.array([own[0] if len(own) == 1 else -1 for own in members], dtype=np.int64)
    named = [[classes[k] for k in own] for own in members]
    return Decisions(
        answers,
        [{**said, "set": own} for said, own in zip(_unsure(answers), named, strict=True)],
        {
            "likely": [classes[own[0]] for own in members],
            "set": [SEPARATOR.join(own) for own in named],
        },
        {"sets": sets.to_json(), **_counts(answers)},
        members,
    )


def by_cost(
    probs: FloatArray, classes: Sequence[str], costs: "Costs", found: "CostFigures"
) -> Decisions:
    """Photos are given what costs least, where that has cost less on held-out photos."""
    k = len(classes)
    best = probs.argmax(axis=1)
    chosen = costs.answers(probs) if found.decides == "least cost" else best
    expected = costs.expected(probs)[np.arange(len(probs)), chosen].tolist()
    answers = np.where(chosen == k, -1, chosen)
    photos: list[Mapping[str, Any]] = [
        {**said, "expected_cost": cost, "most_probable": classes[likely]}
        for said, cost, likely in zip(_unsure(answers), expected, best, strict=True)
    ]
    return Decisions(
        answers,
        photos,
        {"likely": [classes[i] for i in best], "expected_cost": [f"{c:.6g}" for c in expected]},
        {"cost": found.to_json(), **_counts(answers)},
    )


def with_novelty(
    decided: Decisions,
    probs: FloatArray,
    classes: Sequence[str],
    scores: FloatArray,
    threshold: float,
) -> Decisions:
    """The same, but photos whose novelty is above `threshold` are of none of the classes."""
    novel = scores > threshold
    answers = np.where(novel, NOVEL, decided.answers)
    photos: list[Mapping[str, Any]] = []
    for said, far, score in zip(decided.photos, novel.tolist(), scores.tolist(), strict=True):
        unsure = {"unsure": said["unsure"] and not far} if "unsure" in said else {}
        photos.append({**said, **unsure, "none_of_these": far, "novelty": score})
    likely = [classes[k] for k in probs.argmax(axis=1)]
    counts = _counts(answers) if UNSURE in decided.document else {}
    return replace(
        decided,
        answers=answers,
        photos=photos,
        columns={"likely": likely, **decided.columns},
        document={**decided.document, **counts},
    )


def _unsure(answers: IntArray) -> list[Mapping[str, Any]]:
    return [{"unsure": unsure} for unsure in (answers < 0).tolist()]


def _counts(answers: IntArray) -> dict[str, int]:
    return {"answered": int((answers >= 0).sum()), UNSURE: int((answers == -1).sum())}
