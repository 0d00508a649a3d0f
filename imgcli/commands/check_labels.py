"""Labels that are probably wrong, and the plan that corrects them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from imgcli.commands.results import Result

if TYPE_CHECKING:
    from imgcli.evaluation.label_errors import LabelIssue
    from imgcli.evaluation.wrong_labels import WrongLabels
    from imgcli.records import Predictions
    from imgcli.runs import Run

NAME = "labels.json"  # in the run


@dataclass(frozen=True, repr=False)
class LabelsResult(Result):
    """The labels to review of a run's dataset."""

    run: Path
    data: Path
    classes: Mapping[str, int]  # photos per class, of those evaluated
    issues: "tuple[LabelIssue, ...]"  # worst first
    wrong: "WrongLabels"  # how many labels of all are wrong
    expected: float  # how many of the issues
    summary: str  # both, in sentences
    too_few: str | None  # a sentence if there are too few photos to find any
    plan: Path | None  # the relabel plan, for `check --fix`

    def to_json(self) -> dict[str, Any]:
        """What `imgcli check --labels --json` says of labels."""
        from imgcli.files import as_json

        return {
            "dir": str(self.data),
            "photos": sum(self.classes.values()),
            "classes": self.classes,
            "run": str(self.run),
            "data": str(self.data),
            "labels": [as_json(issue) for issue in self.issues],
            "wrong": {**self.wrong.to_json(), "of_listed": self.expected},
            "summary": self.summary,
            "too_few": self.too_few,
            "plan": None if self.plan is None else str(self.plan),
        }


def check_labels(run: "Run", data: Path | None, plan: Path | None) -> LabelsResult:
    """Find labels that are probably wrong, write the plan, and keep the list in the run.

    Raises:
        DataError: the run was evaluated on another dataset.
        RunError: the run has no out-of-fold predictions.
        StorageError: `plan` exists with other content.
    """
    from numpy import bincount

    from imgcli.evaluation import predictions_io
    from imgcli.evaluation.label_errors import labels_sample_size, review_labels
    from imgcli.files import as_json
    from imgcli.photos import relabel
    from imgcli.runs import FOLDS

    data = data or run.data
    predictions = predictions_io.out_of_fold(run, data)
    features = None
    if run.config.model.frozen:
        from imgcli.training.known_features import features_of_run

        features = features_of_run(run, predictions, data)
    review = review_labels(predictions, features)
    issues = review.issues
    documents = [as_json(issue) for issue in issues]
    folder, origins = relabel.origins(data, [issue.path for issue in issues])
    written = relabel.write_plan(plan, folder, origins, documents) if issues else None
    kept = {"predictions": run.digest(FOLDS), "labels": documents, "summary": review.summary}
    run.write_json(NAME, kept)
    sizes = bincount(predictions.targets, minlength=len(predictions.classes)).tolist()
    return LabelsResult(
        run=run.folder,
        data=data,
        classes=dict(zip(predictions.classes, sizes, strict=True)),
        issues=tuple(issues),
        wrong=review.wrong,
        expected=review.expected,
        summary=review.summary,
        too_few=None if issues else labels_sample_size(predictions),
        plan=written,
    )


class KnownIssues(NamedTuple):
    """Labels to review as a document has them, and the sentences on how many are wrong."""

    issues: list[dict[str, Any]]
    summary: str


def known_issues(run: "Run", predictions: "Predictions") -> KnownIssues:
    """The issues of the last `check --labels`; without one, those the probabilities alone show."""
    from imgcli.evaluation.label_errors import review_labels
    from imgcli.files import as_json
    from imgcli.runs import FOLDS

    if (run.folder / NAME).is_file():
        kept = run.read_json(NAME)
        # Not of an evaluation before, nor of an earlier version, which estimated no number.
        if kept.get("predictions") == run.digest(FOLDS) and "summary" in kept:
            return KnownIssues(kept["labels"], kept["summary"])
    review = review_labels(predictions)
    return KnownIssues([as_json(issue) for issue in review.issues], review.summary)
