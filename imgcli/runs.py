"""Where things live, and what a run is.

    raw/  dataset/                what `import` and `split` write
    runs/<time>-<arch>/           one folder per training, opened by `find_run`
    runs/latest                   a link to the newest finished one; where the file system has no
                                  links, a file with its name
    runs/test-ledger.jsonl        every evaluation of a test part; `imgcli.ledger`'s
    .imgcli/cache/                decoded pixels and features; safe to delete at any time

How they are written is `imgcli.files`'s.
"""

import errno
import os
import shlex
import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from imgcli import __version__, documents, reading, run_documents
from imgcli.aside import set_aside
from imgcli.compute.launch import name_of_launch, restarted
from imgcli.config import TrainConfig, grouped
from imgcli.errors import RunError, StorageError, WrongUsage
from imgcli.files import (
    FULL,
    atomic_file,
    json_text,
    locked,
    save_arrays,
    sweep_temporaries,
    sync_folder,
    temporary_in,
    write_atomic,
    write_json,
    writing,
)
from imgcli.progress import note, note_once
from imgcli.records import Predictions
from imgcli.text import free_suffixes

CACHE = Path(".imgcli/cache")
RUNS = Path("runs")
LATEST = "latest"  # beside runs: a link to the newest finished one, or a file with its name
FOLDS = "predictions-folds.npz"  # in a run; further repeats are predictions-folds-2.npz, ...
CHECKPOINT = "checkpoint.safetensors"  # in a run that is not finished
FORMAT = 1  # of run folders; a reader refuses any other


# --- runs ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """One training's folder and what it promises to hold."""

    folder: Path

    @property
    def finished(self) -> bool:
        """`model.json` is written last, so its presence means the training is whole."""
        return (self.folder / "model.json").is_file()

    @property
    def begun(self) -> bool:
        """`config.json` is written first; a folder without it is no run's."""
        return (self.folder / "config.json").is_file()

    @property
    def config(self) -> TrainConfig:
        document = self.read_json("config.json")
        try:
            return documents.as_type(grouped(document["config"]), TrainConfig)
        except documents.DocumentError as error:
            raise self.damaged("config.json", error) from None

    @property
    def asked(self) -> frozenset[str] | None:
        """The choices of the config that were made, not settled; None where that was not kept."""
        asked = self.read_json("config.json").get("asked")
        return None if asked is None else frozenset(asked)

    @property
    def data(self) -> Path:
        """The dataset it was trained on, as it was typed.

        Where that is not there, the folder at the same place beside the run is tried: the project
        may have moved as a whole.
        """
        document = self.read_json("config.json")
        typed, beside = Path(str(document.get("data", "dataset"))), document.get("data_from_run")
        if beside is None or typed.is_dir():
            return typed
        moved = Path(os.path.normpath(self.folder.absolute() / beside))
        if not moved.is_dir():
            return typed
        note_once(f"'{typed}' is not there; '{moved}', at the same place beside the run, is used.")
        return moved

    @property
    def photos(self) -> run_documents.Photos | None:
        """What is known of the photos that the training began with; None of older runs."""
        known = self.read_json("config.json").get("photos")
        return None if known is None else documents.as_type(known, run_documents.Photos)

    def move_data(self, data: Path) -> None:
        """Note where the dataset is now."""
        document = self.read_json("config.json")
        if document.get("data") != str(data):
            self.write_json("config.json", {**document, **_place_of(data, self.folder)})

    def read_json(self, name: str) -> dict[str, Any]:
        """Read one of the run's documents.

        Raises:
            RunError: missing, unreadable, or written by another version.
        """
        try:
            document = documents.read_json(
                self.folder / name, FORMAT, finite=name not in run_documents.NOT_FINITE
            )
            documents.as_type(document, run_documents.KINDS.get(name, dict[str, Any]))
            return dict(document)
        except documents.OtherVersion as error:
            raise RunError(
                f"'{self.folder / name}' has run format {error.found}; this imgcli ({__version__}) "
                f"reads format {FORMAT}. Train again, or use the imgcli that made it."
            ) from None
        except (OSError, documents.DocumentError) as error:
            raise self.damaged(name, error) from None

    def write_json(self, name: str, data: Mapping[str, Any]) -> None:
        """Write one of the run's documents, with a hash of its content unless users edit it."""
        hashed = name not in run_documents.EDITED
        write_json(self.folder / name, self.document(data), hashed=hashed)

    def document(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """What stands in a document of the run: the format, the version, and the data."""
        return {"format": FORMAT, "imgcli": __version__, **data}

    def save_predictions(self, name: str, predictions: Predictions, made_of: str = "") -> None:
        """Keep predictions.

        Args:
            made_of: a key of all that decided them, kept in the file beside them.
        """
        arrays = run_documents.arrays_of(predictions)
        save_arrays(self.folder / name, {**arrays, "made_of": np.asarray(made_of)})

    def made_of(self, name: str) -> str:
        """The key that predictions were kept with; empty where there are none, or it is not known.

        Raises:
            RunError: damaged.
        """
        try:
            return str(reading.read_arrays(self.folder / name).get("made_of", ""))
        except FileNotFoundError:
            return ""
        except reading.UNREADABLE as error:
            raise self.damaged(name, error) from None

    def load_predictions(self, name: str) -> Predictions:
        """Read predictions back.

        Raises:
            RunError: missing or damaged.
        """
        try:
            return run_documents.as_predictions(reading.read_arrays(self.folder / name))
        except reading.UNREADABLE as error:
            raise self.damaged(name, error) from None

    def digest(self, name: str) -> str:
        """SHA-256 of one of the run's files, hexadecimal; empty where there is none."""
        try:
            return reading.digest_of(self.folder / name)
        except FileNotFoundError:
            return ""

    def save_folds(self, repeats: Sequence[Predictions], made_of: str = "") -> None:
        """Keep what every repeat of the folds said, in place of what earlier ones did.

        Args:
            made_of: as of `save_predictions`, of all repeats.
        """
        for stale in self.folder.glob(_repeat("*")):
            stale.unlink()
        first, *again = repeats
        self.save_predictions(FOLDS, first, made_of)
        for number, predictions in enumerate(again, start=2):
            self.save_predictions(_repeat(number), predictions)

    def load_again(self, first: Predictions) -> list[Predictions]:
        """What further repeats of the folds said of the photos of the first.

        Raises:
            RunError: damaged, or of other photos.
        """
        again: list[Predictions] = []
        while (self.folder / (name := _repeat(len(again) + 2))).is_file():
            again.append(self.load_predictions(name))
            if again[-1].paths != first.paths or again[-1].classes != first.classes:
                raise RunError(
                    f"'{self.folder / name}' is of other photos than {FOLDS} beside it. Judge the "
                    f"run again: imgcli evaluate --folds 10 --run {shlex.quote(named(self))}"
                )
        return again

    def damaged(self, name: str, error: Exception) -> RunError:
        """The error for a document that is missing or cannot be read."""
        path = self.folder / name
        if isinstance(error, FileNotFoundError) or not path.exists():
            return RunError(f"'{path}' is missing: the run is unfinished or damaged. Train again.")
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        said = " ".join(said.split()).rstrip(".")
        remedy = run_documents.remedy(name, shlex.quote(named(self)))
        return RunError(f"'{path}' cannot be read (it is damaged: {said}). {remedy}")

    def check_file(self, name: str) -> None:
        """Compare a file with what `model.json` says of its bytes, if it does.

        Raises:
            RunError: it has changed since it was written, or is missing.
        """
        expected = self.read_json("model.json").get("files", {}).get(name)
        try:
            if expected and reading.digest_of(self.folder / name) != expected:
                raise documents.DocumentError("its content has changed since it was written")
        except (OSError, documents.DocumentError) as error:
            raise self.damaged(name, error) from None


def _place_of(data: Path, folder: Path) -> dict[str, Any]:
    """Where a dataset is: as it was typed, and from the run's folder where there is such a way."""
    with suppress(ValueError):  # two drives of Windows
        beside = Path(os.path.relpath(data.absolute(), folder.absolute())).as_posix()
        return {"data": str(data), "data_from_run": beside}
    return {"data": str(data), "data_from_run": None}


def new_run(
    runs: Path,
    config: TrainConfig,
    data: Path,
    asked: Collection[str] | None = None,
    photos: run_documents.Photos | None = None,
) -> Run:
    """Make the folder of a training that begins now, with its config in it from the first moment.

    Args:
        asked: the choices of the config that were made, where the others were settled.
        photos: those of the dataset, by which a resumed training knows them.
    """
    slug = "".join(c if c.isalnum() or c in "._" else "-" for c in config.model.arch)[:60].strip(
        "-."
    )
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    runs.mkdir(parents=True, exist_ok=True)
    staging = temporary_in(runs)
    document: dict[str, Any] = {**_place_of(data, staging), "config": config.to_json()}
    if photos is not None:
        document["photos"] = {"n": photos.n, "sha256": photos.sha256}
    if launch := name_of_launch():
        document["launch"] = launch
    staging.mkdir()
    try:
        Run(staging).write_json(
            "config.json", document if asked is None else {**document, "asked": [*asked]}
        )
        folder = _placed(staging, runs / f"{stamp}-{slug}")
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    sync_folder(runs)
    return Run(folder)


def _placed(staging: Path, wanted: Path) -> Path:
    """Rename a run's folder to a name that no other has, even one that begins just now."""
    for suffix in free_suffixes():
        folder = wanted.with_name(wanted.name + suffix)
        try:
            os.rename(staging, folder)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
            continue
        break
    return folder


def training(run: Run) -> AbstractContextManager[None]:
    """Be the one that trains a run.

    Raises:
        StorageError: another imgcli is training it, on entering.
    """
    return locked(run.folder / ".training.lock")


def in_use(run: Run) -> bool:
    """Whether another imgcli trains the run or cross-validates it now."""
    for folder, _, files in os.walk(run.folder):
        for name in files:
            if name.startswith(".") and name.endswith(".lock"):
                try:
                    with locked(Path(folder) / name):
                        pass
                except StorageError:
                    return True
                except OSError:  # a place that cannot be written, where nobody trains
                    pass
    return False


def size_of(run: Run) -> int:
    """Bytes of all files of a run."""
    found = 0
    for folder, _, files in os.walk(run.folder):
        for name in files:
            with suppress(OSError):  # removed meanwhile
                found += os.lstat(os.path.join(folder, name)).st_size
    return found


def remove_run(run: Run) -> None:
    """Remove a run's folder: it is renamed first, so that no half of it is ever taken for a run.

    `latest` points to the newest finished run that is left, or is removed with the last. What a
    kill leaves has a temporary's name, and `sweep` removes it.

    Raises:
        StorageError: another imgcli is training it.
    """
    runs = run.folder.parent
    with training(run):
        pointed = _pointed(runs / LATEST)
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


def source_of(run: Run) -> Path | None:
    """The folder of the run whose weights a run started from; None for one that did not so."""
    weights = run.config.model.weights
    if not weights:
        return None
    path = Path(weights)
    folder = path.parent if path.name == "model.safetensors" else path
    for place in (folder, run.folder.parent / folder.name):  # the project may have moved
        if Run(place).begun:
            return place
    return None


def all_runs(runs: Path = RUNS) -> list[Run]:
    """All runs, finished or not, oldest first."""
    return _run_folders(runs)


def latest_run(runs: Path = RUNS) -> Path | None:
    """The folder of the run that `latest` points to; None where it points to none."""
    pointed = _pointed(runs / LATEST)
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
    if os.path.lexists(latest) and _pointed(latest) is None:
        what = "a folder" if latest.is_dir() else "a file of something else"
        aside = set_aside(latest)
        note(
            f"'{latest}' was {what}, not a link to a run, as some copies make of a link. It is "
            f"kept as '{aside.name}' beside it; '{LATEST}' will point to the new run."
        )


def _pointed(place: Path) -> Path | None:
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
            run = _latest_run(place) if place.name == LATEST else _pointed(place)
            if run is not None:
                return run / path.relative_to(place)
    return path


def is_latest(run: Run) -> bool:
    """Whether `latest` under runs/ stands for the run."""
    found = _latest_run(RUNS / LATEST)
    return found is not None and found.resolve() == run.folder.resolve()


def _latest_run(latest: Path) -> Path | None:
    """The run's folder that `latest` stands for, finished or not; None if there is none.

    Where it does not point to a run, as after a copy without it, that is the newest finished one.
    """
    pointed = _pointed(latest)
    if pointed is not None and Run(pointed).begun:
        return pointed
    if pointed is None and Run(latest).begun:
        return _original(latest) or latest
    known = finished_runs(latest.parent)
    if not known:
        return None
    newest = known[-1].folder
    why = "does not point to a run here" if os.path.lexists(latest) else "is not there"
    note_once(f"'{latest}' {why}; the newest finished run is used: '{newest.name}'.")
    return newest


def _original(copy: Path) -> Path | None:
    """The run beside a copied `latest` that it is a copy of."""
    wanted = [Run(copy).digest(name) for name in ("config.json", "model.json")]
    for run in reversed(_run_folders(copy.parent)):
        if [run.digest(name) for name in ("config.json", "model.json")] == wanted:
            return run.folder
    return None


def sweep(runs: Path = RUNS) -> None:
    """Remove what killed trainings and evaluations left among runs; nothing of a living one."""
    sweep_temporaries(runs)
    for run in _run_folders(runs):
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
    run = Run((_latest_run(place) if place.name == LATEST else _pointed(place)) or place)
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
    return _original(place) if copied else _pointed(place)


def _place(name: str, runs: Path) -> Path:
    """The path that a name of a run stands for: under runs/ where there is such a one."""
    under = os.path.lexists(runs / name) or (name == LATEST and not os.path.lexists(name))
    return runs / name if under else Path(name)


def finished_runs(runs: Path = RUNS) -> Sequence[Run]:
    """All finished runs, oldest first."""
    return [run for run in _run_folders(runs) if run.finished]


def unfinished_run(name: str | None = None, runs: Path = RUNS) -> Run:
    """The run to resume: `name`, or the newest that was begun and not finished.

    If the newest of all is of a bag, and not the last of it, that is where the bag was left.

    Raises:
        RunError: there is none.
    """
    there = _run_folders(runs)
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
        for run in _run_folders(runs)
        if run.read_json("config.json").get("launch") == name_of_launch()
    ]
    unfinished = own and (not own[-1].finished or _more_of_its_bag(own[-1]))
    return own[-1] if unfinished else None


def _more_of_its_bag(run: Run) -> bool:
    config = run.config
    return config.data.bag is not None and config.data.bag + 1 < (config.data.bag_of or 0)


def named(run: Run) -> str:
    """The run as `--run` takes it: by its name alone where it lies under runs/."""
    return run.folder.name if run.folder.parent == RUNS else str(run.folder)


def _repeat(number: int | str) -> str:
    """The file of a further repeat of the folds."""
    return FOLDS.replace(".", f"-{number}.")


def _run_folders(runs: Path) -> list[Run]:
    if not runs.is_dir():
        return []
    return [
        Run(folder)
        for folder in sorted(runs.iterdir())
        if not folder.is_symlink()
        and not folder.name.startswith((".", LATEST))  # a copy of one of them
        and Run(folder).begun
    ]
