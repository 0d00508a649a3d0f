"""`imgcli report`: one page to look at, for each run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcli.cli.options import Json, Quiet, RunData, RunName
from imgcli.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        show_default="report.html in the run's folder",
        help="Where to write the page; an earlier report is replaced.",
    ),
]

MARK = b'<meta name="generator" content="imgcli report">'


def report(
    run: RunName = "latest",
    out: Out = None,
    data: RunData = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a report to look at: one HTML file that needs no network.

    The verdict in plain words, the confusion matrix to click through to the
    photos, figures, worst mistakes, classes to merge, labels to look at, the
    dataset, and the commands that made it. It shows what the run has been
    judged by so far, and names the command for what is missing. The figures
    lie in the run's figures/ too, as PNG and SVG.

    Examples:

      imgcli report

      imgcli report --run 20260101-120000-resnet101 --out resnet.html
    """
    from rich.text import Text

    from imgcli import aside
    from imgcli.cli.console import show, show_json
    from imgcli.cli.reported import material, shown_photos
    from imgcli.files import as_json
    from imgcli.progress import be_quiet, note
    from imgcli.report.page.page import page
    from imgcli.runs import find_run
    from imgcli.text import megabytes, printable

    be_quiet(quiet)
    found = find_run(run)
    out = out or found.folder / "report.html"
    _need_free(out)
    made = material(found, data)
    drawings = _save_figures(made.figures, found.folder / "figures")
    text = page(made, shown_photos(made))
    out.parent.mkdir(parents=True, exist_ok=True)
    kept = aside.write_page(out, text)
    if kept:
        note(printable(kept))
    size = out.stat().st_size
    if json:
        document: dict[str, Any] = {"run": str(found.folder), "report": str(out), "bytes": size}
        document["figures"] = [str(path) for path in drawings]
        document["missing"] = [as_json(one) for one in made.missing]
        show_json(document)
    else:
        lines = [f"Report: {out} ({megabytes(size)})"]
        lines += [f"Figures: {found.folder / 'figures'}/"] if drawings else []
        lines += [f"Not in it: {one.what}. For that: {one.command}" for one in made.missing]
        show(*(Text(printable(line)) for line in lines))


def _save_figures(figures: "Mapping[str, Figure]", folder: Path) -> list[Path]:
    from imgcli.report.plots.style import save

    paths = [folder / f"{name}.png" for name in figures]
    for path, figure in zip(paths, figures.values(), strict=True):
        save(figure, path)
    return paths


def _need_free(out: Path) -> None:
    """Replace nothing but an earlier report."""
    if out.is_dir():
        raise StorageError(f"'{out}' is a folder. Name a file, such as --out {out / 'report.html'}")
    if out.exists():
        from imgcli.reading import open_regular

        with open_regular(out) as file:
            if MARK not in file.read(2000):
                raise StorageError(f"'{out}' exists and is no report. Choose another --out.")
