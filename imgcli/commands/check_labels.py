"""Labels that are probably wrong, and the plan that corrects them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from imgcli.commands.results import Result

if TYPE_CHECKING:
    from imgcli.evaluation.label_effect import LabelEffect
    from imgcli.evaluation.label_errors import LabelIssue, LabelReview
    from imgcli.evaluation.wrong_labels import WrongLabels
    from imgcli.records import FloatArray, Predictions
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
    effect: "LabelEffect | None"  # of correcting the issues; None if no head can be refitted

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
            "effect": self.effect and self.effect.to_json(),
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
    from imgcli.evaluation.label_errors import labels_sample_size
    from imgcli.files import as_json
    from imgcli.photos import relabel

    data = data or run.data
    predictions = predictions_io.out_of_fold(run, data)
    found = find_issues(run, data, predictions, run_features(run, predictions, data))
    review, issues = found.review, found.review.issues
    folder, origins = relabel.origins(data, [issue.path for issue in issues])
    documents = [as_json(issue) for issue in issues]
    written = relabel.write_plan(plan, folder, origins, documents) if issues else None
    sizes = bincount(predictions.targets, minlength=len(predictions.classes)).tolist()
    return LabelsResult(
        run=run.folder,
        data=data,
        classes=dict(zip(predictions.classes, sizes, strict=True)),
        issues=tuple(issues),
        wrong=review.wrong,
        expected=review.expected,
        summary=found.summary,
        effect=found.effect,
        too_few=None if issues else labels_sample_size(predictions),
        plan=written,
    )


def run_features(run: "Run", predictions: "Predictions", data: Path) -> "FloatArray | None":
    """The features of the predicted photos; None of a run without a frozen backbone."""
    if not run.config.model.frozen:
        return None
    from imgcli.training.known_features import features_of_run

    return features_of_run(run, predictions, data)


class FoundLabels(NamedTuple):
    """The labels to review, and what correcting them does."""

    review: "LabelReview"
    effect: "LabelEffect | None"

    @property
    def summary(self) -> str:
        """Both, in sentences."""
        if self.effect is None:
            return self.review.summary
        return f"{self.review.summary} {self.effect.sentence()}"


def find_issues(
    run: "Run", data: Path, predictions: "Predictions", features: "FloatArray | None"
) -> FoundLabels:
    """Find the labels to review, and keep the list in the run."""
    from imgcli.evaluation.label_errors import review_labels
    from imgcli.files import as_json
    from imgcli.runs import FOLDS

    review = review_labels(predictions, features)
    found = FoundLabels(review, _effect(run, data, predictions, review.issues))
    documents = [as_json(issue) for issue in review.issues]
    kept = {"predictions": run.digest(FOLDS), "labels": documents, "summary": found.summary}
    run.write_json(NAME, kept)
    return found


def _effect(
    run: "Run", data: Path, predictions: "Predictions", issues: "Sequence[LabelIssue]"
) -> "LabelEffect | None":
    """What correcting the issues does, by refitting; None for a trained backbone, or no issue."""
    if not issues or not run.config.model.frozen:
        return None
    import numpy as np

    from imgcli.evaluation.label_effect import effect_of_correcting
    from imgcli.training.retrain import relabelled

    after = relabelled(run, data, predictions, {one.index: one.suggestion for one in issues})
    listed = np.flatnonzero(np.isin(predictions.indices, [one.index for one in issues]))
    return effect_of_correcting(predictions, after, listed)


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
