"""What a tracker is: one run, as TensorBoard, MLflow, Weights & Biases or a CSV file keeps it.

Each of them is a module of this package with two functions:

    load() -> None                      imports the library, once, before the work begins
    begin(about, known) -> Tracker      begins a run, or goes on with the one that is known
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

Kind = Literal["train", "tune", "choose", "trial", "candidate", "fold", "fit"]
Status = Literal["finished", "failed", "interrupted", "pruned"]
Address = Mapping[str, str]  # by which a tracker finds a run again; no secret is in it


@dataclass(frozen=True)
class About:
    """What a run is, before it begins."""

    name: str
    folder: Path  # of the run, or of the one at the top that it is a part of
    kind: Kind
    config: Mapping[str, Any] = field(default_factory=dict)  # choices by name; none is None
    searched: tuple[str, ...] = ()  # the choices that trials differ in
    group: str = ""  # the name of the run at the top
    started: float = 0.0  # seconds since 1970
    adds: bool = False  # results are added to a run that has ended


class Point(NamedTuple):
    """Values of one step."""

    step: int
    time: float  # seconds since 1970
    values: Mapping[str, float]  # by names such as "train/loss"


class Tracker(Protocol):
    """One run in a tracker's keeping.

    All calls come from one thread of the tracker's own, in the order of the training. They may take
    long and they may raise: neither reaches the training.
    """

    @property
    def address(self) -> Address: ...

    def log(self, points: Sequence[Point]) -> None: ...

    def summary(self, values: Mapping[str, float]) -> None:
        """Final figures, which belong to no step."""

    def figure(self, name: str, file: Path) -> None:
        """A PNG."""

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None: ...

    def artefact(self, file: Path) -> None: ...

    def child(self, about: About) -> "Tracker":
        """A run that is a part of this one: a trial, a fold."""

    def finish(self, status: Status) -> None: ...
