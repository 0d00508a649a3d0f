"""`imgcli evaluate`: estimate the error of a run."""

from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import Annotated, Literal

import typer
from rich.console import RenderableType

from imgcli.cli.console import render_tables
from imgcli.cli.options import (
    ClassesAt,
    Cluster,
    CostTable,
    Device,
    FoldSeed,
    Form,
    GroupBys,
    GroupTable,
    Json,
    MaxPixels,
    Parts,
    Quiet,
    RunData,
    RunNames,
    Track,
    check_form,
    table_option,
)
from imgcli.commands import evaluate as command

Folds = Annotated[
    int | None,
    typer.Option(
        "--folds",
        metavar="K",
        show_default=False,
        help="Cross-validate with K folds of the train part. Without it the sealed test part is "
        "scored.",
    ),
]
Repeats = Annotated[
    int,
    typer.Option(
        "--repeats",
        metavar="R",
        help="Repeat the cross-validation R times with other folds; figures are pooled.",
    ),
]
On = Annotated[
    Literal["train", "all"],
    typer.Option("--on", help="Photos to cross-validate on: the train part, or all photos."),
]

Ungrouped = Annotated[
    bool,
    typer.Option(
        "--compare-ungrouped",
        help="Cross-validate once more by photos, groups ignored, and print both figures.",
    ),
]


TABLES = "classes figures confusion photos"
Table = Annotated[str | None, table_option(TABLES)]


def evaluate(
    folds: Folds = None,
    repeats: Repeats = 1,
    run: RunNames = ["latest"],  # noqa: B006
    on: On = "train",
    data: RunData = None,
    seed: FoldSeed = None,
    group_by: GroupBys = None,
    group_table: GroupTable = None,
    compare_ungrouped: Ungrouped = False,
    cost: CostTable = None,
    classes_at: ClassesAt = None,
    parts: Parts = [],  # noqa: B006
    device: Device = "auto",
    track: Track = [],  # noqa: B006
    max_pixels: MaxPixels = None,
    form: Form = None,
    table: Table = None,
    cluster: Cluster = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Estimate the error of a run, with its 95 % interval.

    With --folds, the run's config is trained K times and each network is
    evaluated on its held-out photos; near-duplicates and photos of one
    --group-by group stay in one fold, and finished folds are not
    repeated. Without, the test part is scored and the ledger in runs/
    counts the evaluation. With --data, photos that are not of the run's
    own dataset are scored by class name, or with --folds trained on by
    the run's config, with classes of their own; their figures are kept
    under other-data/ in the run's folder.

    Examples:

      imgcli evaluate --folds 10

      imgcli evaluate --folds 10 --repeats 5

      imgcli evaluate --folds 10 --group-by column:patient --compare-ungrouped

      imgcli evaluate --folds 10 --cost costs.csv

      imgcli evaluate --run latest

      imgcli evaluate --folds 5 --run ONE --run ANOTHER

      imgcli evaluate --data photos-of-another-camera

      imgcli evaluate --folds 5 --data other-classes --classes-at 2

      imgcli evaluate --folds 10 --format latex > table.tex

      imgcli evaluate --folds 10 --format csv --table photos > photos.csv
    """
    check_form(form, table, TABLES, json)
    result = command.evaluate(
        folds,
        repeats=repeats,
        run=run,
        on=on,
        data=data,
        seed=seed,
        device=device,
        group_by=group_by or None,
        group_table=group_table,
        compare_ungrouped=compare_ungrouped,
        classes_at=classes_at,
        parts=parts,
        track=track,
        cost=cost,
    )
    render_tables(result, json=json, form=form, table=table, people=_tables)


def show_result(result: command.EvaluateResult) -> None:
    """Print an evaluation."""
    render_tables(result, json=False, form=None, table=None, people=_tables)


def _tables(result: command.EvaluateResult) -> Iterator[RenderableType]:
    from imgcli.report.terminal.evaluation import evaluated

    return evaluated(
        result.evaluation,
        result.document,
        runs=len(result.runs),
        test_evaluations=result.test_evaluations,
        leaks=result.leaks,
        drawings=result.figures,
        ungrouped=result.ungrouped,
        following=f"imgcli suggest-merges{_run_option(result.run)}{_data_option(result)}",
    )


def _data_option(result: command.EvaluateResult) -> str:
    """Names photos that are not the run's own dataset."""
    data = result.document.get("data")
    return "" if data is None else f" --data {quote(data)}"


def _run_option(folder: Path) -> str:
    from imgcli.latest_run import is_latest
    from imgcli.runs import Run, named

    if is_latest(Run(folder)):
        return ""
    return f" --run {quote(named(Run(folder)))}"
