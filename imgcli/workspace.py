"""Where things live and how they get there.

    raw/  dataset/                what `import` and `split` write
    runs/<time>-<arch>/           one folder per training, opened by `find_run`
    runs/latest                   a link to the newest finished one
    runs/test-ledger.jsonl        every scoring of a test part
    .imgcli/cache/                decoded pixels and features; safe to delete at any time

Every file is written under a temporary name and renamed, so a reader sees the old one or the new
one and never a part. No pickle is read or written.
"""

import errno
import fcntl
import hashlib
import itertools
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from imgcli import __version__
from imgcli.errors import RunError, StorageError
from imgcli.records import Predictions, TrainConfig
from imgcli.wording import megabytes

CACHE = Path(".imgcli/cache")
RUNS = Path("runs")
LEDGER = "test-ledger.jsonl"
FORMAT = 1  # of run folders; a reader refuses any other

_counter = itertools.count()


# --- writing ------------------------------------------------------------------------------------


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; on success it becomes `path`, durably."""
    # Not derived from the name, which may already be 255 bytes long.
    temporary = path.parent / f".imgcli-{os.getpid()}-{next(_counter)}.tmp"
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write a whole file, all or nothing; text as UTF-8 with undecodable file names kept."""
    raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    with atomic_file(path) as temporary:
        temporary.write_bytes(raw)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write one JSON document, all or nothing."""
    write_atomic(path, json.dumps(data, indent=2, default=_plain) + "\n")


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems
            raise
    finally:
        os.close(handle)


def sweep_temporaries(folder: Path) -> None:
    """Remove what a killed writer left in `folder`."""
    for stale in folder.glob(".imgcli-*.tmp"):
        stale.unlink(missing_ok=True)


@contextmanager
def staged_folder(out: Path, *, replace: bool, keep_old: bool = False) -> Iterator[Path]:
    """Give `<out>.incomplete/` to fill; on success it becomes `out`, whole.

    Args:
        replace: whether an `out` that exists may be replaced.
        keep_old: then move the old one aside, since it may hold someone's photos.

    Raises:
        StorageError: `out` exists and may not be replaced, or another imgcli is writing it.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with locked(out.with_name(f".{out.name}.lock")):
        exists = out.is_symlink() or (out.exists() and not _is_empty_folder(out))
        if exists and not replace:
            raise StorageError(
                f"'{out}' exists. Choose another --out, or replace it whole with --force."
            )
        staging = out.with_name(out.name + ".incomplete")
        if staging.exists():
            shutil.rmtree(staging)
        staging.mkdir()
        try:
            yield staging
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        aside = out.with_name(f"{out.name}.{'replaced' if keep_old else 'old'}-{stamp}")
        if exists:
            os.rename(out, aside)
        elif out.exists():
            out.rmdir()
        os.rename(staging, out)
        if exists and not keep_old and not aside.is_symlink():
            shutil.rmtree(aside, ignore_errors=True)
    sync_folder(out.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the one writer's lock at `path`; the system drops it if the process dies.

    Raises:
        StorageError: another imgcli holds it.
    """
    while True:
        file = open(path, "a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The holder before us removes the file; a lock on a removed file excludes nobody.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    break
        except BlockingIOError:
            file.close()
            raise StorageError(
                f"Another imgcli is writing here (lock '{path}'). Wait for it to finish."
            ) from None
        file.close()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()


def need_space(folder: Path, size: int, what: str) -> None:
    """Refuse early when `size` bytes will not fit.

    Raises:
        StorageError: naming what was to be written, its size and what is free.
    """
    free = shutil.disk_usage(folder).free
    if size > free:
        raise StorageError(
            f"{what} needs {megabytes(size)} in '{folder}', where {megabytes(free)} are free. "
            "Free some space, or work on another disk."
        )


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _plain(value: Any) -> Any:
    """What `json` cannot write by itself: numpy scalars and arrays, paths."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} in JSON")


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
    def config(self) -> TrainConfig:
        document = self.read_json("config.json")
        try:
            return TrainConfig.from_json(document["config"])
        except (KeyError, TypeError) as error:
            raise self.damaged("config.json", error) from None

    @property
    def data(self) -> Path:
        """The dataset it was trained on, as it was typed."""
        return Path(str(self.read_json("config.json").get("data", "dataset")))

    def read_json(self, name: str) -> dict[str, Any]:
        """Read one of the run's documents.

        Raises:
            RunError: missing, unreadable, or written by another version.
        """
        try:
            document = json.loads((self.folder / name).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise self.damaged(name, error) from None
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            found = document.get("format") if isinstance(document, dict) else None
            raise RunError(
                f"'{self.folder / name}' has run format {found}; this imgcli ({__version__}) reads "
                f"format {FORMAT}. Train again, or use the imgcli that made it."
            )
        return document

    def write_json(self, name: str, data: Mapping[str, Any]) -> None:
        write_json(self.folder / name, {"format": FORMAT, "imgcli": __version__, **data})

    def save_predictions(self, name: str, predictions: Predictions) -> None:
        arrays = {key: np.asarray(value) for key, value in vars(predictions).items()}
        save_arrays(self.folder / name, arrays)

    def load_predictions(self, name: str) -> Predictions:
        """Read predictions back.

        Raises:
            RunError: missing or damaged.
        """
        try:
            with load_arrays(self.folder / name) as file:
                return Predictions(
                    classes=tuple(file["classes"].tolist()),
                    indices=file["indices"],
                    targets=file["targets"],
                    probs=file["probs"],
                    fold=file["fold"],
                    groups=file["groups"],
                    paths=tuple(file["paths"].tolist()),
                    on=str(file["on"]),
                    out_of_sample=bool(file["out_of_sample"]),
                )
        except (*UNREADABLE, AssertionError) as error:
            raise self.damaged(name, error) from None

    def damaged(self, name: str, error: Exception) -> RunError:
        """The error for a document that is missing or cannot be read."""
        path = self.folder / name
        if isinstance(error, FileNotFoundError) or not path.exists():
            return RunError(f"'{path}' is missing: the run is unfinished or damaged. Train again.")
        return RunError(
            f"'{path}' cannot be read ({type(error).__name__}: {error}). Restore it or train again."
        )


def save_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write named arrays as one compressed `.npz`, all or nothing."""
    with atomic_file(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)


# What reading a damaged `.npz` may raise.
# RuntimeError: what zipfile says of a flag it does not know, as after a flipped bit.
UNREADABLE = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


@contextmanager
def load_arrays(path: Path) -> Iterator[Mapping[str, Any]]:
    """The arrays of an `.npz`, read as they are asked for; one of UNREADABLE if it is damaged."""
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
        yield arrays


def new_run(runs: Path, config: TrainConfig, data: Path) -> Run:
    """Make the folder of a training that begins now and store its config."""
    slug = "".join(c if c.isalnum() or c in "._" else "-" for c in config.arch)[:40].strip("-.")
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    runs.mkdir(parents=True, exist_ok=True)
    for suffix in itertools.chain([""], (f"-{n}" for n in itertools.count(2))):
        folder = runs / f"{stamp}-{slug}{suffix}"
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        break
    run = Run(folder)
    run.write_json("config.json", {"data": str(data), "config": config.to_json()})
    return run


def finish_run(run: Run, model: Mapping[str, Any]) -> None:
    """Declare the training whole: write `model.json` and point `runs/latest` at it."""
    run.write_json("model.json", model)
    link = run.folder.parent / "latest"
    temporary = run.folder.parent / f".imgcli-{os.getpid()}-{next(_counter)}.tmp"
    temporary.symlink_to(run.folder.name)
    os.replace(temporary, link)


def find_run(name: str = "latest", runs: Path = RUNS) -> Run:
    """The finished run called `name`: "latest", a folder's name under runs/, or a path.

    Raises:
        RunError: there is none, or it is unfinished; the message lists what there is.
    """
    for folder in (runs / name, Path(name)):
        if folder.is_dir():
            run = Run(folder.parent / folder.readlink() if folder.is_symlink() else folder)
            if run.finished:
                return run
            raise RunError(
                f"'{folder}' is not a finished run: it has no model.json. Finish it with "
                f"`imgcli train --resume --run {folder.name}`, or name another with --run."
            )
    known = finished_runs(runs)
    if name == "latest" and not known:
        raise RunError(
            f"No finished run in '{runs}/'. Train one first: imgcli train --arch resnet101 --freeze"
        )
    have = f" There are {', '.join(run.folder.name for run in known[-5:])}." if known else ""
    raise RunError(f"No run '{name}' in '{runs}/'.{have}")


def finished_runs(runs: Path = RUNS) -> Sequence[Run]:
    """All finished runs, oldest first."""
    return [run for run in _run_folders(runs) if run.finished]


def unfinished_run(name: str | None = None, runs: Path = RUNS) -> Run:
    """The run to resume: `name`, or the newest that was begun and not finished.

    Raises:
        RunError: there is none.
    """
    begun = [run for run in _run_folders(runs) if not run.finished]
    if name is not None:
        begun = [run for run in begun if run.folder.name == Path(name).name]
    if not begun:
        which = f"run '{name}'" if name else "unfinished run"
        raise RunError(f"No {which} to resume in '{runs}/'. Start one with `imgcli train`.")
    return begun[-1]


def _run_folders(runs: Path) -> list[Run]:
    if not runs.is_dir():
        return []
    return [
        Run(folder)
        for folder in sorted(runs.iterdir())
        if not folder.is_symlink() and (folder / "config.json").is_file()
    ]


# --- the sealed test part -----------------------------------------------------------------------


def enter_in_ledger(run: Run, digests: Sequence[str], why: str) -> int:
    """Record that `run` looked at the test part made of `digests`.

    Returns:
        How often that test part has now been looked at, by any run of this folder.
    """
    ledger = run.folder.parent / LEDGER
    lines = ledger.read_text("utf-8").splitlines() if ledger.is_file() else []
    part = _part_key(digests)
    entry = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "run": run.folder.name,
        "test_part": part,
        "n": len(digests),
        "why": why,
    }
    lines.append(json.dumps(entry))
    write_atomic(ledger, "\n".join(lines) + "\n")
    return sum(json.loads(line)["test_part"] == part for line in lines)


def in_ledger(run: Run, digests: Sequence[str], why: str) -> bool:
    """Whether `run` has looked at exactly the test part made of `digests`, for that reason."""
    ledger = run.folder.parent / LEDGER
    entries = map(json.loads, ledger.read_text("utf-8").splitlines()) if ledger.is_file() else []
    looked = (run.folder.name, _part_key(digests), why)
    return any((e["run"], e["test_part"], e["why"]) == looked for e in entries)


def _part_key(digests: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


def as_json(record: Any) -> dict[str, Any]:
    """A frozen record as plain JSON types."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(record), default=_plain))
    return plain
