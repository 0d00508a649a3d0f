"""The figures of a report, kept in the run's folder and drawn again only when they change."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from imgcli.commands.learning_curve import FIGURE as LEARNING_CURVE
from imgcli.commands.learning_curve import draw_curve, stored_curve
from imgcli.report.page.context import Evaluated
from imgcli.report.plots.drawn import StoredFigure, draw_changed
from imgcli.runs import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class _Drawings:
    """Figures that show the same."""

    draw: "Mapping[str, Callable[[], Figure]]"  # by name
    shown: Any  # as of `draw_changed`


def report_figures(run: Run, evaluated: Evaluated | None) -> dict[str, StoredFigure]:
    """The figures that there are data for, in the order of the page.

    Raises:
        RunError: the history or the learning curve is damaged.
    """
    found: dict[str, StoredFigure] = {}
    for drawings in _drawings(run, evaluated):
        found |= draw_changed(run.folder / "figures", drawings.draw, drawings.shown)
    return found


def _drawings(run: Run, evaluated: Evaluated | None) -> Iterator[_Drawings]:
    if evaluated is not None:
        yield _of_evaluation(evaluated)
        yield from _of_classes(evaluated)
    yield from _of_training(run)
    if (document := stored_curve(run)) is not None:
        yield _Drawings({LEARNING_CURVE: partial(draw_curve, document)}, document)


def _of_evaluation(evaluated: Evaluated) -> _Drawings:
    """What `imgcli evaluate` has drawn already, of the same."""
    from imgcli.commands.evaluate import drawings_of

    evaluation, predictions = evaluated.evaluation, evaluated.predictions
    drawings = drawings_of(evaluation, predictions)
    names = [name for name in ("folds", "precision", "reliability") if name in drawings]
    scored = (predictions.targets, predictions.probs, predictions.groups)
    return _Drawings({name: drawings[name] for name in names}, [evaluation, *scored])


def _of_classes(evaluated: Evaluated) -> Iterator[_Drawings]:
    """The class map; none of too few classes."""
    from imgcli.report.plots.class_map import class_map, has_map

    predictions, confusion = evaluated.predictions, evaluated.evaluation.confusion

    def draw() -> "Figure":
        figure = class_map(predictions, confusion)
        assert figure is not None, "there are classes enough"
        return figure

    if has_map(confusion):
        shown = [predictions.classes, predictions.targets, predictions.probs, confusion]
        yield _Drawings({"map": draw}, shown)


def _of_training(run: Run) -> Iterator[_Drawings]:
    """Loss and accuracy by epoch; none where a head was fitted on frozen features in one step."""
    from imgcli.report.plots import training

    rows = training.rows(run)
    if run.config.optim.is_probe or len({row["epoch"] for row in rows}) < 2:
        return
    kept = run.read_json("model.json").get("kept_epoch")
    yield _Drawings({"history": lambda: training.history(rows, kept)}, [rows, kept])
