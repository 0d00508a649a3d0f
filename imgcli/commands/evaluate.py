"""Estimate the error of a run: by cross-validation, or on the sealed test part."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from imgcli.commands.folders import names, optional_table
from imgcli.commands.results import Tabular, image_html
from imgcli.commands.tracked_results import add_evaluation, finished_runs_tracked
from imgcli.config import check_device
from imgcli.errors import WrongUsage
from imgcli.folder_names import AS_FOUND, Levels
from imgcli.text import interval, listed, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from imgcli.config import GroupBy
    from imgcli.evaluation.costs import CostFigures
    from imgcli.records import (
        ClassFigures,
        Evaluation,
        FloatArray,
        IntArray,
        OtherPhotos,
        Predictions,
        Scored,
        Summary,
    )
    from imgcli.report.table_formats import TableRecord
    from imgcli.runs import Run
    from imgcli.tracking.session import TrackedRun

Drawing = Literal["confusion", "precision", "reliability", "folds"]


@dataclass(frozen=True, eq=False, repr=False)
class EvaluateResult(Tabular):
    """The figures of a run, each with its 95 % interval; of several runs, of their average."""

    runs: tuple[Path, ...]
    evaluation: "Evaluation"
    predictions: "Predictions"  # out-of-fold, or of the test part
    document: Mapping[str, Any]  # of the JSON contract
    test_evaluations: int | None  # of the test part so far; None if this one did not score it
    leaks: int  # groups of duplicates in the test part and outside it
    figures: tuple[Path, ...] = ()  # stored in the run's folder
    ungrouped: "Evaluation | None" = None  # with `compare_ungrouped`
    cost: "CostFigures | None" = None  # with `cost`

    @property
    def run(self) -> Path:
        """The run's folder; of several, the first."""
        return self.runs[0]

    @property
    def n(self) -> int:
        """How many photos were scored."""
        return self.evaluation.n

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the K classes."""
        return self.evaluation.classes

    @property
    def accuracy(self) -> "Summary":
        """Share of the photos predicted correctly."""
        return self.evaluation.accuracy

    @property
    def macro_precision(self) -> "Summary":
        """Mean of the classes' precisions."""
        return self.evaluation.macro_precision

    @property
    def macro_f1(self) -> "Summary":
        """Mean of the classes' F1."""
        return self.evaluation.macro_f1

    @property
    def confusion(self) -> "IntArray":
        """(K, K): row i, column j counts photos of class i predicted as j."""
        return self.evaluation.confusion

    @property
    def per_class(self) -> "tuple[ClassFigures, ...]":
        """Precision, recall and F1 of each class."""
        return self.evaluation.per_class

    @property
    def paths(self) -> tuple[str, ...]:
        """(M,) the photos that were scored, relative to the dataset."""
        return self.predictions.paths

    @property
    def probs(self) -> "FloatArray":
        """(M, K) the probability of each class; rows sum to 1."""
        return self.predictions.probs

    @property
    def targets(self) -> "IntArray":
        """(M,) true classes, as positions in `classes`."""
        return self.predictions.targets

    @property
    def preds(self) -> "IntArray":
        """(M,) the most probable class of each photo, as positions in `classes`."""
        return self.predictions.preds

    @property
    def precision(self) -> "FloatArray":
        """(K,) of each class, a share of 1; NaN for a class that was never predicted."""
        return self._of_classes("precision")

    @property
    def recall(self) -> "FloatArray":
        """(K,) of each class, a share of 1; NaN for a class without photos."""
        return self._of_classes("recall")

    @property
    def f1(self) -> "FloatArray":
        """(K,) of each class, between 0 and 1."""
        return self._of_classes("f1")

    @property
    def support(self) -> "IntArray":
        """(K,) photos of each class."""
        import numpy as np

        return np.array([one.n for one in self.per_class], dtype=np.int64)

    def _of_classes(self, figure: str) -> "FloatArray":
        import numpy as np

        values = [getattr(one, figure) for one in self.per_class]
        return np.array([np.nan if value is None else value for value in values])

    def tables(self) -> "dict[str, TableRecord]":
        """The tables "classes", "figures", "confusion" and "photos"."""
        from imgcli.report.table_records import evaluation_tables
        from imgcli.report.terminal.evaluation import measured_on

        on = measured_on(self.evaluation)
        return evaluation_tables(self.evaluation, self.predictions, self.document, on)

    def figure(self, name: Drawing = "confusion") -> "Figure":
        """A figure as the command stores it: "confusion", "precision", "reliability" or "folds".

        Raises:
            WrongUsage: there is no such figure; "folds" has an evaluation by folds only.
        """
        drawings = drawings_of(self.evaluation, self.predictions)
        if name not in drawings:
            raise WrongUsage(f"No figure '{name}'; there are {listed(list(drawings))}.")
        return drawings[name]()

    def _repr_html_(self) -> str:
        return f"{super()._repr_html_()}{image_html(self.figure())}"

    def to_json(self) -> dict[str, Any]:
        return dict(self.document)

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "run", str(self.document["run"])
        folds = f", {self.evaluation.folds} folds" if self.evaluation.folds else ""
        yield "evaluated on", f"{self.evaluation.on}{folds} (n = {self.n:,})"
        for name in ("accuracy", "macro_precision", "macro_f1"):
            found: Summary = getattr(self, name)
            yield name, f"{percent(found.value)} (95 % interval {interval(found.ci95)})"


def evaluate(
    folds: int | None = None,
    *,
    repeats: int = 1,
    run: str | Path | Sequence[str | Path] = "latest",
    on: Literal["train", "all"] = "train",
    data: str | Path | None = None,
    seed: int | None = None,
    device: str = "auto",
    group_by: str | Sequence[str] | None = None,
    group_table: str | Path | None = None,
    compare_ungrouped: bool = False,
    classes_at: str | int | None = None,
    parts: Mapping[str, str] | Sequence[str] = (),
    track: str | Sequence[str] | None = None,
    cost: str | Path | None = None,
) -> EvaluateResult:
    """Estimate the error of a run by K folds, or score the sealed test part.

    Figures of one run are drawn and stored in its folder; of several runs the predicted
    probabilities are averaged and nothing is stored.

    Args:
        folds: number of folds of the train part; None scores the test part, and the ledger in runs/
            counts it.
        repeats: number of times that folds are assigned; figures are pooled over them.
        run: "latest", a folder's name under runs/, a path, or several of these.
        on: what the folds divide: the train part, or all photos.
        data: dataset or class folders; by default the dataset the run was trained on. Others are
            scored by class name, or with `folds` trained on by the run's config, with their own
            classes; their figures are kept under other-data/ in the run's folder.
        seed: of the assignment to folds; by default the run's.
        group_by: photos to keep in one fold, and to count once in intervals, as for `split`; by
            default those of the run or of the dataset's split.
        group_table: the table of "column:NAME".
        classes_at: the level of the class folders below other photos' `data`, or a pattern; of the
            run's own dataset, the run knows it.
        parts: the part that each of its folder names means, as for `import_photos`.
        track: what is told of it beside the trackers of the run, as for `train`; "none": nothing.
        cost: a table of what mistakes cost; what answers cost is given with its interval.
        compare_ungrouped: cross-validate once more by photos, near-duplicates alone kept together.

    Raises:
        ImgcliError: what the command line would say.
    """
    if folds is None and on == "all":
        raise WrongUsage("--on all goes with --folds; without folds the test part is scored.")
    levels = Levels.of(classes_at, parts)
    if levels != AS_FOUND and data is None:
        raise WrongUsage(
            "--classes-at and --parts are about the folders of other photos: name them with --data."
        )
    if repeats < 1:
        raise WrongUsage(f"--repeats {repeats} must be at least 1.")
    if folds is None and repeats > 1:
        raise WrongUsage("--repeats goes with --folds; the test part is scored once.")
    if folds is None and compare_ungrouped:
        raise WrongUsage("--compare-ungrouped goes with --folds, which can be made either way.")

    from imgcli.files import need_writable
    from imgcli.photos.dataset import refuse_missing
    from imgcli.run_lookup import find_runs
    from imgcli.tracking.session import chosen_trackers

    follow = chosen_trackers(track)
    runs = find_runs(names(run))
    data = None if data is None else Path(data)
    check_device(device)
    cost = optional_table(cost, "--cost")
    for one in runs:
        refuse_missing(one.data if data is None else data)
        need_writable(one.folder)

    asked = _Asked(data, on, folds, seed, device, repeats, _grouping(group_by, group_table), levels)
    by = [_grouped_by(one, asked) for one in runs]
    if compare_ungrouped and not all(by):
        raise WrongUsage(
            "--compare-ungrouped has nothing to compare: no photos are grouped. Say which belong "
            "together with --group-by, such as '(p[0-9]+)_' or column:patient."
        )
    owns = [_is_own(one, data) for one in runs]
    for one, own in zip(runs, owns, strict=True):
        _refuse_levels_of_own(one, own, asked)
    with finished_runs_tracked(follow, runs) as tracked:
        return _evaluated(
            runs, owns, asked, by, tracked, compare_ungrouped=compare_ungrouped, cost=cost
        )


def _evaluated(
    runs: "Sequence[Run]",
    owns: Sequence[bool],
    asked: "_Asked",
    by: Sequence[tuple[str, ...]],
    tracked: "Sequence[TrackedRun]",
    *,
    compare_ungrouped: bool,
    cost: Path | None,
) -> EvaluateResult:
    from imgcli.evaluation.evaluate import average
    from imgcli.evaluation.evaluate import evaluate as figures_of
    from imgcli.evaluation.predictions_io import with_training_figures

    each = [
        _score(one, asked, follower, own=own)
        for one, own, follower in zip(runs, owns, tracked, strict=True)
    ]
    predictions = average([one.predictions for one in each])
    further = [average(repeat) for repeat in zip(*(one.repeats for one in each), strict=True)]
    train_confusions = each[0].train_confusions if len(runs) == 1 else None
    evaluation = figures_of(predictions, train_confusions, repeats=further)
    other, own = each[0].other, owns[0]
    if asked.folds is None and len(runs) == 1 and own:
        evaluation = with_training_figures(evaluation, runs[0])
    document = _document(runs, evaluation, predictions, further)
    if not own:
        document |= {"data": str(asked.data), **(_other_json(other) if other else {})}
    document["grouped_by"] = list(by[0])
    ungrouped = None
    if compare_ungrouped:
        ungrouped = _ungrouped(runs, owns, asked)
        document["ungrouped"] = _beside(ungrouped)
    paid = None if cost is None else _paid(cost, runs, [one.predictions for one in each])
    if paid is not None:
        document["cost"] = paid.to_json()
    figures: tuple[Path, ...] = ()
    if len(runs) == 1:
        document["calibration"] = _calibrate(runs[0], predictions, own)
        if own and predictions.folds:
            from imgcli.commands.novelty import keep_novelty
            from imgcli.evaluation.predictions_io import for_decisions

            keep_novelty(runs[0], for_decisions(predictions), asked.data, asked.device)
        store = runs[0] if own else _beside_own(runs[0], asked)
        store.write_json("evaluation.json", document)
        figures = _draw(store, evaluation, predictions)
        if own:
            add_evaluation(tracked[0], evaluation, figures)
    return EvaluateResult(
        runs=tuple(one.folder for one in runs),
        evaluation=evaluation,
        predictions=predictions,
        document=document,
        test_evaluations=max((one.times for one in each if one.times is not None), default=None),
        leaks=max(one.leaks for one in each),
        figures=figures,
        ungrouped=ungrouped,
        cost=paid,
    )


def _paid(
    table: Path, runs: "Sequence[Run]", predictions: "Sequence[Predictions]"
) -> "CostFigures":
    """What answers to these photos cost, by probabilities calibrated as those of new photos are."""
    from imgcli.evaluation.calibration import calibrated, helpful_temperature, temperature_of
    from imgcli.evaluation.costs import cost_figures, read_costs
    from imgcli.evaluation.evaluate import average

    scaled = [
        helpful_temperature(one)[1]
        if one.folds
        else replace(one, probs=calibrated(one.probs, temperature_of(run)))
        for run, one in zip(runs, predictions, strict=True)
    ]
    together = average(scaled)
    return cost_figures(together, read_costs(table, together.classes))


def _grouping(group_by: str | Sequence[str] | None, table: str | Path | None) -> "GroupBy | None":
    """What joins photos into groups; None leaves it to the run."""
    from imgcli.config import GroupBy
    from imgcli.photos.grouping import check_group_by

    if not group_by and table is None:
        return None
    specs = (group_by,) if isinstance(group_by, str) else tuple(group_by or ())
    found = GroupBy(specs, None if table is None else str(table))
    check_group_by(found)
    return found


@dataclass(frozen=True)
class _Asked:
    """What is evaluated: the photos, and how they are divided."""

    data: Path | None  # None: the run's own
    on: str
    folds: int | None  # None: the test part, or all of other photos
    seed: int | None
    device: str
    repeats: int
    grouping: "GroupBy | None"  # None: the run's
    levels: Levels  # of other photos

    def folds_of(
        self,
        run: "Run",
        grouping: "GroupBy | None",
        tracked: "TrackedRun | None" = None,
        *,
        own: bool,
    ) -> "Scored":
        """A cross-validation by the run's config."""
        from imgcli.tracking.session import NOT_TRACKED
        from imgcli.training.scoring import score_folds

        assert self.folds is not None
        return score_folds(
            run,
            self.data,
            self.on,
            self.folds,
            self.seed,
            self.device,
            self.repeats,
            grouping,
            other=None if own else self.levels,
            tracked=tracked or NOT_TRACKED,
        )


def _is_own(run: "Run", data: Path | None) -> bool:
    """Whether the photos are those of the run's own dataset."""
    from imgcli.training.other_data import is_own

    return is_own(run, data)


def _refuse_levels_of_own(run: "Run", own: bool, asked: _Asked) -> None:
    """Refuse another reading of the run's own dataset: its classes would be others."""
    from imgcli.photos.dataset import levels_of

    config = run.config.data
    if own and asked.levels not in (AS_FOUND, levels_of(config)):
        raise WrongUsage(
            f"'{asked.data}' is the run's own dataset, and the run '{run.folder}' knows which of "
            "its folders are the classes and the parts. Leave out --classes-at and --parts, or "
            "train again with them."
        )


def _beside_own(run: "Run", asked: _Asked) -> "Run":
    """Where an evaluation on other photos is kept."""
    from imgcli.training.other_data import place_of_other

    assert asked.data is not None
    return place_of_other(run, asked.data)


def _grouped_by(run: "Run", asked: _Asked) -> tuple[str, ...]:
    from imgcli.photos.dataset import grouped_by

    grouping = run.config.data.grouping if asked.grouping is None else asked.grouping
    return grouped_by(run.data if asked.data is None else asked.data, grouping)


def _ungrouped(runs: "Sequence[Run]", owns: Sequence[bool], asked: _Asked) -> "Evaluation":
    """The same evaluation by photos: near-duplicates alone are kept together."""
    from imgcli.config import GroupBy
    from imgcli.evaluation.evaluate import average
    from imgcli.evaluation.evaluate import evaluate as figures_of

    by_photos = GroupBy(only_duplicates=True)
    each = [asked.folds_of(one, by_photos, own=own) for one, own in zip(runs, owns, strict=True)]
    further = [average(repeat) for repeat in zip(*(one.repeats for one in each), strict=True)]
    return figures_of(average([one.predictions for one in each]), repeats=further)


def _beside(evaluation: "Evaluation") -> dict[str, Any]:
    """The figures of an evaluation that another is compared with."""
    from imgcli.evaluation.evaluate import evaluation_json

    kept = ("folds", "n", "accuracy", "macro_precision", "macro_f1", "macro_over")
    found = evaluation_json(evaluation)
    return {name: found[name] for name in kept}


def _score(run: "Run", asked: _Asked, tracked: "TrackedRun", *, own: bool) -> "Scored":
    """The run's predictions, as they are stored or made now."""
    from imgcli.commands.stored_scores import stored_folds, stored_test

    data, device, grouping = asked.data, asked.device, asked.grouping
    if not own:
        if asked.folds is not None:
            return asked.folds_of(run, grouping, own=False)
        from imgcli.training.scoring import score_other

        assert data is not None
        return score_other(run, data, device, asked.levels)
    stored = None
    if asked.folds is None:
        stored = stored_test(run, data, device, grouping)
    elif asked.on == "train":  # of all photos, each evaluation is counted
        stored = stored_folds(run, data, asked.folds, asked.seed, device, asked.repeats, grouping)
    if stored is not None:
        return stored
    if asked.folds is not None:
        return asked.folds_of(run, grouping, tracked, own=True)
    from imgcli.training.scoring import score_test

    return score_test(run, data, device, grouping)


def _document(
    runs: "Sequence[Run]",
    evaluation: "Evaluation",
    predictions: "Predictions",
    repeats: "Sequence[Predictions]",
) -> dict[str, Any]:
    from imgcli.commands.learning_curve import is_probe, known_curve
    from imgcli.evaluation.evaluate import (
        evaluation_json,
        gap_sentence,
        per_repeat,
        scores,
        scores_json,
    )

    return {
        "run": " + ".join(str(run.folder) for run in runs),
        **evaluation_json(evaluation),
        **scores_json(scores(predictions, repeats=repeats)),
        "gap": gap_sentence(
            evaluation, all(is_probe(run) for run in runs), known_curve(runs[0], evaluation)
        ),
        "repeats": 1 + len(repeats),
        "per_repeat": per_repeat([predictions, *repeats]),
        "groups": len(set(predictions.groups.tolist())),
    }


def _other_json(other: "OtherPhotos") -> dict[str, Any]:
    return {
        "part": other.part,
        "left_out": [{"class": o.name, "n": o.n, "reason": o.reason} for o in other.left_out],
        "absent": list(other.absent),
    }


def _calibrate(run: "Run", predictions: "Predictions", own: bool) -> dict[str, Any] | None:
    """The run's calibration; its own out-of-fold predictions fit its temperature, which is kept."""
    from imgcli.evaluation import calibration
    from imgcli.evaluation.predictions_io import for_decisions, noted_for_decisions

    if predictions.folds and not own:  # networks of their own: the run's temperature stays
        return calibration.calibration_json(for_decisions(predictions))
    if predictions.folds:
        found = calibration.calibration_json(noted_for_decisions(run, predictions))
        run.write_json(calibration.NAME, {**found, "predictions": calibration.made_of(run)})
        return found
    if not (run.folder / calibration.NAME).is_file():
        return None  # predict takes the probabilities as they are
    return calibration.checked_json(predictions, calibration.temperature_of(run))


def drawings_of(
    evaluation: "Evaluation", predictions: "Predictions"
) -> "dict[str, Callable[[], Figure]]":
    """What draws each figure of an evaluation."""

    def confusion() -> "Figure":
        from imgcli.report.plots.confusion import confusion

        return confusion(evaluation)

    def precision() -> "Figure":
        from imgcli.report.plots.evaluation import precision

        return precision(evaluation)

    def reliability() -> "Figure":
        from imgcli.evaluation.calibration import reliability as bins_of
        from imgcli.report.plots.evaluation import reliability

        return reliability(evaluation, bins_of(predictions))

    def folds() -> "Figure":
        from imgcli.report.plots.evaluation import folds

        return folds(evaluation)

    drawings = {"confusion": confusion, "precision": precision, "reliability": reliability}
    return {**drawings, "folds": folds} if evaluation.folds else drawings


def _draw(run: "Run", evaluation: "Evaluation", predictions: "Predictions") -> tuple[Path, ...]:
    """Store the figures of an evaluation with its run; those that are there stay."""
    from imgcli.report.plots.drawn import draw_changed

    suffix = "" if evaluation.folds else f"-{evaluation.on}"
    drawings = {
        name if name == "folds" else f"{name}{suffix}": draw
        for name, draw in drawings_of(evaluation, predictions).items()
    }
    scored = (predictions.targets, predictions.probs, predictions.groups)
    stored = draw_changed(run.folder / "figures", drawings, [evaluation, *scored])
    return tuple(figure.png for figure in stored.values())
