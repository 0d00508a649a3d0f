"""`imgcli evaluate`: how good a run is, give or take what."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from imgcli.cli.options import Device, Json, Quiet, RunData, RunNames
from imgcli.errors import WrongUsage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imgcli.records import Evaluation
    from imgcli.workspace import Run

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
On = Annotated[
    Literal["train", "all"],
    typer.Option("--on", help="What the folds divide: the train part, or the test part too."),
]
FoldSeed = Annotated[
    int | None,
    typer.Option("--seed", show_default="the run's", help="Which photos fall into which fold."),
]


def evaluate(
    folds: Folds = None,
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

      imgcli evaluate --run latest

      imgcli evaluate --folds 5 --run ONE --run ANOTHER
    """
    from imgcli import workspace
    from imgcli.progress import be_quiet

    be_quiet(quiet)
    if folds is None and on == "all":
        raise WrongUsage("--on all goes with --folds; without folds the test part is scored.")
    runs = workspace.find_runs(run)
    evaluate_and_show(runs, data, folds, on, seed, device, json=json)


def evaluate_and_show(
    runs: "Sequence[Run]",
    data: Path | None,
    folds: int | None,
    on: str,
    seed: int | None,
    device: str,
    *,
    json: bool,
) -> "Evaluation":
    """Score, judge, draw, store, and print what came of it; of several runs, only print."""
    from rich.text import Text

    from imgcli.cli.console import show, show_json
    from imgcli.judge.ensemble import average
    from imgcli.judge.estimate import evaluate, evaluation_json, gap_sentence
    from imgcli.learn.stages import score_folds, score_test
    from imgcli.report import tables
    from imgcli.report.runs import leaking

    if folds is None:
        each = [score_test(run, data, device) for run in runs]
    else:
        each = [score_folds(run, data, on, folds, seed, device) for run in runs]
    times = max((one.times for one in each if one.times is not None), default=None)
    train_confusions = each[0].train_confusions if len(runs) == 1 else None
    evaluation = evaluate(average([one.predictions for one in each]), train_confusions)
    names = " + ".join(str(run.folder) for run in runs)
    document = {"run": names, **evaluation_json(evaluation)}
    drawings = _keep(runs[0], evaluation, document) if len(runs) == 1 else []
    if json:
        show_json(document)
        return evaluation
    if len(runs) > 1:
        show(f"The mean of {len(runs)} runs' probabilities:")
    show(Text(tables.verdict(evaluation), style="bold"), tables.figures(evaluation))
    show(tables.per_class(evaluation))
    lines = [line for line in (gap_sentence(evaluation),) if line]
    lines += [_ledger_line(times)] if folds is None or times else []
    lines += leaking(max(one.leaks for one in each))
    lines += [f"Figure: {path}" for path in drawings]
    if folds and len(runs) == 1:
        lines += [f"Next:   imgcli suggest-merges{_run_option(runs[0])}"]
    show(Text("\n".join(lines)))
    return evaluation


def _keep(run: "Run", evaluation: "Evaluation", document: "Mapping[str, Any]") -> list[Path]:
    """Store an evaluation with its run, and draw it there."""
    from imgcli.report import figures

    run.write_json("evaluation.json", document)
    suffix = "" if evaluation.folds else f"-{evaluation.on}"
    drawn = {
        f"confusion{suffix}": figures.confusion(evaluation),
        f"precision{suffix}": figures.precision(evaluation),
        **({"folds": figures.folds(evaluation)} if evaluation.folds else {}),
    }
    paths = {run.folder / "figures" / f"{name}.png": figure for name, figure in drawn.items()}
    for path, figure in paths.items():
        figures.save(figure, path)
    return list(paths)


def _ledger_line(times: int | None) -> str:
    if times is None:
        return "This run had scored the test part before; that score is shown again."
    if times == 1:
        return "The test part has now been scored once. Choose nothing by it."
    return (
        f"The test part has now been scored {times} times. The more often a choice has looked at "
        "it, the less its figures say."
    )


def _run_option(run: "Run") -> str:
    from imgcli import workspace

    if (workspace.RUNS / "latest").resolve() == run.folder.resolve():
        return ""
    here = run.folder.parent == workspace.RUNS
    return f" --run {run.folder.name if here else run.folder}"
