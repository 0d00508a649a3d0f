"""Contenders take turns on the same work; what came of it is a `Result`, a row of a table."""

import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

from imgcli.text import percent
from tests.benchmarks.meter import MAX_OTHERS, Meter, Turn, wait_until_quiet

Contender = Callable[[Path], object]  # does the work once, given an empty folder of its own
Costs = tuple[float, ...]  # one per round, less is better: seconds, or megabytes

HEADER = ("work", "imgcli", "peer", "ratio", "CPU s", "goal", "reached", "n")


class Timed(tuple[float, ...]):
    """`Costs` in seconds by the clock, with what the processor worked in each round."""

    cpu: Costs  # user and system, whole process trees
    disturbed: int  # rounds, in which others took more than `MAX_OTHERS` of the cores

    def __new__(cls, seconds: Iterable[float], cpu: Costs = (), disturbed: int = 0) -> "Timed":
        timed = super().__new__(cls, seconds)
        timed.cpu, timed.disturbed = cpu, disturbed
        return timed


class Goal(NamedTuple):
    kind: Literal["faster", "cost", "below"]
    value: float

    def __str__(self) -> str:
        return {
            "faster": f"≥ {self.value:g}× as fast",
            "cost": f"≤ {self.value:g}× the cost",
            "below": f"≤ {self.value:g}",
        }[self.kind]


@dataclass
class Conditions:
    """What the command line allows all comparisons of a run."""

    busy: bool = False  # others may work meanwhile; their rounds are marked, and not done again
    seconds: float = math.inf  # of one comparison; no round begins after it, once there are LEAST
    warm_up: bool = True


LEAST = 3  # rounds, if so many are asked for
CONDITIONS = Conditions()


@dataclass(frozen=True)
class Result:
    """What one piece of work cost imgcli and, where there is one, a peer."""

    work: str
    ours: Costs  # empty: not measured, and `note` says why
    theirs: Costs = ()  # as many as `ours`, or one figure that all of them are compared with
    peer: str = ""  # with the options that it was given
    unit: str = "s"  # of the costs; with an amount, of what is done in a second
    amount: float = 0.0  # done in one round, such as 2056 photos; 0: the costs are shown themselves
    goal: Goal | None = None
    note: str = ""

    @property
    def ratios(self) -> Costs:
        """Round by round: how many times as fast as the peer, or how many times its cost."""
        if not self.ours or not self.theirs:
            return ()
        theirs = tuple(self.theirs) * (len(self.ours) if len(self.theirs) == 1 else 1)
        costs = [ours / other for ours, other in zip(self.ours, theirs, strict=True)]
        by_cost = self.goal is not None and self.goal.kind == "cost"
        return tuple(cost if by_cost else 1 / cost for cost in costs)

    @property
    def reached(self) -> bool | None:
        """Whether the median meets the goal; None where there is no goal, or nothing measured."""
        if self.goal is None or not self.ours:
            return None
        if self.goal.kind == "below":
            return median(self.ours) <= self.goal.value
        if not self.ratios:
            return None
        ratio = median(self.ratios)
        return ratio >= self.goal.value if self.goal.kind == "faster" else ratio <= self.goal.value

    def row(self) -> tuple[str, ...]:
        """The cells of `HEADER`."""
        ours = self._figure(self.ours) if self.ours else "not measured"
        peer = f"{self.peer}: {self._figure(self.theirs)}" if self.theirs else self.peer or "–"
        ratio = f"{spread(self.ratios, '×')}" if self.ratios else "–"
        goal = str(self.goal) if self.goal else "–"
        reached = {None: "–", True: "yes", False: "no"}[self.reached]
        return (self.work, ours, peer, ratio, self._cpu(), goal, reached, self._n())

    def _figure(self, costs: Costs) -> str:
        values = tuple(self.amount / cost for cost in costs) if self.amount else costs
        return f"{spread(values)} {self.unit}".strip()

    def _cpu(self) -> str:
        """Processor seconds of imgcli and of the peer, medians."""
        sides = [side.cpu for side in (self.ours, self.theirs) if isinstance(side, Timed)]
        return " / ".join(_short(median(cpu), 3) for cpu in sides if cpu) or "–"

    def _n(self) -> str:
        sides = [side.disturbed for side in (self.ours, self.theirs) if isinstance(side, Timed)]
        marked = max(sides, default=0)
        return f"{len(self.ours)}{f', {marked} disturbed' if marked else ''}"


def alternate(
    contenders: Mapping[str, Contender], rounds: int, work: Path, *, warm_up: bool = True
) -> dict[str, Timed]:
    """Seconds of each contender in each round, the order turned about from round to round.

    Each gets an empty folder under `work` every time, so whatever it caches is cold, and starts on
    a disk that has nothing left to write for the one before it. A round in which others took part
    of the machine is done again, as often as there are rounds; after that it counts, and is marked.

    Args:
        warm_up: do everything once beforehand: files in the page cache, libraries loaded.
    """
    kept: list[dict[str, Turn]] = []
    if warm_up and CONDITIONS.warm_up:
        _round(contenders, list(contenders), work)
    start, spare = time.perf_counter(), 0 if CONDITIONS.busy else rounds
    while len(kept) < rounds:
        if len(kept) >= LEAST and time.perf_counter() - start > CONDITIONS.seconds:
            break
        order = list(contenders)[:: 1 if len(kept) % 2 == 0 else -1]
        turns = _round(contenders, order, work)
        if spare and any(turn.disturbed for turn in turns.values()):
            spare -= 1
            wait_until_quiet(30)
            continue
        kept.append(turns)
    disturbed = sum(any(turn.disturbed for turn in turns.values()) for turns in kept)
    return {
        name: Timed(
            (turns[name].seconds for turns in kept),
            tuple(turns[name].cpu for turns in kept),
            disturbed,
        )
        for name in contenders
    }


def _round(contenders: Mapping[str, Contender], order: list[str], work: Path) -> dict[str, Turn]:
    turns = {}
    for name in order:
        with TemporaryDirectory(dir=work) as folder:
            os.sync()
            meter = Meter()
            contenders[name](Path(folder))
            turns[name] = meter.read()
    return turns


def repeat(contender: Contender, rounds: int, work: Path, *, warm_up: bool = True) -> Timed:
    """Seconds of one contender that has no peer."""
    return alternate({"": contender}, rounds, work, warm_up=warm_up)[""]


def table(results: Iterable[Result]) -> str:
    """Results as a Markdown table, and the notes under it."""
    results = list(results)
    rows = [HEADER, ("---",) * len(HEADER), *(result.row() for result in results)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    notes = [f"- {result.work}: {result.note}" for result in results if result.note]
    if any("disturbed" in result.row()[-1] for result in results):
        most = percent(MAX_OTHERS, digits=0)
        notes.append(f"- disturbed: rounds in which others took over {most} of the cores")
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def spread(values: Costs, unit: str = "") -> str:
    """Median and, of more than one value, the lowest and the highest."""
    middle = f"{_short(median(values), 3)}{unit}"
    if len(values) < 2:
        return middle
    return f"{middle} ({_short(min(values), 3)}–{_short(max(values), 3)})"


def _short(value: float, figures: int) -> str:
    """So many figures that count, never in powers of ten."""
    if value == 0:
        return "0"
    decimals = figures - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, decimals):,.{max(0, decimals)}f}"
