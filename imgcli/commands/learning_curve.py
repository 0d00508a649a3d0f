"""Estimate what more photos would bring."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcli.commands.results import Tabular, image_html
from imgcli.commands.tracked_results import add_curve, finished_runs_tracked
from imgcli.config import check_device
from imgcli.text import interval, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from imgcli.records import Evaluation
    from imgcli.report.table_formats import TableRecord
    from imgcli.runs import Run
    from imgcli.tracking.session import TrackedRun

NAME = "learning-curve.json"  # in the run
FIGURE = "learning-curve"  # in its figures


@dataclass(frozen=True, eq=False, repr=False)
class LearningCurveResult(Tabular):
    """Accuracy by the number of training photos, and the accuracy expected of more."""

    run: Path
    folds: int
    n: int  # photos evaluated
    points: list[dict[str, Any]]  # {"photos", "accuracy", "ci95"}
    times: float  # how many times the photos `expected` is for
    expected: Mapping[str, Any]  # {"accuracy", "ci95"}
    per_class: list[dict[str, Any]]
    sentence: str
    figure: Path
    document: Mapping[str, Any]  # of the JSON contract

    def to_json(self) -> dict[str, Any]:
        return dict(self.document)

    def tables(self) -> "dict[str, TableRecord]":
        """The tables "points", the last of which is expected, and "classes"."""
        from imgcli.report.table_records import curve_tables

        return curve_tables(self.document)

    def _repr_html_(self) -> str:
        return f"{super()._repr_html_()}{image_html(draw_curve(self.document))}"

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "run", str(self.run)
        expected = {"photos": self.times * self.points[-1]["photos"], **self.expected}
        for point, name in [*((point, "photos") for point in self.points), (expected, "expected")]:
            accuracy = f"{percent(point['accuracy'])} ({interval(point['ci95'])})"
            yield f"{point['photos']:,.0f} {name}", accuracy
        yield "conclusion", self.sentence


def learning_curve(
    run: str | Path = "latest",
    *,
    folds: int = 5,
    data: str | Path | None = None,
    seed: int | None = None,
    device: str = "auto",
    track: str | Sequence[str] | None = None,
) -> LearningCurveResult:
    """Cross-validate on growing shares of the photos, and extrapolate to twice as many.

    Needs a run with a frozen backbone. The document and the figure are stored in its folder.

    Args:
        folds: number of folds of the train part.
        data: dataset folder; by default the one the run was trained on.
        seed: of the assignment to folds; by default the run's.
        track: what is told of it beside the trackers of the run, as for `train`; "none": nothing.

    Raises:
        ImgcliError: what the command line would say.
    """
    from imgcli.files import need_writable
    from imgcli.photos.dataset import refuse_missing
    from imgcli.run_lookup import find_run
    from imgcli.tracking.session import chosen_trackers

    follow = chosen_trackers(track)
    chosen, data = find_run(str(run)), None if data is None else Path(data)
    check_device(device)
    refuse_missing(data or chosen.data)
    need_writable(chosen.folder)

    with finished_runs_tracked(follow, [chosen]) as (tracked,):
        return _curve(chosen, data, folds, seed, device, tracked)


def is_probe(run: "Run") -> bool:
    """Whether its training fitted a head to its optimum on a frozen backbone."""
    return run.config.model.frozen and run.config.optim.is_probe


def known_curve(run: "Run", evaluation: "Evaluation") -> str | None:
    """What the run's learning curve says of more photos; None without one of these photos."""
    kept = stored_curve(run)
    if kept is None:
        return None
    same = evaluation.on == "train" and kept.get("n") == evaluation.n
    return kept.get("sentence") if same else None


def _curve(
    chosen: "Run",
    data: Path | None,
    folds: int,
    seed: int | None,
    device: str,
    tracked: "TrackedRun",
) -> LearningCurveResult:
    from imgcli.evaluation import learning_curve as evaluation
    from imgcli.report.plots.drawn import draw_changed
    from imgcli.training.learning_curve import answers_by_share

    answers = answers_by_share(chosen, data, folds, seed, device)
    found = evaluation.learning_curve(
        answers.classes, answers.photos, answers.right, answers.targets, answers.groups, folds
    )
    document = {"run": str(chosen.folder), "folds": folds, "n": len(answers.targets), **found}
    document["sentence"] = evaluation.curve_sentence(document)
    chosen.write_json(NAME, document)
    drawing = {FIGURE: partial(draw_curve, document)}
    figure = draw_changed(chosen.folder / "figures", drawing, document)[FIGURE].png
    add_curve(tracked, document, figure)
    return LearningCurveResult(
        run=chosen.folder,
        figure=figure,
        document=document,
        **{
            name: document[name]
            for name in ("folds", "n", "points", "times", "expected", "per_class", "sentence")
        },
    )


def stored_curve(run: "Run") -> dict[str, Any] | None:
    """The document of the run's learning curve; None where none was made.

    Raises:
        RunError: it is damaged.
    """
    return run.read_json(NAME) if (run.folder / NAME).is_file() else None


def draw_curve(document: Mapping[str, Any]) -> "Figure":
    """The figure of a learning curve's document."""
    from imgcli.report.plots.training import learning_curve

    return learning_curve(document)
