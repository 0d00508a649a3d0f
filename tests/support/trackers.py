"""Trackers in memory, in place of a library's."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imgcli.tracking.tracker import About, Address, Point, Status


class Kept:
    """A run that keeps what it is told, for tests to look at."""

    def __init__(self, about: About, known: Address) -> None:
        self.about = about
        self.known = known
        self.points: list[Point] = []
        self.figures: list[str] = []
        self.tables: dict[str, list[Any]] = {}
        self.artefacts: list[str] = []
        self.final: dict[str, float] = {}
        self.children: list[Kept] = []
        self.status: Status | None = None
        self.threads: set[str] = set()

    @property
    def address(self) -> Address:
        return {"id": f"{self.about.name}!"}

    def values(self, name: str) -> dict[int, float]:
        """A value by its step."""
        return {point.step: point.values[name] for point in self.points if name in point.values}

    def log(self, points: Sequence[Point]) -> None:
        self.threads.add(threading.current_thread().name)
        self.points += points

    def summary(self, values: dict[str, float]) -> None:
        self.final.update(values)

    def figure(self, name: str, file: Path) -> None:
        assert file.read_bytes().startswith(b"\x89PNG")
        self.figures.append(name)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Any]) -> None:
        self.tables[name] = [columns, *rows]

    def artefact(self, file: Path) -> None:
        self.artefacts.append(file.name)

    def child(self, about: About) -> "Kept":
        self.children.append(Kept(about, {}))
        return self.children[-1]

    def finish(self, status: Status) -> None:
        self.status = status


class Memory:
    """Begins runs that are kept."""

    def __init__(self) -> None:
        self.runs: list[Kept] = []

    def __call__(self, about: About, known: Address) -> Kept:
        self.runs.append(Kept(about, known))
        return self.runs[-1]


class Blocked(Kept):
    """Never comes back from the first values."""

    def log(self, points: Sequence[Point]) -> None:
        threading.Event().wait()


class Failing(Kept):
    """Raises at all values."""

    def log(self, points: Sequence[Point]) -> None:
        raise ConnectionError("no answer from http://me:secret@host/api")
