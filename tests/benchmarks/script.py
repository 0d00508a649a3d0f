"""How a benchmark script is run, and what it is told."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from imgcli.text import percent
from tests.benchmarks import machine, meter
from tests.benchmarks.material import SHARED, Material
from tests.benchmarks.timing import CONDITIONS, Goal, Result, Timed, table

T = TypeVar("T")

SECONDS = 45.0  # of one comparison: seven scripts of about two each take some twelve minutes
PATIENCE = 15.0  # seconds that others are given to be done before a script begins
DRIFT = 0.1  # share by which the machine may have become slower or faster under a script
QUIET, BUSY = "quiet machine", "BUSY MACHINE"


@dataclass(frozen=True)
class Setting:
    """What was asked for on the command line."""

    material: Material
    work: Path  # to work in; removed afterwards
    quick: bool
    full: bool
    device: str
    _rounds: int | None

    def rounds(self, usual: int) -> int:
        """How often everything is done: as asked for, else as a script finds right."""
        return self._rounds or (min(2, usual) if self.quick else usual)

    def amount(self, full: T, usual: T, quick: T) -> T:
        """How much is done: all of it only with --full, where that takes more than minutes."""
        return full if self.full else quick if self.quick else usual


def options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the options that every script has, and the one that runs them all."""
    add = parser.add_argument
    add("--data", type=Path, default=SHARED, metavar="PATH", help="photos; see material.py")
    add("--work", type=Path, metavar="DIR", help="unpack the photos here and keep them")
    add("--rounds", type=int, metavar="N", help="do everything so often, not as each script has it")
    add("--quick", action="store_true", help="little work: to see that it runs")
    add("--full", action="store_true", help="also what takes more than ten minutes")
    add("--busy", action="store_true", help="measure although other programs are at work")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"))
    return parser


def main(measure: Callable[[Setting], Iterable[Result]], about: str | None) -> None:
    """Run one script: print the machine and a table as it grows row by row."""
    parser = options(argparse.ArgumentParser(description=about))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here as well")
    chosen = parser.parse_args()
    require_quiet(busy=chosen.busy)
    os.environ.setdefault("COLUMNS", "100")
    CONDITIONS.busy = chosen.busy
    if not (chosen.rounds or chosen.full):
        CONDITIONS.seconds = SECONDS
    conditions = Watch(sys.argv[1:])
    print("\n".join([machine.title(), *conditions.facts(), ""]), flush=True)
    results: list[Result] = []
    with TemporaryDirectory(prefix="imgcli-benchmark-") as folder:
        material = Material(chosen.data.resolve(), (chosen.work or Path(folder) / "data").resolve())
        setting = Setting(
            material, Path(folder), chosen.quick, chosen.full, chosen.device, chosen.rounds
        )
        for result in measure(setting):
            print(" · ".join(result.row()), flush=True)
            results.append(result)
            if chosen.json:
                save(chosen.json, results)
    facts = conditions.facts(ended=True)
    if chosen.json:
        save(chosen.json, results, facts)
    print("\n".join(["", *facts, "", table(results)]))


def require_quiet(*, busy: bool) -> None:
    """End in a sentence if other programs are at work and that was not allowed."""
    if not busy and not meter.wait_until_quiet(PATIENCE):
        sys.exit(
            f"Others take {percent(meter.others_share(), digits=0)} of the {meter.cores()} cores "
            f"(load {meter.load_average()}), more than {percent(meter.MAX_OTHERS, digits=0)}. Wait "
            "until they are done, or measure all the same with --busy: the figures are marked then."
        )


class Watch:
    """The machine before a script and after it."""

    def __init__(self, options: Sequence[str]) -> None:
        self._options = [*options]
        self._others = [meter.others_share()]
        self._rates = [meter.calibrate().rate]
        self._start = time.perf_counter()

    def facts(self, *, ended: bool = False) -> list[str]:
        """What a reader is to know of a run; the first line says when and how it was made."""
        script = Path(sys.argv[0]).stem
        took = time.perf_counter() - self._start
        if ended:
            self._rates.append(meter.calibrate().rate)
            self._others.append(meter.others_share())
        words = " ".join([f"python -m tests.benchmarks.{script}", *shown(self._options)])
        others = " and ".join(percent(share, digits=0) for share in self._others)
        rates = " and ".join(f"{rate / 1e9:.3g}" for rate in self._rates)
        drift = max(self._rates) / min(self._rates) - 1
        quiet = max(self._others) <= meter.MAX_OTHERS and drift <= DRIFT
        return [
            f"{date.today().isoformat()}, `{words}`, {QUIET if quiet else BUSY}"
            + (f", {took:.0f} s" if ended else ""),
            *machine.facts(),
            f"load {meter.load_average()}; others took {others} of the cores "
            f"{'before and after' if ended else 'before'}; SHA-256 on all cores "
            f"{rates} GB/s",
        ]


def shown(options: Sequence[str]) -> list[str]:
    """The options that decide a figure: not where files are on this machine, nor `--busy`."""
    parser = argparse.ArgumentParser(add_help=False)
    for name in ("--data", "--work", "--json"):
        parser.add_argument(name)
    parser.add_argument("--busy", action="store_true")
    return parser.parse_known_args(options)[1]


def save(file: Path, results: Iterable[Result], facts: Sequence[str] = ()) -> None:
    """Write results as JSON, with what is to be known of the run."""

    def side(costs: tuple[float, ...]) -> dict[str, Any]:
        timed = costs if isinstance(costs, Timed) else Timed(costs)
        return {"costs": list(costs), "cpu": list(timed.cpu), "disturbed": timed.disturbed}

    rows = [
        {**vars(result), "ours": side(result.ours), "theirs": side(result.theirs)}
        for result in results
    ]
    file.write_text(json.dumps({"facts": list(facts), "results": rows}))


def load(file: Path) -> tuple[list[str], list[Result]]:
    """Facts and results as they were saved; none where the script did not come to its first."""
    if not file.is_file():
        return [], []
    saved = json.loads(file.read_text())

    def side(costs: dict[str, Any]) -> Timed:
        return Timed(costs["costs"], tuple(costs["cpu"]), costs["disturbed"])

    rows = [
        Result(
            **{
                **row,
                "ours": side(row["ours"]),
                "theirs": side(row["theirs"]),
                "goal": Goal(*row["goal"]) if row["goal"] else None,
            }
        )
        for row in saved["results"]
    ]
    return saved["facts"], rows
