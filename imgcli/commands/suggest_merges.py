"""`imgcli.suggest_merges`: the classes that a model cannot tell apart."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imgcli.commands.results import Result
from imgcli.errors import Refused, WrongUsage
from imgcli.evaluation.merges.effects import accuracy as accuracy_of
from imgcli.evaluation.merges.effects import macro_precision
from imgcli.evaluation.merges.suggest import disjoint, merges_sample_size
from imgcli.evaluation.merges.suggest import suggest_merges as suggestions_of
from imgcli.evaluation.predictions_io import out_of_fold
from imgcli.progress import note, track
from imgcli.records import MergeSuggestion, Predictions
from imgcli.runs import Run, find_run
from imgcli.text import count, percent

NAME = "merges.json"  # in the run


@dataclass(frozen=True, eq=False, repr=False)
class MergesResult(Result):
    """The merges to consider, best first; none is a good answer."""

    _keys = ("run", "accuracy", "suggestions", "too_few", "splits", "data", "merges")

    run: Path
    data: Path  # the dataset that the run was trained on
    accuracy: float  # before any merge
    suggestions: tuple[MergeSuggestion, ...]
    too_few: str | None  # a sentence if there are too few photos to suggest any
    splits: tuple[Mapping[str, Any], ...] | None  # classes that may be two; None without features

    @property
    def plan(self) -> Path:
        """The plan to edit, for `imgcli.merge(plan=...)`."""
        return self.run / NAME

    @property
    def merges(self) -> list[dict[str, Any]]:
        """Those of the suggestions that can be carried out together, with names for the classes."""
        return [
            {"classes": list(classes), "name": "+".join(classes)}
            for classes in disjoint(self.suggestions)
        ]

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "run", str(self.run)
        yield "accuracy", percent(self.accuracy)
        for suggestion in self.suggestions:
            after = f"accuracy {percent(suggestion.accuracy_after)} if merged"
            photos = count(suggestion.photos, "photo")
            yield " + ".join(suggestion.classes), f"{suggestion.kind}, {photos}, {after}"
        if not self.suggestions:
            yield "suggestions", "none"


def suggest_merges(
    run: str | Path = "latest", *, retrain: bool = False, data: str | Path | None = None
) -> MergesResult:
    """Suggest classes to merge, by the run's out-of-fold predictions, and classes to split.

    The result is stored as merges.json in the run's folder.

    Args:
        run: "latest", a folder's name under runs/, or a path.
        retrain: repeat the folds with each merge; for runs on a frozen backbone.
        data: dataset folder; by default the one the run was trained on.

    Raises:
        WrongUsage: `data` for a run that needs no photos here.
        RunError: the run has no out-of-fold predictions.
        Refused: `retrain`, and the backbone is not frozen.
    """
    found, data = find_run(str(run)), None if data is None else Path(data)
    frozen = found.config.model.frozen
    if data is not None and not (retrain or frozen):
        raise WrongUsage(
            f"--data {data} goes with a run on a frozen backbone; for '{found.folder}' no photo "
            "is needed."
        )
    predictions = out_of_fold(found, data or found.data)
    suggestions = suggestions_of(predictions)
    if retrain and suggestions:
        suggestions = _retrained(found, data, predictions, suggestions)
    result = MergesResult(
        run=found.folder,
        data=found.data,
        accuracy=float((predictions.preds == predictions.targets).mean()),
        suggestions=tuple(suggestions),
        too_few=None if suggestions else merges_sample_size(predictions),
        splits=_splits(found, data, predictions) if frozen else None,
    )
    found.write_json(NAME, result.to_json())
    return result


def _splits(
    run: Run, data: Path | None, predictions: Predictions
) -> tuple[dict[str, Any], ...] | None:
    """The classes whose photos are of two kinds; None if the photos are not there."""
    from imgcli.evaluation.subclasses import suggest_splits
    from imgcli.training.features import features_of

    try:
        features = features_of(run, predictions, data)
    except Refused as error:
        if data is not None:
            raise
        note(f"Classes were not examined for two kinds of photos. {error}")
        return None
    assert features is not None  # the backbone is frozen
    found = suggest_splits(features, predictions.targets, predictions.groups, predictions.classes)
    return tuple(split.to_json(predictions.paths) for split in found)


def _retrained(
    run: Run, data: Path | None, before: Predictions, suggestions: Sequence[MergeSuggestion]
) -> list[MergeSuggestion]:
    """The suggestions with the figures of the folds, trained on the merged classes."""
    from imgcli.training.retrain import retrained

    after = retrained(run, data, before, [suggestion.classes for suggestion in suggestions])
    repeated = track(after, "Retraining", len(suggestions), "merges")
    found = []
    for suggestion, predictions in zip(suggestions, repeated, strict=True):
        figures = {
            "accuracy": accuracy_of(predictions),
            "gain": accuracy_of(predictions) - accuracy_of(before),
            "macro_precision": macro_precision(predictions),
        }
        evidence = {**suggestion.evidence, "retrained": figures}
        found.append(replace(suggestion, evidence=evidence))
    return found
