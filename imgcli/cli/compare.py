"""`imgcli compare`: which of several runs is better, and whether chance explains it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from imgcli.cli.options import Json, Quiet, Seed
from imgcli.errors import StorageError, WrongUsage

if TYPE_CHECKING:
    from imgcli.evaluation.predictions_io import Stored
    from imgcli.runs import Run

Names = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN",
        show_default=False,
        help="Two or more runs: 'latest', a folder's name under runs/, or a path.",
    ),
]
On = Annotated[
    Literal["folds", "test"] | None,
    typer.Option(
        "--on",
        show_default="folds where all runs have them",
        help="The photos: those of evaluate --folds, or the test part.",
    ),
]
Window = Annotated[
    int, typer.Option("--window", min=2, help="Batches that the curves of the loss run over.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FOLDER",
        show_default="comparison/ beside the first run",
        help="Folder for figures and tables; an earlier comparison in it is replaced.",
    ),
]

TABLES = ("comparison.json", "comparison.csv", "folds.csv", "loss.csv")
DRAWINGS = ("boxes.png", "differences.png", "loss.png")  # each with its SVG beside it


def compare(
    runs: Names,
    on: On = None,
    window: Window = 50,
    out: Out = None,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare runs on the same photos.

    Reads what `imgcli evaluate` has stored and trains nothing. Tells which
    runs differ in accuracy and macro precision by more than chance, corrected
    for the number of pairs, and says so where no difference is shown. Draws
    train and test of the runs side by side, the differences to the best, and
    the loss over batches; the same as CSV.

    Of folds that were repeated the first repeat is compared.

    Another seed makes another network: a difference that should hold for a
    choice, and not just for one training of it, is better shown on folds.

    Examples:

      imgcli compare 20260101-120000-alexnet 20260101-130000-resnet101

      imgcli compare runs/*-alexnet --on test --out comparison
    """
    from imgcli.progress import be_quiet
    from imgcli.runs import find_runs

    be_quiet(quiet)
    found = find_runs(runs)
    _need_several(found)
    out = out or found[0].folder.parent / "comparison"
    _need_free(out)
    compare_and_show(found, on, window, out, seed, json=json)


def compare_and_show(
    runs: Sequence["Run"],
    on: Literal["folds", "test"] | None,
    window: int,
    out: Path,
    seed: int,
    *,
    json: bool,
) -> None:
    """Judge, draw, store, and print what came of it."""
    from rich.text import Text

    from imgcli.cli.console import show, show_json
    from imgcli.evaluation import predictions_io
    from imgcli.evaluation.compare import align, compare, same_folds
    from imgcli.report.terminal.comparison import compared

    part, kept = predictions_io.load(runs, on)
    aligned, left_out = align(
        {
            name: predictions_io.told_for_decisions(one.run, one.predictions)
            for name, one in kept.items()
        }
    )
    pairs = compare(aligned, seed)
    first, *others = aligned.values()
    options = predictions_io.differing(runs)
    between = pairs[0].to_json()
    document: dict[str, Any] = {
        "on": part,
        "runs": [
            {
                **predictions_io.run_json(one, aligned[name], seed),
                "options": differing,
                "asked": predictions_io.asked(one.run, differing),
            }
            for (name, one), differing in zip(kept.items(), options, strict=True)
        ],
        "best": pairs[0].runs[0],
        "between": between["runs"],
        "difference": between["accuracy"]["difference"],
        "p_value": between["accuracy"]["p_value"],
        "paired_on": len(first),
        "left_out": left_out,
        "same_folds": all(same_folds(first, other) for other in others),
        "pairs": [pair.to_json() for pair in pairs],
    }
    document |= _store(document, kept, window, out)
    if json:
        show_json(document)
    else:
        show(*compared(document), Text("\n".join(f"Written: {f}" for f in document["files"])))


def _store(
    document: dict[str, Any], kept: Mapping[str, "Stored"], window: int, out: Path
) -> dict[str, Any]:
    """Write tables and figures into one folder, whole; their paths, and the SHA-256 of each."""
    from imgcli import staging
    from imgcli.files import write_atomic, write_json
    from imgcli.progress import note
    from imgcli.report.plots import comparison as comparison_plots
    from imgcli.report.plots import history as history
    from imgcli.report.plots import losses
    from imgcli.report.plots.style import save
    from imgcli.report.terminal import comparison as comparison
    from imgcli.text import printable

    labels = comparison.labels(document)
    for one in kept.values():
        history.check(one.run)
    found = {
        name: losses.losses(one.run.folder / "history.csv", one.histories, window)
        for name, one in kept.items()
    }
    curves = {name: curve for name, curve in found.items() if curve is not None}
    drawings = {
        "boxes.png": comparison_plots.boxes(document),
        "differences.png": comparison_plots.forest(document),
    }
    if curves:
        by_label = {labels[name]: curve for name, curve in curves.items()}
        notes = losses.notes(document, labels, curves)
        drawings["loss.png"] = losses.loss_curves(by_label, notes)
    tables = {
        "comparison.csv": comparison.comparison_csv(document),
        "folds.csv": comparison.folds_csv(document),
        "loss.csv": losses.losses_csv(curves),
    }
    files = [str(out / name) for name in (*drawings, *tables)]
    with staging.staged_folder(out, replace=True, user_files=_user_files) as staged:
        for name, text in tables.items():
            write_atomic(staged.folder / name, text)
        for name, figure in drawings.items():
            save(figure, staged.folder / name)
        written = {"files": files, "sha256": _digests(staged.folder)}
        write_json(staged.folder / "comparison.json", {**document, **written})
    if staged.kept:
        note(printable(staged.kept))
    return written


def _digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of a comparison but of its own document."""
    from hashlib import sha256

    from imgcli.aside import files_in

    names = [name for name in files_in(folder) if name != "comparison.json"]
    return {name: sha256((folder / name).read_bytes()).hexdigest() for name in names}


def _user_files(folder: Path) -> list[str]:
    """The files of an earlier comparison that have been changed since, or came to it."""
    from json import loads

    known: Any = {}
    with suppress(OSError, ValueError, LookupError, TypeError):
        known = loads((folder / "comparison.json").read_bytes())["sha256"]
    found = _digests(folder)
    return sorted(
        name for name in found if not isinstance(known, dict) or known.get(name) != found[name]
    )


def _need_several(runs: Sequence["Run"]) -> None:
    if len(runs) < 2:
        raise WrongUsage(
            f"One run, '{runs[0].folder}', has nothing to be compared with; name two or more."
        )


def _need_free(out: Path) -> None:
    """Replace nothing but an earlier comparison."""
    from imgcli.staging import recover

    recover(out, _user_files)
    if out.exists() and not out.is_dir():
        raise StorageError(f"'{out}' is a file. Choose another --out, for a folder.")
    if out.is_dir() and (others := _names(out) - {*TABLES, *DRAWINGS}):
        raise StorageError(
            f"'{out}' holds more than a comparison: '{min(others)}'. Choose another --out."
        )


def _names(folder: Path) -> set[str]:
    """What lies in a folder, an SVG under the name of its PNG."""
    return {file.name.replace(".svg", ".png") for file in folder.iterdir()}
