"""`imgcli predict`: what is in new photos."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcli.cli.options import Device, Json, Quiet, RunNames
from imgcli.errors import WrongUsage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcli.evaluation.selective import Promise
    from imgcli.runs import Run
    from imgcli.training.predict import Predicted

Paths = Annotated[list[Path], typer.Argument(help="Photos, and folders of photos.")]
Csv = Annotated[
    Path | None,
    typer.Option(
        "--csv", metavar="FILE", show_default=False, help="Write the predictions to a CSV file."
    ),
]
Top = Annotated[int, typer.Option("--top", help="Classes to give per photo, most probable first.")]
MinPrecision = Annotated[
    float | None,
    typer.Option(
        "--min-precision",
        metavar="SHARE",
        show_default="answer all",
        help="Answer 'unsure' where the run is not confident enough for this share of its answers "
        "to be right, such as 0.95. By its out-of-fold predictions, so evaluate it first.",
    ),
]


def predict(
    paths: Paths,
    run: RunNames = ["latest"],  # noqa: B006
    csv: Csv = None,
    top: Top = 5,
    min_precision: MinPrecision = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what is in new photos.

    Each goes through the run's own preprocessing. Folders are searched
    through. A photo that cannot be read is listed with its reason and the
    rest goes on. Confidence is calibrated once the run has been judged by
    `imgcli evaluate --folds`.

    Examples:

      imgcli predict holiday/

      imgcli predict a.jpg b.png --csv predictions.csv

      imgcli predict holiday/ --min-precision 0.95
    """
    from imgcli.cli.console import show_json
    from imgcli.evaluation.calibration import temperature_of
    from imgcli.progress import be_quiet
    from imgcli.runs import find_runs
    from imgcli.training.predict import predict_files

    be_quiet(quiet)
    if top < 1:
        raise WrongUsage(f"--top {top} must be at least 1.")
    if min_precision is not None and not 0 < min_precision < 1:
        raise WrongUsage(
            f"--min-precision {min_precision:g} is not a share between 0 and 1, such as 0.95."
        )
    if csv is not None and csv.exists():
        raise WrongUsage(f"--csv {csv} exists. Name another file, or move it away.")
    chosen = find_runs(run)
    temperatures = [temperature_of(one) for one in chosen]
    promised = None if min_precision is None else _promised(chosen, temperatures, min_precision)
    found = predict_files(chosen, paths, device, temperatures)
    if csv is not None:
        found.write_csv(csv, top, promised.threshold if promised else None)
    if json:
        show_json(
            {
                "run": " + ".join(str(one.folder) for one in chosen),
                **_document(found, top, promised),
            }
        )
    else:
        _show(found, csv, promised)


def _promised(
    runs: "Sequence[Run]", temperatures: "Sequence[float]", min_precision: float
) -> "Promise":
    """The confidence to ask for, by what the runs said out-of-fold, calibrated as they are now."""
    from dataclasses import replace

    from imgcli.evaluation.calibration import calibrated
    from imgcli.evaluation.ensemble import average
    from imgcli.evaluation.predictions_io import out_of_fold
    from imgcli.evaluation.selective import promise

    said = [out_of_fold(run) for run in runs]
    each = [
        replace(one, probs=calibrated(one.probs, temperature))
        for one, temperature in zip(said, temperatures, strict=True)
    ]
    return promise(average(each), min_precision)


def _document(found: "Predicted", top: int, promised: "Promise | None") -> dict[str, Any]:
    from imgcli.files import as_json

    rows = [
        {"path": path, "class": best[0][0], "confidence": best[0][1], "top": best}
        for path, best in zip(found.paths, found.ranked(top), strict=True)
    ]
    document: dict[str, Any] = {"predictions": rows}
    if promised:
        sure = found.sure(promised.threshold).tolist()
        for row, answered in zip(rows, sure, strict=True):
            row.update({"unsure": not answered, **({} if answered else {"class": None})})
        document["promise"] = promised.to_json()
        document["answered"] = sum(sure)
    return {**document, "rejected": [as_json(photo) for photo in found.rejected]}


def _show(found: "Predicted", csv: Path | None, promised: "Promise | None") -> None:
    """Print what was found for people: the answers, and apart from them what is unsure."""
    from rich.text import Text

    from imgcli.cli.console import show
    from imgcli.progress import note
    from imgcli.report.plots.reliability import promise_lines
    from imgcli.report.terminal import evaluation as evaluation_tables
    from imgcli.report.terminal import runs as run_tables

    sure = found.sure(promised.threshold if promised else 0.0)
    parts = [found.only(sure), found.only(~sure)]
    if csv is not None:
        show(f"{len(found.paths):,} predictions in {csv}")
    else:
        for part, title in zip(parts, ("", "Unsure; most probable:"), strict=True):
            if part.paths:
                show(*([title] if title else []))
                show(evaluation_tables.predictions(part.paths, part.classes, part.probs))
    if promised:
        lines = promise_lines(promised.to_json(), len(parts[0].paths), len(found.paths))
        show(Text("\n".join(lines)))
    for line in run_tables.unreadable(found.rejected):
        note(line)
