"""A table in the run's folder, for people without a tracker and for any program.

csv/metrics.csv    run, time, step, name, value: a line for each value
csv/config.csv     choice, value
csv/<table>.csv    tables of results
"""

from collections.abc import Iterable, Mapping, Sequence
from csv import reader
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imgcli.batch import append_text
from imgcli.files import write_atomic
from imgcli.text import csv_text
from imgcli.tracking.tracker import About, Address, Point, Status

COLUMNS = ("run", "time", "step", "name", "value")


def load() -> None:
    """Nothing is imported."""


def begin(about: About, known: Address) -> "CsvTracker":
    """A run's tables; of one that is resumed, values that are there are not written again."""
    folder = about.folder / "csv"
    folder.mkdir(parents=True, exist_ok=True)
    metrics = folder / "metrics.csv"
    there: list[list[str]] = []
    if metrics.is_file():
        text = metrics.read_text("utf-8")
        whole = text[: text.rfind("\n") + 1]
        if whole != text:  # a kill tore the last line
            write_atomic(metrics, whole)
        there = [line for line in reader(whole.splitlines()) if len(line) == len(COLUMNS)]
    else:
        write_atomic(metrics, csv_text([COLUMNS]))
    if not (folder / "config.csv").is_file():
        write_atomic(folder / "config.csv", csv_text([("choice", "value"), *about.config.items()]))
    last: dict[str, int] = {}
    for run, _, step, name, _ in there if "folder" in known and not about.adds else ():
        if run == about.name and step.isdigit():
            last[name] = max(int(step), last.get(name, 0))
    return CsvTracker(about, folder, last)


class CsvTracker:
    """A run, or a part of one, in the tables."""

    def __init__(self, about: About, folder: Path, last: Mapping[str, int]) -> None:
        self._about = about
        self._folder = folder
        self._last = last  # step of each value that is there

    @property
    def address(self) -> Address:
        return {"folder": self._folder.name}

    def log(self, points: Sequence[Point]) -> None:
        self._add(
            (_iso(point.time), point.step, name, value)
            for point in points
            for name, value in point.values.items()
            if point.step > self._last.get(name, -1)
        )

    def summary(self, values: Mapping[str, float]) -> None:
        now = _iso(datetime.now(UTC).timestamp())
        self._add((now, None, name, value) for name, value in values.items())

    def figure(self, name: str, file: Path) -> None:
        """It is in the run's folder already."""

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        write_atomic(self._folder / f"{name}.csv", csv_text([columns, *rows]))

    def artefact(self, file: Path) -> None:
        """It is in the run's folder already."""

    def child(self, about: About) -> "CsvTracker":
        return CsvTracker(about, self._folder, {})

    def finish(self, status: Status) -> None:
        """Every line is written already."""

    def _add(self, lines: Iterable[Sequence[Any]]) -> None:
        rows = [(self._about.name, *line) for line in lines]
        append_text(self._folder / "metrics.csv", csv_text(rows))


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
