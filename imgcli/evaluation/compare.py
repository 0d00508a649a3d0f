"""Which of several runs is better on the same photos, with a test of the difference.

Two runs that answer the same photos err on many of the same ones, so a test that looks only where
they differ sees what two separate intervals hide. The unit is the near-duplicate group: its photos
share their fate.

What is compared are networks as they were trained. Another seed trains another network; with folds
there are as many trainings as folds, and what chance does to one partly cancels out. Where folds
were repeated, the first repeat is compared: runs need not have as many.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from imgcli.errors import DataError
from imgcli.evaluation import metrics
from imgcli.evaluation.intervals import independent_of_macro, resampled_margins
from imgcli.evaluation.merges.null_model import holm
from imgcli.evaluation.paired_tests import MAX_EXCHANGES, exact_mcnemar_test, randomisation_test
from imgcli.progress import track
from imgcli.records import FloatArray, Predictions
from imgcli.text import count, listed

FIGURES = {name: metrics.FIGURES[name] for name in ("accuracy", "macro_precision")}  # tested
ALPHA = 0.05  # a difference is shown where its corrected p-value is at most this
DRAWS = 2000  # of the bootstrap
# Exchanges of a pair: with a thousand for each pair a corrected p-value can come below 0.001, and
# with so many in all still below ALPHA where 100 runs are compared.
MAX_EXCHANGES_OF_MANY = 100_000


@dataclass(frozen=True)
class Difference:
    """The first run's figure minus the second's."""

    value: float
    ci95: tuple[float, float]  # of this pair alone
    p_value: float  # corrected for all the pairs that are compared
    p_alone: float  # of this pair alone
    folds: tuple[float, ...] | None  # the difference in each fold, where both have the same folds

    @property
    def shown(self) -> bool:
        return self.p_value <= ALPHA

    def to_json(self) -> dict[str, Any]:
        folds = None if self.folds is None else np.array(self.folds)
        return {
            "difference": self.value,
            "ci95": list(self.ci95),
            "p_value": self.p_value,
            "p_alone": self.p_alone,
            "shown": self.shown,
            "folds": None if folds is None else folds.tolist(),
            "mean": None if folds is None else float(folds.mean()),
            "std": None if folds is None or len(folds) < 2 else float(folds.std(ddof=1)),
        }


@dataclass(frozen=True)
class Pair:
    """Two runs, by name, and the difference of each of FIGURES."""

    runs: tuple[str, str]
    differences: Mapping[str, Difference]

    def to_json(self) -> dict[str, Any]:
        differences = {name: found.to_json() for name, found in self.differences.items()}
        return {"runs": list(self.runs), **differences}


# --- the same photos ----------------------------------------------------------------------------


def align(runs: Mapping[str, Predictions]) -> tuple[dict[str, Predictions], int]:
    """The photos that all runs have answered, in one order, with the first run's groups.

    Returns:
        The predictions that are left, and how many photos some run had and another had not.

    Raises:
        DataError: other classes, no photo in common, or a photo of two classes.
    """
    (first_name, first), *others = runs.items()
    every = set(first.paths)
    common = set(first.paths)
    for name, predictions in others:
        _need_same_classes(first_name, first, name, predictions)
        every |= set(predictions.paths)
        common &= set(predictions.paths)
    if not common:
        raise DataError(
            f"The runs {listed(list(runs))} have no photo in common, so nothing can be paired. "
            "Compare runs that were evaluated on one dataset."
        )
    paths = [path for path in first.paths if path in common]
    aligned = {name: _at(predictions, paths) for name, predictions in runs.items()}
    first = aligned[first_name]
    for name, _ in others:
        _need_same_targets(first_name, first, name, aligned[name])
        aligned[name] = replace(aligned[name], groups=first.groups)
    return aligned, len(every) - len(common)


def _at(predictions: Predictions, paths: Sequence[str]) -> Predictions:
    """The predictions of these photos, in their order."""
    row_of = {path: row for row, path in enumerate(predictions.paths)}
    return predictions.at(np.array([row_of[path] for path in paths]))


def _need_same_classes(a: str, first: Predictions, b: str, second: Predictions) -> None:
    if first.classes != second.classes:
        only = sorted(set(first.classes) ^ set(second.classes))
        raise DataError(
            f"The run '{a}' knows {count(len(first.classes), 'class', 'classes')} and '{b}' "
            f"{len(second.classes)}; only one of the two knows {listed(only)}. Compare runs that "
            "were trained on the same classes."
        )


def _need_same_targets(a: str, first: Predictions, b: str, second: Predictions) -> None:
    differ = np.flatnonzero(first.targets != second.targets)
    if len(differ):
        row = differ[0]
        one, other = (first.classes[p.targets[row]] for p in (first, second))
        raise DataError(
            f"'{first.paths[row]}' is of class '{one}' for the run '{a}' and '{other}' for '{b}'. "
            "Compare runs that were evaluated on one dataset."
        )


# --- differences --------------------------------------------------------------------------------


def compare(
    runs: Mapping[str, Predictions], seed: int = 0, figures: Sequence[str] = tuple(FIGURES)
) -> list[Pair]:
    """Compare every two of some aligned runs: the best and the second best first.

    The first run of a pair is the more accurate one, so a difference in accuracy is never negative.
    P-values are corrected for the number of pairs by Holm's method, for each figure by itself: if
    no run differs from another, some difference is shown in at most 5 % of data. Of runs of equal
    accuracy the first stays first.

    Args:
        figures: those of FIGURES to compare.
    """
    ranked = sorted(runs, key=lambda name: -_pooled(runs[name], "accuracy"))
    pairs = list(combinations(ranked, 2))
    draws = {name: _draws(predictions, seed, figures) for name, predictions in runs.items()}
    alone = np.array(
        [
            [_p_value(runs[a], runs[b], figure, len(pairs), seed) for figure in figures]
            for a, b in track(pairs, "Comparing", unit="pairs")
        ]
    )
    corrected = np.stack([holm(column) for column in alone.T], axis=1)
    return [
        Pair(
            (a, b),
            {
                figure: Difference(
                    *_estimate(runs[a], runs[b], figure, draws[a][figure] - draws[b][figure]),
                    p_value=float(corrected[row, column]),
                    p_alone=float(alone[row, column]),
                    folds=_per_fold(runs[a], runs[b], figure),
                )
                for column, figure in enumerate(figures)
            },
        )
        for row, (a, b) in enumerate(pairs)
    ]


def same_folds(first: Predictions, second: Predictions) -> bool:
    """Whether both runs held out the same photos in each fold; False where there are no folds."""
    return first.folds is not None and bool((first.fold == second.fold).all())


def _estimate(
    first: Predictions, second: Predictions, figure: str, draws: FloatArray
) -> tuple[float, tuple[float, float]]:
    """The difference of a figure pooled over all photos, with its 95 % interval.

    Args:
        draws: the difference in paired bootstrap samples.
    """
    value = _pooled(first, figure) - _pooled(second, figure)
    half = metrics.Z95 * float(np.sqrt(draws.var() + _one_photo(first) ** 2))
    return value, (max(value - half, -1.0), min(value + half, 1.0))


def _pooled(predictions: Predictions, figure: str) -> float:
    return float(FIGURES[figure](metrics.confusion_of(predictions)))


def _one_photo(predictions: Predictions) -> float:
    """What one photo weighs in a mean over the classes.

    Added to the standard error, as if each run alone had half a photo more correct (Agresti &
    Min 2005): else the difference of two equal runs would have no interval.
    """
    return 1 / independent_of_macro(predictions)


def _draws(predictions: Predictions, seed: int, figures: Sequence[str]) -> dict[str, FloatArray]:
    """Each figure in bootstrap samples; one seed draws the same groups for every aligned run."""
    chunks = list(resampled_margins(predictions, DRAWS, seed))
    return {
        name: np.concatenate([FIGURES[name](margins) for margins in chunks]) for name in figures
    }


def _per_fold(first: Predictions, second: Predictions, figure: str) -> tuple[float, ...] | None:
    if not same_folds(first, second):
        return None
    a, b = metrics.fold_confusions(first), metrics.fold_confusions(second)
    there = a.any(axis=(1, 2))  # large groups can leave a fold without photos
    return tuple((FIGURES[figure](a[there]) - FIGURES[figure](b[there])).tolist())


def _p_value(first: Predictions, second: Predictions, figure: str, pairs: int, seed: int) -> float:
    """The p-value of one pair alone, fine enough to be corrected for the number of pairs."""
    if figure == "accuracy":
        return exact_mcnemar_test(first, second)
    return randomisation_test(
        first, second, min(max(1000 * pairs, MAX_EXCHANGES), MAX_EXCHANGES_OF_MANY), seed
    )
