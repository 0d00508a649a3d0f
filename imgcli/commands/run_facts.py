"""What `runs` and `show` tell of a run: read from its folder, without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from imgcli.errors import ImgcliError
from imgcli.evaluation.evaluate import summaries
from imgcli.evaluation.metrics import FIGURES, wilson_interval
from imgcli.evaluation.predictions_io import NAMES, On
from imgcli.latest_run import latest_run
from imgcli.runs import Run, in_use, size_of, source_of


@dataclass(frozen=True)
class Accuracy:
    """A run's accuracy and what it was measured on."""

    value: float
    ci95: tuple[float, float] | None
    n: int  # photos
    on: str  # "folds", "test" or "validation"
    folds: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "ci95": None if self.ci95 is None else list(self.ci95),
            "n": self.n,
            "on": self.on,
            "folds": self.folds,
        }


@dataclass(frozen=True)
class RunFacts:
    """One run, finished or not."""

    run: Path
    date: datetime  # when it began
    arch: str
    finished: bool
    training: bool  # by another imgcli, now
    latest: bool
    accuracy: Accuracy | None  # by folds, else of the test part, else of validation
    data: Path | None
    photos: int | None  # of the dataset
    starts_from: Path | None  # the run whose weights it started from
    size: int  # bytes
    problem: str | None = None  # why some of it is not known

    def to_json(self) -> dict[str, Any]:
        return {
            "run": str(self.run),
            "date": self.date.isoformat(timespec="seconds"),
            "arch": self.arch,
            "finished": self.finished,
            "training": self.training,
            "latest": self.latest,
            "accuracy": None if self.accuracy is None else self.accuracy.to_json(),
            "data": None if self.data is None else str(self.data),
            "photos": self.photos,
            "starts_from": None if self.starts_from is None else str(self.starts_from),
            "bytes": self.size,
            "problem": self.problem,
        }


def run_facts(run: Run) -> RunFacts:
    """The facts of one run; what is damaged is said and not raised."""
    known: dict[str, Any] = {}
    problem = None
    try:
        document = run.read_json("config.json")
        photos = run.photos
        known = {
            "arch": run.config.model.arch,
            "data": Path(str(document.get("data", "dataset"))),
            "photos": None if photos is None else photos.n,
            "starts_from": source_of(run),
        }
        known["accuracy"] = accuracy_of(run)
    except ImgcliError as error:
        problem = str(error)
    except (KeyError, TypeError, ValueError) as error:
        problem = f"'{run.folder}' is damaged: {type(error).__name__} ({error})"
    latest = latest_run(run.folder.parent)
    return RunFacts(
        run=run.folder,
        date=_date(run),
        arch=known.get("arch", ""),
        finished=run.finished,
        training=in_use(run),
        latest=latest is not None and latest.resolve() == run.folder.resolve(),
        accuracy=known.get("accuracy"),
        data=known.get("data"),
        photos=known.get("photos"),
        starts_from=known.get("starts_from"),
        size=size_of(run),
        problem=problem,
    )


def accuracies_of(run: Run) -> list[Accuracy]:
    """The accuracies that a run keeps: by folds, of the test part, of validation.

    Raises:
        RunError: a file is damaged.
    """
    found = [one for one in (_stored(run, "folds"), _stored(run, "test")) if one is not None]
    val = run.read_json("model.json").get("val") if run.finished else None
    if val and val.get("n"):
        value, n = float(val["accuracy"]), int(val["n"])
        found.append(Accuracy(value, wilson_interval(value, n), n, "validation"))
    return found


def accuracy_of(run: Run) -> Accuracy | None:
    """The most telling of these."""
    return next(iter(accuracies_of(run)), None)


def _stored(run: Run, on: On) -> Accuracy | None:
    """The accuracy as `evaluate` printed it last, or of the stored predictions."""
    if not (run.folder / NAMES[on]).is_file():
        return None
    if (run.folder / "evaluation.json").is_file():
        kept: Mapping[str, Any] = run.read_json("evaluation.json")
        if bool(kept["folds"]) == (on == "folds"):
            summary = kept["accuracy"]
            return _accuracy(summary["value"], summary["ci95"], int(kept["n"]), on, kept["folds"])
    predictions = run.load_predictions(NAMES[on])
    repeats = run.load_again(predictions) if on == "folds" else []
    accuracy = {"accuracy": FIGURES["accuracy"]}
    found = summaries(predictions, accuracy, repeats=repeats)["accuracy"]
    return _accuracy(found.value, found.ci95, len(predictions), on, predictions.folds)


def _accuracy(value: float, ci95: Any, n: int, on: str, folds: int | None) -> Accuracy:
    return Accuracy(float(value), None if ci95 is None else (ci95[0], ci95[1]), n, on, folds)


def _date(run: Run) -> datetime:
    """When a run began: by its name, or by its first file."""
    try:
        return datetime.strptime(run.folder.name[:15], "%Y%m%d-%H%M%S")
    except ValueError:
        return datetime.fromtimestamp((run.folder / "config.json").stat().st_mtime)
