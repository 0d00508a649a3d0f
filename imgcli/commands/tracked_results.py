"""What trackers get of commands that judge a finished run: figures, tables, whole files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgcli.commands.choose import ChooseResult
    from imgcli.commands.tune import TuneResult
    from imgcli.config import TrainConfig
    from imgcli.records import Evaluation
    from imgcli.runs import Run
    from imgcli.tracking.session import TrackedRun
    from imgcli.tracking.tracker import About


@contextmanager
def finished_runs_tracked(
    asked: Sequence[str] | None, runs: "Sequence[Run]"
) -> "Iterator[list[TrackedRun]]":
    """Finished runs, to whose trackers, and to those asked for, results are added.

    Nothing is imported where there are none.
    """
    from imgcli.tracking.about import about_run
    from imgcli.tracking.session import NOT_TRACKED, known_trackers, trackers_of

    if not asked and (asked == () or not any(known_trackers(run.folder) for run in runs)):
        yield [NOT_TRACKED] * len(runs)
        return
    folders = [run.folder for run in runs]
    with trackers_of(asked, *folders) as trackers, ExitStack() as until:
        yield [until.enter_context(trackers.run(about_run(run, adds=True))) for run in runs]


def add_evaluation(
    tracked: "TrackedRun", evaluation: "Evaluation", figures: Iterable[Path]
) -> None:
    """The figures of an evaluation, of each of its folds and of each class, and its drawings."""
    on = "folds" if evaluation.folds else evaluation.on
    names = ("accuracy", "macro_precision", "macro_f1")
    found = {name: getattr(evaluation, name) for name in names}
    ends: dict[str, float] = {f"{on}/n": evaluation.n, f"{on}/ece": evaluation.ece}
    for name, summary in found.items():
        ends[f"{on}/{name}"] = summary.value
        if summary.ci95:
            low, high = summary.ci95
            ends |= {f"{on}/{name}_ci95_low": low, f"{on}/{name}_ci95_high": high}
    by_fold = [found[name].folds or () for name in names]
    for number, values in enumerate(zip(*by_fold, strict=True), start=1):
        part = {f"by_fold/{name}": v for name, v in zip(names, values, strict=True)}
        tracked.log(number, {name: v for name, v in part.items() if v is not None})
    tracked.summary(ends)
    rows = [
        (one.name, one.n, one.predicted, one.precision, one.recall, one.f1)
        for one in evaluation.per_class
    ]
    tracked.table(f"classes-{on}", ["class", "n", "predicted", "precision", "recall", "f1"], rows)
    _add_figures(tracked, figures)


def add_curve(tracked: "TrackedRun", document: Mapping[str, Any], figure: Path) -> None:
    """A learning curve; its steps are numbers of photos."""
    for point in document["points"]:
        tracked.log(round(point["photos"]), {"learning_curve/accuracy": point["accuracy"]})
    tracked.figure(figure.stem, figure)


def about_search(
    config: "TrainConfig", folder: Path, data: Path, searched: Iterable[str]
) -> "About":
    """What trackers are told of a search before it begins."""
    from imgcli.tracking.about import settings_of
    from imgcli.tracking.tracker import About

    fixed = {**settings_of(config), "data": str(data), "searched": ", ".join(searched)}
    return About(folder.name, folder, "tune", fixed)


def add_search(tracked: "TrackedRun", result: "TuneResult") -> None:
    """The trials of a search as a table, the best of them, and its drawings."""
    best = result.best
    tracked.summary({f"best/{name}": best[name] for name in ("number", "value", "loss", "n")})
    names = [*best["choices"]]
    facts = ("number", "state", "value", "loss")
    rows = [
        [*(one[fact] for fact in facts), *(_plain(one["choices"].get(name)) for name in names)]
        for one in result.trials
    ]
    tracked.table("trials", ["number", "state", "accuracy", "loss", *names], rows)
    _add_figures(tracked, [result.folder / file for file in result.files if file.endswith(".png")])


def about_choice(config: "TrainConfig", folder: Path, data: Path, folds: int) -> "About":
    """What trackers are told of a choice between networks before it begins."""
    from imgcli.tracking.about import settings_of
    from imgcli.tracking.tracker import About

    common = {name: value for name, value in settings_of(config).items() if name != "arch"}
    return About(folder.name, folder, "choose", {**common, "data": str(data), "folds": folds})


def add_choice(tracked: "TrackedRun", result: "ChooseResult") -> None:
    """The candidates as a table, best first."""
    columns = ["arch", "status", "n", "accuracy", "images_per_second", "params", "macs"]
    rows = [
        [
            one["accuracy"] and one["accuracy"]["value"] if c == "accuracy" else one[c]
            for c in columns
        ]
        for one in result.candidates
    ]
    tracked.table("candidates", columns, rows)


def _add_figures(tracked: "TrackedRun", files: Iterable[Path]) -> None:
    for file in files:
        tracked.figure(file.stem, file)


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str) or value is None else str(value)
