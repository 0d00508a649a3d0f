"""Contenders take turns on the same work; what came of it is a `Result`, a row of a table."""

import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

Contender = Callable[[Path], object]  # does the work once, given an empty folder of its own
Costs = tuple[float, ...]  # one per round, less is better: seconds, or megabytes

HEADER = ("work", "imgcli", "peer", "ratio", "goal", "reached", "n")


class Goal(NamedTuple):
    kind: Literal["faster", "cost", "below"]
    value: float

    def __str__(self) -> str:
        return {
            "faster": f"≥ {self.value:g}× as fast",
            "cost": f"≤ {self.value:g}× the cost",
            "below": f"≤ {self.value:g}",
        }[self.kind]


@dataclass(frozen=True)
class Result:
    """What one piece of work cost imgcli and, where there is one, a peer."""

    work: str
    ours: Costs  # empty: not measured, and `note` says why
    theirs: Costs = ()  # as many as `ours`, or one figure that all of them are compared with
    peer: str = ""
    unit: str = "s"  # of the costs; with an amount, of what is done in a second
    amount: float = 0.0  # done in one round, such as 2056 photos; 0: the costs are shown themselves
    goal: Goal | None = None
    note: str = ""

    @property
    def ratios(self) -> Costs:
        """Round by round: how many times as fast as the peer, or how many times its cost."""
        if not self.ours or not self.theirs:
            return ()
        theirs = self.theirs * len(self.ours) if len(self.theirs) == 1 else self.theirs
        costs = [ours / other for ours, other in zip(self.ours, theirs, strict=True)]
        by_cost = self.goal is not None and self.goal.kind == "cost"
        return tuple(cost if by_cost else 1 / cost for cost in costs)

    @property
    def reached(self) -> bool | None:
        """Whether the mean meets the goal; None where there is no goal, or nothing was measured."""
        if self.goal is None or not self.ours:
            return None
        if self.goal.kind == "below":
            return fmean(self.ours) <= self.goal.value
        if not self.ratios:
            return None
        ratio = fmean(self.ratios)
        return ratio >= self.goal.value if self.goal.kind == "faster" else ratio <= self.goal.value

    def row(self) -> tuple[str, ...]:
        """The cells of `HEADER`."""
        ours = self._figure(self.ours) if self.ours else "not measured"
        peer = f"{self.peer}: {self._figure(self.theirs)}" if self.theirs else self.peer or "–"
        ratio = f"{_spread(self.ratios)}×" if self.ratios else "–"
        goal = str(self.goal) if self.goal else "–"
        reached = {None: "–", True: "yes", False: "no"}[self.reached]
        return (self.work, ours, peer, ratio, goal, reached, str(len(self.ours)))

    def _figure(self, costs: Costs) -> str:
        values = tuple(self.amount / cost for cost in costs) if self.amount else costs
        return f"{_spread(values)} {self.unit}".strip()


def alternate(
    contenders: Mapping[str, Contender], rounds: int, work: Path, *, warm_up: bool = True
) -> dict[str, Costs]:
    """Seconds of each contender in each round, the order turned about from round to round.

    Each gets an empty folder under `work` every time, so whatever it caches is cold, and starts on
    a disk that has nothing left to write for the one before it.

    Args:
        warm_up: do everything once beforehand: files in the page cache, libraries loaded.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(-1 if warm_up else 0, rounds):
        order = list(contenders)[:: 1 if number % 2 == 0 else -1]
        for name in order:
            with TemporaryDirectory(dir=work) as folder:
                os.sync()
                start = time.perf_counter()
                contenders[name](Path(folder))
                took = time.perf_counter() - start
            if number >= 0:
                seconds[name].append(took)
    return {name: tuple(values) for name, values in seconds.items()}


def repeat(contender: Contender, rounds: int, work: Path, *, warm_up: bool = True) -> Costs:
    """Seconds of one contender that has no peer."""
    return alternate({"": contender}, rounds, work, warm_up=warm_up)[""]


def table(results: Iterable[Result]) -> str:
    """Results as a Markdown table, and the notes under it."""
    results = list(results)
    rows = [HEADER, ("---",) * len(HEADER), *(result.row() for result in results)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    notes = [f"- {result.work}: {result.note}" for result in results if result.note]
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def _spread(values: Costs) -> str:
    """Mean ± standard deviation; the mean alone of a single value."""
    mean = fmean(values)
    return _short(mean, 3) + (f" ± {_short(stdev(values), 2)}" if len(values) > 1 else "")


def _short(value: float, figures: int) -> str:
    """So many figures that count, never in powers of ten."""
    if value == 0:
        return "0"
    decimals = figures - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, decimals):,.{max(0, decimals)}f}"
