"""Where things live, and what a run is.

    raw/  dataset/                what `import` and `split` write
    runs/<time>-<arch>/           one folder per training, found by `imgcli.run_lookup`
    runs/latest                   a link to the newest finished one; `imgcli.latest_run`'s
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
from imgcli.compute.launch import name_of_launch
from imgcli.config import TrainConfig, grouped
from imgcli.errors import RunError, StorageError
from imgcli.files import (
    locked,
    save_arrays,
    sync_folder,
    temporary_in,
    write_json,
)
from imgcli.progress import note_once
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
    return run_folders(runs)


def finished_runs(runs: Path = RUNS) -> Sequence[Run]:
    """All finished runs, oldest first."""
    return [run for run in run_folders(runs) if run.finished]


def named(run: Run) -> str:
    """The run as `--run` takes it: by its name alone where it lies under runs/."""
    return run.folder.name if run.folder.parent == RUNS else str(run.folder)


def _repeat(number: int | str) -> str:
    """The file of a further repeat of the folds."""
    return FOLDS.replace(".", f"-{number}.")


def run_folders(runs: Path) -> list[Run]:
    if not runs.is_dir():
        return []
    return [
        Run(folder)
        for folder in sorted(runs.iterdir())
        if not folder.is_symlink()
        and not folder.name.startswith((".", LATEST))  # a copy of one of them
        and Run(folder).begun
    ]
