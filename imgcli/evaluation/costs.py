"""What mistakes cost, and the answers that cost least.

The expected cost of an answer is the mean of its costs over the classes, weighted by their
probabilities; the answer of least expected cost is given (Elkan, The Foundations of Cost-Sensitive
Learning, 2001).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from imgcli.errors import DataError
from imgcli.evaluation.intervals import variance_of_mean
from imgcli.evaluation.metrics import Z95
from imgcli.records import UNSURE, FloatArray, IntArray, Predictions, Rejected
from imgcli.tables import table_rows
from imgcli.text import listed

PAIRS = ("class", "answer", "cost")  # the columns of a table with a mistake in each row

Decides = Literal["least cost", "most probable"]


@dataclass(frozen=True, eq=False)
class Costs:
    """The cost of each answer to a photo of each class."""

    classes: tuple[str, ...]  # (K,)
    matrix: FloatArray  # (K, K), rows the true class; or (K, K + 1), the last: no answer

    def expected(self, probs: FloatArray) -> FloatArray:
        """The expected cost of each answer, (M, K) or (M, K + 1), by probabilities (M, K)."""
        found: FloatArray = probs @ self.matrix
        return found

    def answers(self, probs: FloatArray) -> IntArray:
        """The answers of least expected cost, (M,): a class, or K for none.

        Of answers that cost the same the most probable class is given.
        """
        expected = self.expected(probs)
        least = expected.min(axis=1, keepdims=True)
        close = 1e-9 * np.abs(self.matrix).max()
        further = ((0, 0), (0, expected.shape[1] - probs.shape[1]))
        likely = np.pad(probs, further, constant_values=-1.0)
        best: IntArray = np.where(expected <= least + close, likely, -2.0).argmax(axis=1)
        return best

    def of(self, targets: IntArray, answers: IntArray) -> FloatArray:
        """What each answer cost, (M,)."""
        paid: FloatArray = self.matrix[targets, answers]
        return paid


@dataclass(frozen=True)
class MeanCost:
    """A mean cost per photo and its 95 % interval."""

    value: float
    ci95: tuple[float, float]


@dataclass(frozen=True)
class CostFigures:
    """What answers to held-out photos cost."""

    n: int
    most_probable: MeanCost  # where each photo is given its most probable class
    least: MeanCost  # where it is given the answer of least expected cost
    saved: MeanCost  # the difference
    changed: int  # photos that get another answer by it
    unsure: int  # of these, photos that get none
    decides: Decides  # what costs less on held-out photos, and is used for new ones

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def cost_figures(predictions: Predictions, costs: Costs) -> CostFigures:
    """Compare answers of least cost with the most probable classes, on held-out photos.

    Costs whose answers cost more than the plain ones on these photos do not decide.

    Args:
        predictions: calibrated, as those of new photos will be.
    """
    plain, least = predictions.preds, costs.answers(predictions.probs)
    paid = [costs.of(predictions.targets, answers) for answers in (plain, least)]
    saved = paid[0] - paid[1]
    return CostFigures(
        n=len(predictions),
        most_probable=_mean(paid[0], predictions),
        least=_mean(paid[1], predictions),
        saved=_mean(saved, predictions),
        changed=int((plain != least).sum()),
        unsure=int((least == len(costs.classes)).sum()),
        decides="least cost" if saved.mean() >= 0 else "most probable",
    )


def _mean(paid: FloatArray, predictions: Predictions) -> MeanCost:
    """The mean, with an interval by how much near-duplicate groups differ from it."""
    value = float(paid.mean())
    half = Z95 * math.sqrt(variance_of_mean(paid, predictions))
    return MeanCost(value, (value - half, value + half))


# --- from a table -------------------------------------------------------------------------------


def read_costs(path: Path, classes: Sequence[str]) -> Costs:
    """Read what mistakes cost: a matrix, or a mistake in each row.

    A matrix has the true class in the first column and the cost of each answer in a column of its
    name; a column "unsure" has the cost of no answer. A table of the columns class, answer and cost
    names some mistakes: all others cost 1, and correct answers 0.

    Raises:
        DataError: it lacks a class, names another, or has a cost that is no number.
    """
    rows = [row for _, row in table_rows(path) if not isinstance(row, Rejected)]
    if not rows:
        raise DataError(f"'{path}' has no rows; `imgcli guide predicting` says what it may have.")
    names = list(rows[0])
    known = {name: k for k, name in enumerate(classes)}
    if sorted(name.casefold() for name in names) == sorted(PAIRS):
        lower = [{name.casefold(): cell for name, cell in row.items()} for row in rows]
        return Costs(tuple(classes), _of_pairs(path, lower, known))
    return Costs(tuple(classes), _of_matrix(path, names, rows, known))


def _of_matrix(
    path: Path, names: list[str], rows: list[Mapping[str, Any]], known: dict[str, int]
) -> FloatArray:
    first, *columns = names
    answers = {**({UNSURE: len(known)} if UNSURE in columns else {}), **known}
    _refuse_others(path, "column", columns, answers)
    given = [str(row[first]).strip() for row in rows]
    _refuse_others(path, "row", given, known)
    matrix = np.empty((len(known), len(answers)))
    for row, name in zip(rows, given, strict=True):
        for column in columns:
            matrix[known[name], answers[column]] = _cost(path, row[column], name, column)
    return matrix


def _of_pairs(path: Path, rows: list[dict[str, Any]], known: dict[str, int]) -> FloatArray:
    answers = {UNSURE: len(known), **known}
    named = [(str(row["class"]).strip(), str(row["answer"]).strip()) for row in rows]
    if unknown := [one for one, _ in named if one not in known]:
        raise DataError(_unknown(path, unknown, known))
    if unknown := [other for _, other in named if other not in answers]:
        raise DataError(_unknown(path, unknown, known))
    matrix = np.pad(1.0 - np.eye(len(known)), ((0, 0), (0, 1)), constant_values=np.inf)
    for row, (name, answer) in zip(rows, named, strict=True):
        matrix[known[name], answers[answer]] = _cost(path, row["cost"], name, answer)
    without = matrix[:, -1] == np.inf
    if without.all():
        return matrix[:, :-1]
    if without.any():
        lacking = [name for name, k in known.items() if without[k]]
        raise DataError(
            f"'{path}' says what no answer ('{UNSURE}') costs for some classes and not for "
            f"{listed(lacking)}. Add them."
        )
    return matrix


def _refuse_others(path: Path, what: str, given: list[str], wanted: Mapping[str, int]) -> None:
    """Refuse names that are not exactly those wanted."""
    if lacking := [name for name in wanted if name not in given]:
        raise DataError(f"'{path}' lacks a {what} for {listed(lacking)}. Add it.")
    if unknown := [name for name in given if name not in wanted]:
        raise DataError(_unknown(path, unknown, wanted))
    if twice := [name for name in wanted if given.count(name) > 1]:
        raise DataError(f"'{path}' has more than one {what} for {listed(twice)}. Leave one.")


def _unknown(path: Path, unknown: list[str], known: Mapping[str, int]) -> str:
    return (
        f"'{path}' has costs of {listed(unknown)}, which the run does not know. Its classes are "
        f"{listed(list(known))}."
    )


def _cost(path: Path, cell: Any, name: str, answer: str) -> float:
    try:
        cost = float(str(cell).strip().replace(",", "."))
    except ValueError:
        cost = math.nan
    if not math.isfinite(cost):
        raise DataError(
            f"'{path}': the cost '{cell}' of answering '{answer}' to a photo of '{name}' is no "
            "number."
        )
    return cost
