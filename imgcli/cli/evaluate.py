"""`imgcli evaluate`: how good a run is, give or take what."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from imgcli.cli.options import Device, FoldSeed, Json, Quiet, RunData, RunNames
from imgcli.errors import WrongUsage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imgcli.records import Evaluation, Predictions
    from imgcli.runs import Run
    from imgcli.training.pipeline import Scored

Folds = Annotated[
    int | None,
    typer.Option(
        "--folds",
        metavar="K",
        show_default=False,
        help="Estimate the error by K folds of the train part. Without it the sealed test part is "
        "scored, once.",
    ),
]
Repeats = Annotated[
    int,
    typer.Option(
        "--repeats", metavar="R", help="Deal the folds R times; all figures are pooled over them."
    ),
]
On = Annotated[
    Literal["train", "all"],
    typer.Option("--on", help="What the folds divide: the train part, or the test part too."),
]


def evaluate(
    folds: Folds = None,
    repeats: Repeats = 1,
    run: RunNames = ["latest"],  # noqa: B006
    on: On = "train",
    data: RunData = None,
    seed: FoldSeed = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say how good a run is, give or take what.

    With --folds the run's own recipe is trained K times, each time judged on
    the photos it has not seen, near-duplicates kept together; folds that are
    done already are not done again. Without, the test part is scored and the
    ledger in runs/ counts how often that has happened.

    Examples:

      imgcli evaluate --folds 10

      imgcli evaluate --folds 10 --repeats 5

      imgcli evaluate --run latest

      imgcli evaluate --folds 5 --run ONE --run ANOTHER
    """
    from imgcli.progress import be_quiet
    from imgcli.runs import find_runs

    be_quiet(quiet)
    if folds is None and on == "all":
        raise WrongUsage("--on all goes with --folds; without folds the test part is scored.")
    if repeats < 1:
        raise WrongUsage(f"--repeats {repeats} must be at least 1.")
    if folds is None and repeats > 1:
        raise WrongUsage("--repeats goes with --folds; the test part is scored once.")
    runs = find_runs(run)
    evaluate_and_show(runs, data, folds, on, seed, device, repeats=repeats, json=json)


def evaluate_and_show(
    runs: "Sequence[Run]",
    data: Path | None,
    folds: int | None,
    on: str,
    seed: int | None,
    device: str,
    *,
    json: bool,
    repeats: int = 1,
) -> "Evaluation":
    """Score, judge, draw, store, and print what came of it; of several runs, only print."""
    from imgcli.cli.console import show_json
    from imgcli.evaluation.ensemble import average
    from imgcli.evaluation.evaluate import evaluate
    from imgcli.evaluation.predictions_io import beside_learnt
    from imgcli.training.pipeline import score_folds, score_test

    if folds is None:
        each = [score_test(run, data, device) for run in runs]
    else:
        each = [score_folds(run, data, on, folds, seed, device, repeats) for run in runs]
    predictions = average([one.predictions for one in each])
    again = [average(same) for same in zip(*(one.again for one in each), strict=True)]
    train_confusions = each[0].train_confusions if len(runs) == 1 else None
    evaluation = evaluate(predictions, train_confusions, again=again)
    if folds is None and len(runs) == 1:
        evaluation = beside_learnt(evaluation, runs[0])
    names = " + ".join(str(run.folder) for run in runs)
    document = {"run": names, **_document(evaluation, predictions, again)}
    drawings: list[Path] = []
    if len(runs) == 1:
        document["calibration"] = _calibration(runs[0], predictions)
        drawings = _keep(runs[0], evaluation, predictions, document)
    if json:
        show_json(document)
    else:
        _show(runs, each, evaluation, document, drawings)
    return evaluation


def _document(
    evaluation: "Evaluation", predictions: "Predictions", again: "Sequence[Predictions]"
) -> "dict[str, Any]":
    from imgcli.evaluation.evaluate import evaluation_json, gap_sentence
    from imgcli.evaluation.scores import per_repeat, scores, scores_json

    return {
        **evaluation_json(evaluation),
        **scores_json(scores(predictions, again=again)),
        "gap": gap_sentence(evaluation),
        "repeats": 1 + len(again),
        "per_repeat": per_repeat([predictions, *again]),
    }


def _calibration(run: "Run", predictions: "Predictions") -> "dict[str, Any] | None":
    """How far the run's probabilities mean what they say; what out-of-fold ones teach is kept."""
    from imgcli.evaluation import calibration
    from imgcli.evaluation.predictions_io import told_for_decisions

    if predictions.folds:
        found = calibration.calibration_json(told_for_decisions(run, predictions))
        run.write_json(calibration.NAME, {**found, "predictions": calibration.made_of(run)})
        return found
    if not (run.folder / calibration.NAME).is_file():
        return None  # predict takes the probabilities as they are
    return calibration.checked_json(predictions, calibration.temperature_of(run))


def _keep(
    run: "Run",
    evaluation: "Evaluation",
    predictions: "Predictions",
    document: "Mapping[str, Any]",
) -> list[Path]:
    """Store an evaluation with its run, and draw it there."""
    from imgcli.evaluation.calibration import reliability
    from imgcli.report.plots import evaluation as evaluation_plots
    from imgcli.report.plots.confusion import confusion
    from imgcli.report.plots.reliability import reliability as draw_reliability
    from imgcli.report.plots.style import save

    run.write_json("evaluation.json", document)
    suffix = "" if evaluation.folds else f"-{evaluation.on}"
    drawn = {
        f"confusion{suffix}": confusion(evaluation),
        f"precision{suffix}": evaluation_plots.precision(evaluation),
        f"reliability{suffix}": draw_reliability(evaluation, reliability(predictions)),
        **({"folds": evaluation_plots.folds(evaluation)} if evaluation.folds else {}),
    }
    paths = {run.folder / "figures" / f"{name}.png": figure for name, figure in drawn.items()}
    for path, figure in paths.items():
        save(figure, path)
    return list(paths)


def _show(
    runs: "Sequence[Run]",
    each: "Sequence[Scored]",
    evaluation: "Evaluation",
    document: "Mapping[str, Any]",
    drawings: "Sequence[Path]",
) -> None:
    """Print an evaluation for people."""
    from rich.text import Text

    from imgcli.cli.console import show
    from imgcli.report.plots.reliability import calibration_line, repeats_line, scores_line
    from imgcli.report.terminal import evaluation as evaluation_tables
    from imgcli.report.terminal.runs import leaking

    times = max((one.times for one in each if one.times is not None), default=None)
    if len(runs) > 1:
        show(f"The mean of {len(runs)} runs' probabilities:")
    show(
        Text(evaluation_tables.verdict(evaluation), style="bold"),
        evaluation_tables.figures(evaluation),
    )
    show(evaluation_tables.per_class(evaluation))
    lines = [scores_line(document), calibration_line(document), repeats_line(document)]
    lines += [document["gap"]]
    lines += [_ledger_line(times)] if evaluation.folds is None or times else []
    lines += leaking(max(one.leaks for one in each))
    lines += [f"Figure: {path}" for path in drawings]
    if evaluation.folds and len(runs) == 1:
        lines += [f"Next:   imgcli suggest-merges{_run_option(runs[0])}"]
    show(Text("\n".join(line for line in lines if line)))


def _ledger_line(times: int | None) -> str:
    if times is None:
        return "This run had scored the test part before; that score is shown again."
    if times == 1:
        return "The test part has now been scored once. Choose nothing by it."
    return (
        f"The test part has now been scored {times} times. The more test-set evaluations a choice "
        "goes by, the less its figures say."
    )


def _run_option(run: "Run") -> str:
    from shlex import quote

    from imgcli.runs import RUNS, named

    if (RUNS / "latest").resolve() == run.folder.resolve():
        return ""
    return f" --run {quote(named(run))}"
