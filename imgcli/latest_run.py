"""`runs/latest`: a link to the newest finished run, or a file with its name."""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from imgcli.aside import set_aside
from imgcli.files import (
    FULL,
    atomic_file,
    json_text,
    sync_folder,
    temporary_in,
    write_atomic,
    writing,
)
from imgcli.progress import note, note_once
from imgcli.runs import LATEST, RUNS, Run, finished_runs, run_folders, training


def remove_run(run: Run) -> None:
    """Remove a run's folder: it is renamed first, so that no half of it is ever taken for a run.

    `latest` points to the newest finished run that is left, or is removed with the last. What a
    kill leaves has a temporary's name, and `sweep` removes it.

    Raises:
        StorageError: another imgcli is training it.
    """
    runs = run.folder.parent
    with training(run):
        pointed = link_target(runs / LATEST)
        if pointed is not None and os.path.realpath(pointed) == os.path.realpath(run.folder):
            others = [one for one in finished_runs(runs) if one.folder.name != run.folder.name]
            if others:
                _point(runs / LATEST, others[-1].folder.name)
            else:
                (runs / LATEST).unlink()
        aside = temporary_in(runs)
        os.rename(run.folder, aside)
        sync_folder(runs)
    shutil.rmtree(aside)


def latest_run(runs: Path = RUNS) -> Path | None:
    """The folder of the run that `latest` points to; None where it points to none."""
    pointed = link_target(runs / LATEST)
    return pointed if pointed is not None and Run(pointed).begun else None


def finish_run(run: Run, model: Mapping[str, Any]) -> None:
    """Declare the training whole: point `runs/latest` at it and write `model.json`.

    In this order, so that a kill between the two leaves a latest run that asks to be resumed, and
    not an earlier one that is taken for it.
    """
    with atomic_file(run.folder / "model.json") as temporary:
        temporary.write_text(json_text(run.document(model), hashed=True), "utf-8")
        make_room_for_latest(run.folder.parent)  # a sync may have brought a folder since
        _point(run.folder.parent / LATEST, run.folder.name)


def _point(latest: Path, name: str) -> None:
    """Let `latest` be a link to the run beside it or, where there are no links, a file."""
    other = temporary_in(latest.parent)
    with writing(latest, by=other):
        try:
            other.symlink_to(name)
            os.replace(other, latest)
        except OSError as error:
            with suppress(OSError):
                other.unlink()
            if error.errno in FULL:
                raise
            write_atomic(latest, name + "\n")


def make_room_for_latest(runs: Path) -> None:
    """Move aside what is at `runs/latest` and does not point to a run, with a note.

    A copy that follows links, as `scp -r` and `zip -r` make, has a folder there. It is looked for
    before a training, so that the training does not end in it.
    """
    latest = runs / LATEST
    if os.path.lexists(latest) and link_target(latest) is None:
        what = "a folder" if latest.is_dir() else "a file of something else"
        aside = set_aside(latest)
        note(
            f"'{latest}' was {what}, not a link to a run, as some copies make of a link. It is "
            f"kept as '{aside.name}' beside it; '{LATEST}' will point to the new run."
        )


def link_target(place: Path) -> Path | None:
    """What a link, or `latest` as a file, points to, be it there or not; None for anything else."""
    if place.is_symlink():
        return place.parent / place.readlink()
    with suppress(OSError, UnicodeDecodeError):
        if place.name == LATEST and place.is_file() and place.stat().st_size <= 1024:
            name = place.read_text("utf-8").strip()
            if name and name.isprintable() and "/" not in name:
                return place.parent / name
    return None


def through_latest(path: Path) -> Path:
    """The path with the run's own folder in place of a link to it, such as `latest`.

    `latest` will soon be another run, and where it is a file nothing is found beneath it.
    """
    for place in (path, *path.parents):
        if place.name == LATEST or place == path:
            run = run_of_latest(place) if place.name == LATEST else link_target(place)
            if run is not None:
                return run / path.relative_to(place)
    return path


def is_latest(run: Run) -> bool:
    """Whether `latest` under runs/ stands for the run."""
    found = run_of_latest(RUNS / LATEST)
    return found is not None and found.resolve() == run.folder.resolve()


def run_of_latest(latest: Path) -> Path | None:
    """The run's folder that `latest` stands for, finished or not; None if there is none.

    Where it does not point to a run, as after a copy without it, that is the newest finished one.
    """
    pointed = link_target(latest)
    if pointed is not None and Run(pointed).begun:
        return pointed
    if pointed is None and Run(latest).begun:
        return copied_from(latest) or latest
    known = finished_runs(latest.parent)
    if not known:
        return None
    newest = known[-1].folder
    why = "does not point to a run here" if os.path.lexists(latest) else "is not there"
    note_once(f"'{latest}' {why}; the newest finished run is used: '{newest.name}'.")
    return newest


def copied_from(copy: Path) -> Path | None:
    """The run beside a copied `latest` that it is a copy of."""
    wanted = [Run(copy).digest(name) for name in ("config.json", "model.json")]
    for run in reversed(run_folders(copy.parent)):
        if [run.digest(name) for name in ("config.json", "model.json")] == wanted:
            return run.folder
    return None
