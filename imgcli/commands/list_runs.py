"""`imgcli.list_runs`: the runs that there are, with their accuracies and sizes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from imgcli.commands.results import Tabular
from imgcli.commands.run_facts import RunFacts, run_facts
from imgcli.errors import RunError
from imgcli.latest_run import latest_run
from imgcli.report.table_formats import TableRecord
from imgcli.report.table_records import runs_table
from imgcli.runs import LATEST, RUNS, Run, all_runs
from imgcli.text import listed, megabytes, percent

Order = Literal["date", "accuracy", "size", "arch"]
_KEYS: dict[Order, Callable[[RunFacts], Any]] = {
    "date": lambda one: one.date,
    "accuracy": lambda one: -1.0 if one.accuracy is None else one.accuracy.value,
    "size": lambda one: one.size,
    "arch": lambda one: one.arch,
}


@dataclass(frozen=True, eq=False, repr=False)
class RunsResult(Tabular):
    """The runs in a folder."""

    folder: Path
    runs: tuple[RunFacts, ...]

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(one.size for one in self.runs)

    def to_json(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "runs": [one.to_json() for one in self.runs],
            "bytes": self.size,
        }

    def tables(self) -> dict[str, TableRecord]:
        """The table "runs"."""
        return {"runs": runs_table([one.to_json() for one in self.runs])}

    def _rows(self) -> Iterator[tuple[str, str]]:
        for one in self.runs:
            accuracy = "–" if one.accuracy is None else percent(one.accuracy.value)
            yield one.run.name, f"{one.arch}, accuracy {accuracy}, {megabytes(one.size)}"


def list_runs(
    names: Sequence[str | Path] = (), *, runs: str | Path = RUNS, sort: Order = "date"
) -> RunsResult:
    """List the runs in a folder, finished or not.

    Args:
        names: of the runs to list; by default all.
        runs: the folder.
        sort: by "date" or "arch", ascending; by "accuracy" or "size", the largest first.

    Raises:
        RunError: no run of such a name.
    """
    found = chosen_runs(names, Path(runs)) if names else all_runs(Path(runs))
    facts = sorted((run_facts(run) for run in found), key=lambda one: one.date)
    facts.sort(key=_KEYS[sort], reverse=sort in ("accuracy", "size"))
    return RunsResult(Path(runs), tuple(facts))


def chosen_runs(names: Sequence[str | Path], runs: Path) -> list[Run]:
    """The runs of these names in a folder, finished or not, each once.

    Raises:
        RunError: there is no such run.
    """
    found: dict[Path, Run] = {}
    for name in names:
        place = latest_run(runs) if str(name) == LATEST else None
        places = [place] if place else [runs / Path(name).name, Path(name)]
        run = next((Run(one) for one in places if Run(one).begun and one.name != LATEST), None)
        if run is None:
            have = [one.folder.name for one in all_runs(runs)]
            known = f" There are {listed(have[-5:])}." if have else ""
            raise RunError(f"No run '{name}' in '{runs}/'.{known}")
        found.setdefault(run.folder.resolve(), run)
    return list(found.values())
