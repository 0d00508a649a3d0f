"""`imgcli.write_report`: one HTML page of a run's results.

It is not `imgcli.report`, the package that draws: once that is imported, the name is taken.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from imgcli import aside
from imgcli.commands.report_data import report_data, thumbnails_of
from imgcli.commands.results import Result
from imgcli.commands.tracked_results import finished_runs_tracked
from imgcli.errors import StorageError
from imgcli.progress import note
from imgcli.reading import open_regular
from imgcli.report.page.context import Missing, Report
from imgcli.report.page.page import page
from imgcli.report.plots import training
from imgcli.report.plots.drawn import draw_changed
from imgcli.run_lookup import find_run
from imgcli.runs import Run
from imgcli.text import megabytes, printable
from imgcli.tracking.session import chosen_trackers

MARK = b'<meta name="generator" content="imgcli report">'


@dataclass(frozen=True, eq=False, repr=False)
class ReportResult(Result):
    """A report, and what it lacks."""

    run: Path
    report: Path
    bytes: int
    figures: tuple[Path, ...]  # PNGs in the run's folder, each with its SVG beside it
    missing: tuple[Missing, ...]  # with the commands that make it

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "run", str(self.run)
        yield "report", f"{self.report} ({megabytes(self.bytes)})"
        if self.missing:
            yield "not in it", "; ".join(f"{one.what}: {one.command}" for one in self.missing)


def write_report(
    run: str | Path = "latest",
    *,
    out: str | Path | None = None,
    data: str | Path | None = None,
    track: str | Sequence[str] | None = None,
) -> ReportResult:
    """Write one HTML file that shows all stored results of a run, and its figures beside it.

    Args:
        run: "latest", a folder's name under runs/, or a path.
        out: the file; by default report.html in the run's folder. An earlier report is replaced.
        data: dataset folder; by default the one the run was trained on.
        track: what gets the report beside the trackers of the run, as for `train`; "none": nothing.

    Raises:
        RunError: the run's files are damaged, or not of one training.
        StorageError: `out` is a folder, or a file that is no report.
    """
    follow = chosen_trackers(track)
    found = find_run(str(run))
    out = found.folder / "report.html" if out is None else Path(out)
    _check_replaceable(out)
    content = report_data(found, found.data if data is None else Path(data))
    figures = _store_figures(found, content)
    text = page(content, thumbnails_of(content, found))
    out.parent.mkdir(parents=True, exist_ok=True)
    if kept := aside.write_page(out, text):
        note(printable(kept))
    with finished_runs_tracked(follow, [found]) as (tracked,):
        tracked.artefact(out)
    return ReportResult(
        run=found.folder,
        report=out,
        bytes=out.stat().st_size,
        figures=figures,
        missing=tuple(content.missing),
    )


def _store_figures(run: Run, content: Report) -> tuple[Path, ...]:
    """Keep the figures with the run; those that show the same as before stay as they are."""
    shown: list[Any] = []
    if (evaluated := content.evaluated) is not None:  # as `evaluate` has them
        scored = evaluated.predictions
        shown = [evaluated.evaluation, scored.targets, scored.probs, scored.groups]
    history = [training.rows(run), content.model.get("kept_epoch")]
    stored: list[Path] = []
    for name, figure in content.figures.items():
        of = history if name == "history" else shown
        stored += draw_changed(run.folder / "figures", {name: partial(_drawn, figure)}, of)
    return tuple(stored)


def _drawn(figure: Figure) -> Figure:
    return figure


def _check_replaceable(out: Path) -> None:
    """Replace nothing but an earlier report."""
    if out.is_dir():
        raise StorageError(f"'{out}' is a folder. Name a file, such as --out {out / 'report.html'}")
    if out.exists():
        with open_regular(out) as file:
            if MARK not in file.read(2000):
                raise StorageError(f"'{out}' exists and is no report. Choose another --out.")
