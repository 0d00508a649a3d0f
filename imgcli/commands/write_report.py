"""`imgcli.write_report`: one HTML page of a run's results.

It is not `imgcli.report`, the package that draws: once that is imported, the name is taken.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgcli import aside
from imgcli.commands.report_data import report_data, thumbnails_of
from imgcli.commands.results import Result
from imgcli.commands.tracked_results import finished_runs_tracked
from imgcli.errors import StorageError
from imgcli.progress import note
from imgcli.reading import open_regular
from imgcli.report.page.context import Missing
from imgcli.report.page.page import page
from imgcli.run_lookup import find_run
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
    slices: Sequence[Mapping[str, Any]] | None = None  # weak ones; None: not looked for

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "run", str(self.run)
        yield "report", f"{self.report} ({megabytes(self.bytes)})"
        if self.missing:
            yield "not in it", "; ".join(f"{one.what}: {one.command}" for one in self.missing)
        for one in self.slices or ():
            yield "where it fails", one["sentence"]


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
        figures=tuple(figure.png for figure in content.figures.values()),
        missing=tuple(content.missing),
        slices=content.slices,
    )


def _check_replaceable(out: Path) -> None:
    """Replace nothing but an earlier report."""
    if out.is_dir():
        raise StorageError(f"'{out}' is a folder. Name a file, such as --out {out / 'report.html'}")
    if out.exists():
        with open_regular(out) as file:
            if MARK not in file.read(2000):
                raise StorageError(f"'{out}' exists and is no report. Choose another --out.")
