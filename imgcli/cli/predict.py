"""`imgcli predict`: predict the classes of new photos."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from imgcli.cli.console import render
from imgcli.cli.options import (
    Cluster,
    CostTable,
    Device,
    Json,
    MaxPixels,
    PathColumn,
    Quiet,
    RunNames,
    TableRoot,
)
from imgcli.commands import predict as command
from imgcli.errors import WrongUsage
from imgcli.progress import note
from imgcli.report.terminal.tables import texts
from imgcli.text import count

Paths = Annotated[
    list[str],
    typer.Argument(
        help="Photos, folders, zip and tar archives, tables and lists of paths, quoted patterns; - "
        "for paths on standard input."
    ),
]
Csv = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        metavar="FILE",
        show_default=False,
        help="Write the predictions to a CSV file; - for standard output.",
    ),
]
SortInto = Annotated[
    Path | None,
    typer.Option(
        "--sort-into",
        metavar="DIR",
        show_default=False,
        help="Put every photo into DIR/<class>/, the unsure ones into DIR/unsure/, those of none "
        "of the classes into 'DIR/none of these/'. Originals stay; `imgcli restore DIR` takes the "
        "photos out again.",
    ),
]
Linked = Annotated[
    command.Link,
    typer.Option(
        "--link",
        help="How --sort-into places photos; auto: hard links, copies where there are none.",
    ),
]
Unsure = Annotated[
    float | None,
    typer.Option(
        "--unsure",
        metavar="BELOW",
        show_default="answer all",
        help="Answer 'unsure' below this confidence, such as 0.6.",
    ),
]
Top = Annotated[int, typer.Option("--top", help="Most probable classes to list per photo.")]
MinPrecision = Annotated[
    float | None,
    typer.Option(
        "--min-precision",
        metavar="SHARE",
        show_default="answer all",
        help="Selective prediction: answer 'unsure' below the confidence that gives answers this "
        "precision, such as 0.95. Needs `imgcli evaluate --folds` first.",
    ),
]
Coverage = Annotated[
    float | None,
    typer.Option(
        "--coverage",
        metavar="SHARE",
        show_default=False,
        help="Give each photo the set of classes that holds the true one this often, such as 0.95; "
        "those with one class are answered. Needs `imgcli evaluate --folds` first.",
    ),
]


FalseAlarms = Annotated[
    float,
    typer.Option(
        "--false-alarms",
        metavar="SHARE",
        help="Answer 'none of these' to photos unlike those of every class; of photos of the "
        "classes, at most this share is taken for such. 0 gives every photo a class. Needs `imgcli "
        "evaluate --folds` first, and a run with --freeze.",
    ),
]


def predict(
    paths: Paths,
    run: RunNames = ["latest"],  # noqa: B006
    csv: Csv = None,
    top: Top = 5,
    min_precision: MinPrecision = None,
    unsure: Unsure = None,
    coverage: Coverage = None,
    cost: CostTable = None,
    false_alarms: FalseAlarms = command.FALSE_ALARMS,
    sort_into: SortInto = None,
    link: Linked = "auto",
    root: TableRoot = None,
    path_column: PathColumn = None,
    device: Device = "auto",
    max_pixels: MaxPixels = None,
    cluster: Cluster = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Predict the classes of new photos.

    Photos are preprocessed as the run's own were. Folders are searched with
    their subfolders; archives are read in place. A photo that cannot be read
    is listed with the reason, and the others are predicted. Confidence is
    calibrated if the run has been evaluated by `imgcli evaluate --folds`.

    Examples:

      imgcli predict holiday/

      imgcli predict a.jpg b.png --csv predictions.csv

      imgcli predict holiday/ --min-precision 0.95

      imgcli predict holiday/ --coverage 0.95

      imgcli predict holiday/ --cost costs.csv

      imgcli predict new.zip --sort-into sorted --unsure 0.6

      find . -name '*.jpg' -print0 | imgcli predict - --csv - > found.csv
    """
    to_stdout = csv == Path("-")
    if json and to_stdout:
        raise WrongUsage(
            "--json and --csv - both write to standard output; give the one or the other."
        )
    result = command.predict(
        paths,
        run=run,
        csv=None if to_stdout else csv,
        top=top,
        min_precision=min_precision,
        unsure=unsure,
        coverage=coverage,
        cost=cost,
        false_alarms=false_alarms,
        sort_into=sort_into,
        link=link,
        root=root,
        path_column=path_column,
        device=device,
    )
    if to_stdout:
        print(result.table, end="")
        for sentence in _sentences(result):
            note(sentence)
    else:
        render(result, json=json, people=_tables)
    if not json:
        from imgcli.report.terminal.runs import unreadable

        for line in unreadable(result.rejected):
            note(line)


def _tables(result: command.PredictResult) -> Iterator[RenderableType]:
    from imgcli.report.terminal.predictions import predicted, sorted_table

    if result.csv:
        yield f"{count(len(result.paths), 'prediction')} in {result.csv}"
    if result.sorted:
        yield sorted_table(result.sorted.to_json())
    if not (result.csv or result.sorted):
        yield from predicted(
            *(result.paths, result.classes, result.probs, result.predictions),
            *(result.sure, result.prediction_sets, result.none_of_these),
        )
    yield from texts(_sentences(result))


def _sentences(result: command.PredictResult) -> list[str]:
    """What is said of all photos together: the precision, and where they were put."""
    from imgcli.report.terminal.predictions import (
        answered_line,
        cost_lines,
        drift_lines,
        novelty_line,
        promise_lines,
        set_lines,
        sorted_lines,
    )

    answered, n, lines = int(result.sure.sum()), len(result.sure), []
    if result.promise:
        lines += promise_lines(result.promise.to_json(), answered, n)
    elif result.sets:
        lines += set_lines(result.sets.to_json(), answered, n)
    elif result.cost:
        lines += cost_lines(result.cost.to_json(), n - answered, n)
    elif result.threshold is not None:
        lines.append(answered_line(result.threshold, answered, n))
    if result.novelty:
        lines.append(novelty_line(result.novelty.to_json(), n))
    if result.drift:
        lines += drift_lines(
            result.drift.sentence, [result.paths[i] for i in result.drift.farthest]
        )
    if result.sorted:
        lines += sorted_lines(result.sorted.to_json())
    return lines
