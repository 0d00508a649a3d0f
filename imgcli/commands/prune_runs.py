"""`imgcli.prune_runs`: remove runs that are not needed, and tell the space that it gave."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgcli.commands.list_runs import chosen_runs
from imgcli.commands.results import Result
from imgcli.commands.run_facts import RunFacts, run_facts
from imgcli.errors import StorageError, WrongUsage
from imgcli.files import sweep_temporaries
from imgcli.latest_run import remove_run
from imgcli.runs import RUNS, Run, all_runs


@dataclass(frozen=True)
class Left:
    """A run that is not removed, though it was among those to remove."""

    run: Path
    reason: str


@dataclass(frozen=True, eq=False, repr=False)
class PruneResult(Result):
    """Runs that were removed, or are to be."""

    folder: Path
    removed: tuple[RunFacts, ...]
    left: tuple[Left, ...]
    warnings: tuple[str, ...] = ()  # of runs that were named though others need them

    @property
    def freed(self) -> int:
        """Bytes of the runs that are removed."""
        return sum(one.size for one in self.removed)

    def to_json(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "removed": [one.to_json() for one in self.removed],
            "freed": self.freed,
            "left": [{"run": str(one.run), "reason": one.reason} for one in self.left],
            "warnings": list(self.warnings),
        }


def prune_runs(
    names: Sequence[str | Path] = (),
    *,
    runs: str | Path = RUNS,
    unfinished: bool = False,
    keep: int | None = None,
) -> PruneResult:
    """Remove runs; without any of the three arguments, the unfinished ones.

    The run that `latest` points to, and a run whose weights another one started from, is removed
    only if it is named. A run that is being trained or cross-validated is never removed.

    Args:
        names: of runs to remove, finished or not.
        runs: the folder.
        unfinished: remove those that were not trained to the end.
        keep: remove the finished ones but for so many, the newest.

    Raises:
        WrongUsage: a negative `keep`.
        RunError: no run of such a name.
    """
    plan = plan_prune(names, runs=runs, unfinished=unfinished, keep=keep)
    return carry_out(plan)


def plan_prune(
    names: Sequence[str | Path] = (),
    *,
    runs: str | Path = RUNS,
    unfinished: bool = False,
    keep: int | None = None,
) -> PruneResult:
    """What `prune_runs` would remove; nothing is removed."""
    if keep is not None and keep < 0:
        raise WrongUsage(f"--keep {keep} must be at least 0.")
    folder = Path(runs)
    every = [run_facts(run) for run in all_runs(folder)]
    named = {run.folder.resolve() for run in chosen_runs(names, folder)}
    wanted = {one.run.resolve() for one in every} & named
    finished = [one.run.resolve() for one in every if one.finished]
    if keep is not None:
        wanted |= set(finished[: max(len(finished) - keep, 0)])
    if unfinished or not (names or keep is not None):
        wanted |= {one.run.resolve() for one in every if not one.finished}
    reasons = {one.run.resolve(): reason for one in every if (reason := _reason(one, named))}
    _protect_sources(every, wanted, named, reasons)
    return PruneResult(
        folder=folder,
        removed=tuple(
            one for one in every if one.run.resolve() in wanted and one.run.resolve() not in reasons
        ),
        left=tuple(
            Left(one.run, reasons[place])
            for one in every
            if (place := one.run.resolve()) in wanted and place in reasons
        ),
        warnings=tuple(_warnings(every, named)),
    )


def _reason(one: RunFacts, named: set[Path]) -> str | None:
    """Why a run stays, whatever else is asked for."""
    if one.training:
        return "another imgcli is working on it"
    if one.latest and one.run.resolve() not in named:
        return "it is the latest run; name it to remove it"
    return None


def _protect_sources(
    every: Sequence[RunFacts], wanted: set[Path], named: set[Path], reasons: dict[Path, str]
) -> None:
    """Keep the runs that those which stay started from, and those that these started from."""
    changed = True
    while changed:
        changed = False
        for one in every:
            stays = one.run.resolve() not in wanted or one.run.resolve() in reasons
            source = None if one.starts_from is None else one.starts_from.resolve()
            if stays and source in wanted - named and source not in reasons:
                reasons[source] = f"'{one.run.name}' started from it; name it to remove it"
                changed = True


def _warnings(every: Sequence[RunFacts], named: set[Path]) -> list[str]:
    said = [
        f"'{one.run.name}' started from '{one.starts_from.name}'."
        for one in every
        if one.starts_from is not None
        and one.starts_from.resolve() in named
        and one.run.resolve() not in named
    ]
    latest = (one for one in every if one.latest and one.run.resolve() in named)
    return [*said, *(f"'{one.run.name}' is the latest run." for one in latest)]


def carry_out(plan: PruneResult) -> PruneResult:
    """Remove the runs of a plan; one that is being trained by now is left."""
    sweep_temporaries(plan.folder)
    removed, left = [], list(plan.left)
    for one in plan.removed:
        try:
            remove_run(Run(one.run))
            removed.append(one)
        except StorageError:
            left.append(Left(one.run, "another imgcli is working on it"))
        except OSError as error:
            left.append(Left(one.run, error.strerror or str(error)))
    return PruneResult(plan.folder, tuple(removed), tuple(left), plan.warnings)
