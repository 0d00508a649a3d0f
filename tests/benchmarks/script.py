"""How a benchmark script is run, and what it is told."""

import argparse
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks import machine
from tests.benchmarks.material import SHARED, Material
from tests.benchmarks.timing import Goal, Result, table


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


def options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the options that every script has, and the one that runs them all."""
    add = parser.add_argument
    add("--data", type=Path, default=SHARED, metavar="PATH", help="photos; see material.py")
    add("--work", type=Path, metavar="DIR", help="unpack the photos here and keep them")
    add("--rounds", type=int, metavar="N", help="do everything so often, not as each script has it")
    add("--quick", action="store_true", help="little work: to see that it runs")
    add("--full", action="store_true", help="also what takes more than ten minutes")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"))
    return parser


def main(measure: Callable[[Setting], Iterable[Result]], about: str | None) -> None:
    """Run one script: print the machine and a table as it grows row by row."""
    parser = options(argparse.ArgumentParser(description=about))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here as well")
    chosen = parser.parse_args()
    os.environ.setdefault("COLUMNS", "100")
    print("\n".join([machine.title(), *machine.facts(), ""]), flush=True)
    results = []
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
    print("\n" + table(results))


def save(file: Path, results: Iterable[Result]) -> None:
    file.write_text(json.dumps([asdict(result) for result in results]))


def load(file: Path) -> list[Result]:
    """Results as they were saved; none where the script did not come to its first."""
    if not file.is_file():
        return []
    rows = json.loads(file.read_text())
    return [
        Result(
            **{
                **row,
                "ours": tuple(row["ours"]),
                "theirs": tuple(row["theirs"]),
                "goal": Goal(*row["goal"]) if row["goal"] else None,
            }
        )
        for row in rows
    ]
