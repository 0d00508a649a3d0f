"""Which run is meant: by a name, the newest, or the one to resume; and what killed ones left."""

import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from imgcli.compute.launch import name_of_launch, restarted
from imgcli.errors import RunError, WrongUsage
from imgcli.files import (
    sweep_temporaries,
)
from imgcli.latest_run import copied_from, link_target, run_of_latest
from imgcli.progress import note
from imgcli.runs import CHECKPOINT, LATEST, RUNS, Run, finished_runs, run_folders


def sweep(runs: Path = RUNS) -> None:
    """Remove what killed trainings and evaluations left among runs; nothing of a living one."""
    sweep_temporaries(runs)
    for run in run_folders(runs):
        for folder, _, _ in os.walk(run.folder):
            sweep_temporaries(Path(folder))
        if run.finished:  # and needs it no more
            with suppress(OSError):  # another user's run
                (run.folder / CHECKPOINT).unlink(missing_ok=True)


def find_run(name: str = "latest", runs: Path = RUNS) -> Run:
    """The finished run called `name`: "latest", a folder's name under runs/, or a path.

    Raises:
        RunError: there is none, or it is unfinished; the message lists what there is.
    """
    place = _place(name, runs)
    run = Run((run_of_latest(place) if place.name == LATEST else link_target(place)) or place)
    if run.finished:
        return run
    if run.begun:
        out = "" if run.folder.parent == RUNS else f" --out {shlex.quote(str(run.folder.parent))}"
        raise RunError(
            f"'{place}' is not a finished run: it has no model.json. Finish it with "
            f"`imgcli train --resume --run {shlex.quote(run.folder.name)}{out}`, or name another "
            "with --run."
        )
    known = finished_runs(runs)
    if name == "latest" and not known:
        raise RunError(f"No finished run in '{runs}/'. Train one first: imgcli train --freeze")
    have = f" There are {', '.join(run.folder.name for run in known[-5:])}." if known else ""
    what = f"'{place}' is not a run's folder" if place.exists() else f"No run '{name}' in '{runs}/'"
    raise RunError(f"{what}.{have}")


def find_runs(names: Sequence[str], runs: Path = RUNS) -> list[Run]:
    """The finished runs of several names, as by `find_run`.

    A shell's * over a folder of runs names more than them: what lies beside a named run and is none
    is left out with a note, and so is a link, like "latest", to a run that is named itself.

    Raises:
        WrongUsage: one run is named twice.
    """
    places = [(name, _place(name, runs)) for name in names]
    others = {place: _stands_for(place) for _, place in places}
    themselves = {os.path.realpath(place) for place, other in others.items() if other is None}
    among = {place.parent for _, place in places if Run(place).begun}
    found: dict[Path, Run] = {}
    for name, place in places:
        other = others[place]
        if other is not None and os.path.realpath(other) in themselves:
            note(f"'{place}' is left out: it is '{other.name}', which is named itself.")
        elif os.path.lexists(place) and place.parent in among and not Run(other or place).begun:
            note(f"'{place}' is left out: it is not a run's folder.")
        else:
            run = find_run(name, runs)
            if found.setdefault(run.folder.resolve(), run) is not run:
                raise WrongUsage(f"The run '{run.folder}' is named twice; name different runs.")
    return list(found.values())


def refuse_missing(names: Sequence[str]) -> None:
    """Refuse names of runs that do not exist, before what works with them is imported.

    Raises:
        RunError: as of `find_run`.
    """
    for name in names:
        if not os.path.lexists(_place(name, RUNS)):
            find_run(name)


def _stands_for(place: Path) -> Path | None:
    """The run's folder that a link to it, or a copied `latest`, stands for; None for any other."""
    copied = place.name == LATEST and not place.is_symlink() and Run(place).begun
    return copied_from(place) if copied else link_target(place)


def _place(name: str, runs: Path) -> Path:
    """The path that a name of a run stands for: under runs/ where there is such a one."""
    under = os.path.lexists(runs / name) or (name == LATEST and not os.path.lexists(name))
    return runs / name if under else Path(name)


def unfinished_run(name: str | None = None, runs: Path = RUNS) -> Run:
    """The run to resume: `name`, or the newest that was begun and not finished.

    If the newest of all is of a bag, and not the last of it, that is where the bag was left.

    Raises:
        RunError: there is none.
    """
    there = run_folders(runs)
    begun = [run for run in there if not run.finished]
    if there and there[-1].finished and _more_of_its_bag(there[-1]):
        begun.append(there[-1])
    if name is not None:
        begun = [run for run in begun if run.folder.name == Path(name).name]
    if not begun:
        which = f"run '{name}'" if name else "unfinished run"
        raise RunError(f"No {which} to resume in '{runs}/'. Start one with `imgcli train`.")
    return begun[-1]


def run_of_this_launch(runs: Path) -> Run | None:
    """The run that torchrun's launch of this command began before a restart; None without one."""
    if not restarted():
        return None
    own = [
        run
        for run in run_folders(runs)
        if run.read_json("config.json").get("launch") == name_of_launch()
    ]
    unfinished = own and (not own[-1].finished or _more_of_its_bag(own[-1]))
    return own[-1] if unfinished else None


def _more_of_its_bag(run: Run) -> bool:
    config = run.config
    return config.data.bag is not None and config.data.bag + 1 < (config.data.bag_of or 0)
