"""`imgcli predict`: what is in new photos."""

from pathlib import Path
from typing import Annotated

import typer

from imgcli.cli.options import Device, Json, Quiet, RunNames
from imgcli.errors import WrongUsage

Paths = Annotated[list[Path], typer.Argument(help="Photos, and folders of photos.")]
Csv = Annotated[
    Path | None,
    typer.Option(
        "--csv", metavar="FILE", show_default=False, help="Write the predictions to a CSV file."
    ),
]
Top = Annotated[int, typer.Option("--top", help="Classes to give per photo, most probable first.")]


def predict(
    paths: Paths,
    run: RunNames = ["latest"],  # noqa: B006
    csv: Csv = None,
    top: Top = 5,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what is in new photos.

    Each goes through the run's own preprocessing. Folders are searched
    through. A photo that cannot be read is listed with its reason and the
    rest goes on.

    Examples:

      imgcli predict holiday/

      imgcli predict a.jpg b.png --csv predictions.csv
    """
    from imgcli import storage, workspace
    from imgcli.cli.console import show, show_json
    from imgcli.learn.predict import predict_files
    from imgcli.progress import be_quiet, note
    from imgcli.report import runs, tables

    be_quiet(quiet)
    if top < 1:
        raise WrongUsage(f"--top {top} must be at least 1.")
    if csv is not None and csv.exists():
        raise WrongUsage(f"--csv {csv} exists. Name another file, or move it away.")
    chosen = workspace.find_runs(run)
    found = predict_files(chosen, paths, device)
    ranked = found.ranked(top)
    if csv is not None:
        found.write_csv(csv, top)
    if json:
        show_json(
            {
                "run": " + ".join(str(one.folder) for one in chosen),
                "predictions": [
                    {"path": path, "class": best[0][0], "confidence": best[0][1], "top": best}
                    for path, best in zip(found.paths, ranked, strict=True)
                ],
                "rejected": [storage.as_json(photo) for photo in found.rejected],
            }
        )
        return
    if csv is None:
        show(tables.predictions(found.paths, found.classes, found.probs))
    else:
        show(f"{len(found.paths):,} predictions in {csv}")
    for line in runs.unreadable(found.rejected):
        note(line)
