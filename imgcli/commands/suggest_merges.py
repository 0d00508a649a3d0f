"""`imgcli.suggest_merges`: the classes that a model cannot tell apart."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import join
from typing import Any

from imgcli.commands.results import Tabular
from imgcli.errors import Refused, RunError, WrongUsage
from imgcli.evaluation.merges.effects import accuracy as accuracy_of
from imgcli.evaluation.merges.effects import macro_precision
from imgcli.evaluation.merges.evidence import PairEvidence
from imgcli.evaluation.merges.suggest import confused_classes, disjoint, merges_sample_size
from imgcli.evaluation.predictions_io import out_of_fold
from imgcli.progress import note, track
from imgcli.records import MergeSuggestion, Predictions
from imgcli.report.table_formats import TableRecord
from imgcli.report.table_records import merge_table
from imgcli.run_lookup import find_run
from imgcli.runs import FOLDS, Run, named
from imgcli.text import count, percent

NAME = "merges.json"  # in the run


@dataclass(frozen=True, eq=False, repr=False)
class MergesResult(Tabular):
    """The merges to consider, best first; none is a good answer."""

    _keys = (
        *("run", "accuracy", "suggestions", "confused", "undecided"),
        *("too_few", "splits", "data", "merges"),
    )

    run: Path
    data: Path  # the dataset that the run was trained on, or other photos
    accuracy: float  # before any merge
    suggestions: tuple[MergeSuggestion, ...]
    confused: tuple[Mapping[str, Any], ...]  # pairs that are no merge, the worst first
    undecided: tuple[Mapping[str, Any], ...]  # pairs of too few photos to tell
    too_few: str | None  # a sentence if there are too few photos to suggest any
    splits: tuple[Mapping[str, Any], ...] | None  # classes that may be two; None without features
    kept_in: Path | None = None  # the folder of the plan, of other photos; None in the run's

    @property
    def plan(self) -> Path:
        """The plan to edit, for `imgcli.merge(plan=...)`."""
        return (self.kept_in or self.run) / NAME

    @property
    def merges(self) -> list[dict[str, Any]]:
        """Those of the suggestions that can be carried out together, with names for the classes."""
        return [
            {"classes": list(classes), "name": "+".join(classes)}
            for classes in disjoint(self.suggestions)
        ]

    def tables(self) -> dict[str, TableRecord]:
        """The table "suggestions"."""
        return {"suggestions": merge_table(self.suggestions, self.accuracy)}

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
        data: dataset folder; by default the one the run was trained on. Of other photos, the folds
            are those of `imgcli.evaluate(folds, data=data)`, and no photo is opened.

    Raises:
        WrongUsage: `data` for a run that needs no photos here, or `retrain` of other photos.
        RunError: the run has no out-of-fold predictions, of its own dataset or of `data`.
        Refused: `retrain`, and the backbone is not frozen.
    """
    found, data = find_run(str(run)), None if data is None else Path(data)
    frozen = found.config.model.frozen
    if data is not None and (other := _evaluated_on_other(found, data)):
        if retrain:
            raise WrongUsage(
                f"--retrain repeats the folds of the run's own dataset, and '{data}' is not it. "
                f"Train on '{data}' to use it, or leave it out."
            )
        return _of_other(found, data, other)
    if data is not None and not (retrain or frozen):
        raise WrongUsage(
            f"--data {data} goes with a run on a frozen backbone; for '{found.folder}' no photo "
            "is needed."
        )
    predictions = out_of_fold(found, data or found.data)
    confused = confused_classes(predictions)
    suggestions = confused.merges
    if retrain and suggestions:
        suggestions = _retrained(found, data, predictions, suggestions)
    result = MergesResult(
        run=found.folder,
        data=found.data,
        accuracy=float((predictions.preds == predictions.targets).mean()),
        suggestions=tuple(suggestions),
        confused=_pairs_json(confused.others),
        undecided=_pairs_json(confused.undecided),
        too_few=None if suggestions else merges_sample_size(predictions),
        splits=_splits(found, data, predictions) if frozen else None,
    )
    found.write_json(NAME, result.to_json())
    return result


def _evaluated_on_other(run: Run, data: Path) -> Run | None:
    """Where the folds of other photos are kept; None for the run's own dataset.

    Raises:
        RunError: the run was not evaluated by folds on those photos.
    """
    from imgcli.training.other_data import folder_of_other, is_own

    kept = Run(folder_of_other(run, data))
    if (kept.folder / FOLDS).is_file():
        return kept
    if data.is_dir() and not is_own(run, data):
        evaluate = ["imgcli", "evaluate", "--run", named(run), "--folds", "10", "--data", str(data)]
        raise RunError(
            f"'{data}' is not the dataset of the run '{run.folder}', which has no out-of-fold "
            f"predictions of its photos. Make them first: {join(evaluate)}"
        )
    return None


def _of_other(run: Run, data: Path, kept: Run) -> MergesResult:
    """The suggestions for the classes of other photos."""
    predictions = out_of_fold(kept, data)
    confused = confused_classes(predictions)
    result = MergesResult(
        run=run.folder,
        data=data,
        accuracy=float((predictions.preds == predictions.targets).mean()),
        suggestions=tuple(confused.merges),
        confused=_pairs_json(confused.others),
        undecided=_pairs_json(confused.undecided),
        too_few=None if confused.merges else merges_sample_size(predictions),
        splits=None,
        kept_in=kept.folder,
    )
    kept.write_json(NAME, result.to_json())
    return result


def _pairs_json(pairs: Sequence[PairEvidence]) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"classes": list(pair.classes), **pair.to_json(), "reason": pair.reason()} for pair in pairs
    )


def _splits(
    run: Run, data: Path | None, predictions: Predictions
) -> tuple[dict[str, Any], ...] | None:
    """The classes whose photos are of two kinds; None if the photos are not there."""
    from imgcli.evaluation.subclasses import suggest_splits
    from imgcli.training.known_features import features_of_run

    try:
        features = features_of_run(run, predictions, data)
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
