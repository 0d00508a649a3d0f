"""The photos that a report shows outside the matrix, by their rows in the predictions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imgcli.records import MergeSuggestion, Predictions, Samples

WORST = 24
DRAWN = 24
SUSPECTS = 24
GROUP = 8  # photos of one group of near-duplicates


@dataclass(frozen=True)
class Shown:
    """A photo with its label and its predicted class."""

    path: str
    label: str
    predicted: str
    probability: float  # of the predicted class

    @property
    def correct(self) -> bool:
        return self.label == self.predicted


def shown(predictions: Predictions, rows: Iterable[int]) -> list[Shown]:
    """The photos of these rows."""
    preds = predictions.preds
    return [
        Shown(
            path=predictions.paths[i],
            label=predictions.classes[predictions.targets[i]],
            predicted=predictions.classes[preds[i]],
            probability=float(predictions.probs[i, preds[i]]),
        )
        for i in rows
    ]


def named(predictions: Predictions, paths: Sequence[str]) -> list[Shown]:
    """The photos of these paths."""
    row = {path: i for i, path in enumerate(predictions.paths)}
    return shown(predictions, (row[path] for path in paths))


def worst(predictions: Predictions, most: int = WORST) -> list[Shown]:
    """The most confident errors."""
    wrong = np.flatnonzero(predictions.preds != predictions.targets)
    confidence = predictions.probs[wrong].max(axis=1)
    return shown(predictions, wrong[np.argsort(-confidence, kind="stable")][:most])


def drawn(predictions: Predictions, most: int = DRAWN, seed: int = 0) -> list[Shown]:
    """Photos drawn at random, by their paths."""
    rows = np.random.default_rng(seed).permutation(len(predictions))[:most]
    return shown(predictions, sorted(rows.tolist(), key=lambda i: predictions.paths[i]))


def examples(suggestion: MergeSuggestion) -> list[Shown]:
    """Photos of classes to be merged that were predicted as another of them."""
    return [
        Shown(one["path"], one["class"], one["called"], one["confidence"])
        for one in suggestion.evidence["examples"]
    ]


def suspects(issues: Sequence[Mapping[str, Any]], most: int = SUSPECTS) -> list[Shown]:
    """Photos whose label is to be reviewed, with the suggested one.

    Args:
        issues: of the JSON contract of `check --labels`.
    """
    return [
        Shown(one["path"], one["label"], one["suggestion"], one["suggested_probability"])
        for one in issues[:most]
    ]


@dataclass(frozen=True)
class Group:
    """Near-duplicate photos."""

    paths: list[str]  # of the first GROUP
    labels: list[str]  # of these
    n: int
    classes: list[str]  # more than one: the same photo under two labels

    @property
    def conflict(self) -> bool:
        return len(self.classes) > 1


def groups(samples: Samples) -> list[Group]:
    """All groups of two photos and more, those with several labels first, then the largest."""
    order = np.argsort(samples.groups, kind="stable")
    starts = np.flatnonzero(np.diff(samples.groups[order], prepend=-1))
    several = [rows.tolist() for rows in np.split(order, starts[1:]) if len(rows) > 1]
    found = [_group(samples, rows) for rows in several]
    return sorted(found, key=lambda group: (-len(group.classes), -group.n, group.paths))


def _group(samples: Samples, rows: Sequence[int]) -> Group:
    labels = [samples.classes[samples.targets[i]] for i in rows]
    paths = [samples.paths[i] for i in rows]
    return Group(paths[:GROUP], labels[:GROUP], len(rows), sorted(set(labels)))
