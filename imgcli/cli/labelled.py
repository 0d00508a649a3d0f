"""Photos that are probably labelled wrong, and the plan that gives them other labels."""

from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgcli.records import Predictions
    from imgcli.runs import Run

KEPT = "labels.json"

# What the contact sheet wants to know besides, where only labels were looked at.
UNCHECKED = ("unreadable", "duplicates", "near_duplicates", "distances", "conflicts", "issues")


def look_at_labels(run: "Run", data: Path | None, plan: Path | None) -> dict[str, Any]:
    """Judge the labels of a run's dataset, write the plan, and keep the list in the run.

    Returns:
        A JSON document like that of `check`, of the photos that were judged.

    Raises:
        DataError: the dataset is not the one that the run was judged on.
        RunError: the run has not been judged by folds.
        StorageError: `plan` exists and holds something else.
    """
    from numpy import bincount

    from imgcli.evaluation import predictions_io
    from imgcli.evaluation.label_errors import few_for_labels, label_issues
    from imgcli.files import as_json
    from imgcli.photos import relabel
    from imgcli.runs import FOLDS

    data = data or run.data
    predictions = predictions_io.out_of_fold(run, data)
    features = None
    if run.config.model.frozen:  # else torch is not needed
        from imgcli.training.neighbours import features_of

        features = features_of(run, predictions, data)
    issues = [as_json(issue) for issue in label_issues(predictions, features)]
    folder, origins = relabel.origins(data, [issue["path"] for issue in issues])
    written = relabel.write_plan(plan, folder, origins, issues) if issues else None
    run.write_json(KEPT, {"predictions": run.digest(FOLDS), "labels": issues})
    sizes = bincount(predictions.targets, minlength=len(predictions.classes)).tolist()
    return {
        "dir": str(data),
        "photos": len(predictions),
        "classes": dict(zip(predictions.classes, sizes, strict=True)),
        "run": str(run.folder),
        "data": str(data),
        "labels": issues,
        "too_few": None if issues else few_for_labels(predictions),
        "plan": None if written is None else str(written),
    }


def known_issues(run: "Run", predictions: "Predictions") -> list[dict[str, Any]]:
    """The list of the last `check --labels`; before it, what the probabilities alone say."""
    from imgcli.evaluation.label_errors import label_issues
    from imgcli.files import as_json
    from imgcli.runs import FOLDS

    if (run.folder / KEPT).is_file():
        kept = run.read_json(KEPT)
        if kept.get("predictions") == run.digest(FOLDS):  # else the run was judged again since
            # An earlier version listed photos of the test part too, of folds of all photos.
            return [one for one in kept["labels"] if not one["path"].startswith("test/")]
    return [as_json(issue) for issue in label_issues(predictions)]


def for_the_sheet(document: dict[str, Any]) -> dict[str, Any]:
    """The document as the contact sheet wants it, all paths from its folder."""
    data, root = document["data"], document["dir"]
    labels = [{**one, "path": relpath(f"{data}/{one['path']}", root)} for one in document["labels"]]
    return {**dict.fromkeys(UNCHECKED, ()), "metadata": {}, **document, "labels": labels}
