"""What a format makes of a path: candidates, as often as they are asked for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from imgcli.collect.imports.labelled_photo import Candidate, Entry
from imgcli.collect.imports.survey import Survey
from imgcli.records import Rejected

Candidates = Iterator[Candidate | Rejected]


@dataclass(frozen=True)
class Reading:
    """How sources are to be read where they do not say it themselves."""

    label_from: str | None = None  # a regular expression that finds the label in a photo's path
    path_column: str | None = None  # of tables
    label_column: str | None = None
    keep_split: bool = False


@dataclass(frozen=True)
class Files:
    """A folder or archive that was gone through once, by name."""

    path: Path
    entries: Callable[[], Iterator[Entry | Rejected]]  # anew at each call, in the same order
    found: Survey


@dataclass(frozen=True)
class Source:
    """A place that photos come from, its format known."""

    path: Path
    what: str  # for people: "class folders", "a CSV table"
    candidates: Callable[[], Candidates]  # anew at each call, in the same order
    count: int  # of the candidates, about
    size: int  # bytes that placing them takes, about
    parts: tuple[str, ...] = ()  # that the candidates come in
