"""`imgcli suggest-merges`: which classes nobody can tell apart."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcli.cli.options import Json, Quiet, RunData, RunName
from imgcli.errors import Refused, WrongUsage

if TYPE_CHECKING:
    from imgcli.records import MergeSuggestion, Predictions
    from imgcli.runs import Run

Retrain = Annotated[
    bool,
    typer.Option(
        "--retrain",
        help="Run the same folds again with each merge, too: seconds each, for a frozen run.",
    ),
]


def suggest_merges(
    run: RunName = "latest",
    retrain: Retrain = False,
    data: RunData = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Suggest which classes to merge, and which to split.

    Looks at what the model confuses, and only on photos that it had not seen:
    the predictions of the last `imgcli evaluate --folds`. For each suggestion:
    the evidence, accuracy and macro precision after the merge, what it costs,
    photos to look at, and why. An empty list is a good answer.

    A class whose photos are of two kinds is named as well, for a run with a
    frozen backbone: by its features, so the photos must still be there.

    merges.json in the run keeps a plan to edit, for `imgcli merge --plan`.

    Examples:

      imgcli suggest-merges

      imgcli suggest-merges --run latest --retrain --json
    """
    from imgcli.progress import be_quiet
    from imgcli.runs import find_run

    be_quiet(quiet)
    found = find_run(run)
    if data is not None and not (retrain or found.config.model.frozen):
        raise WrongUsage(
            f"--data {data} goes with a run on a frozen backbone; for '{found.folder}' no photo "
            "is needed."
        )
    suggest_and_show(found, retrain=retrain, data=data, json=json)


def suggest_and_show(
    run: "Run", *, retrain: bool = False, data: Path | None = None, json: bool
) -> None:
    """Judge the run's out-of-fold predictions, store the suggestions, and print them."""
    from imgcli.cli.console import show, show_json
    from imgcli.evaluation.merges.suggest import disjoint, few_for_merges, suggest_merges
    from imgcli.evaluation.predictions_io import out_of_fold
    from imgcli.files import as_json
    from imgcli.report.terminal import merges as tables

    predictions = out_of_fold(run, data or run.data)
    accuracy = float((predictions.preds == predictions.targets).mean())
    suggestions = suggest_merges(predictions)
    if retrain and suggestions:
        suggestions = _retrained(run, data, predictions, suggestions)
    splits = _splits(run, data, predictions)
    plan = [
        {"classes": list(classes), "name": "+".join(classes)} for classes in disjoint(suggestions)
    ]
    document: dict[str, Any] = {
        "run": str(run.folder),
        "accuracy": accuracy,
        "suggestions": [as_json(suggestion) for suggestion in suggestions],
        "too_few": None if suggestions else few_for_merges(predictions),
        "splits": splits,
        "data": str(run.data),
        "merges": plan,
    }
    run.write_json("merges.json", document)
    if json:
        show_json(document)
    else:
        kept = run.folder / "merges.json"
        show(*tables.suggestions(suggestions, accuracy, kept, document["too_few"]))
        show(*tables.splits(splits or []))


def _splits(
    run: "Run", data: Path | None, predictions: "Predictions"
) -> "list[dict[str, Any]] | None":
    """Which classes fall apart into two; None where there are no features to tell by."""
    if not run.config.model.frozen:
        return None
    from imgcli.evaluation.subclasses import suggest_splits
    from imgcli.progress import note
    from imgcli.training.neighbours import features_of

    try:
        features = features_of(run, predictions, data)
    except Refused as error:
        if data is not None:
            raise
        note(f"Whether a class is two was not looked at. {error}")
        return None
    assert features is not None  # the backbone is frozen
    found = suggest_splits(features, predictions.targets, predictions.groups, predictions.classes)
    return [split.to_json(predictions.paths) for split in found]


def _retrained(
    run: "Run",
    data: Path | None,
    before: "Predictions",
    suggestions: "Sequence[MergeSuggestion]",
) -> "list[MergeSuggestion]":
    """The suggestions with what the folds say once their classes are one."""
    from imgcli.evaluation.merges.effects import accuracy, macro_precision
    from imgcli.progress import track
    from imgcli.training.retrain import retrained

    merges = [suggestion.classes for suggestion in suggestions]
    again = retrained(run, data, before, merges)
    found = []
    for suggestion, after in zip(
        suggestions, track(again, "Training again", len(merges), "merges"), strict=True
    ):
        figures = {
            "accuracy": accuracy(after),
            "gain": accuracy(after) - accuracy(before),
            "macro_precision": macro_precision(after),
        }
        evidence = {**suggestion.evidence, "retrained": figures}
        found.append(replace(suggestion, evidence=evidence))
    return found
