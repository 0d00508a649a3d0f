"""Predict the classes of new photos."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcli.commands.evaluate import names
from imgcli.commands.results import Result
from imgcli.errors import WrongUsage
from imgcli.text import percent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from imgcli.evaluation.selective import SelectivePrediction
    from imgcli.records import FloatArray, Rejected
    from imgcli.runs import Run
    from imgcli.training.predict import Predicted

MOST_SHOWN = 20  # photos in a notebook


@dataclass(frozen=True, eq=False, repr=False)
class PredictResult(Result):
    """The predictions of M photos over K classes."""

    runs: tuple[Path, ...]
    classes: tuple[str, ...]  # (K,) names
    paths: tuple[str, ...]  # (M,) photos
    probs: "FloatArray"  # (M, K) calibrated, if the run has been evaluated by folds
    predictions: tuple[str, ...]  # (M,) the most probable class of each photo
    confidence: "FloatArray"  # (M,) its probability
    sure: "NDArray[np.bool_]"  # (M,) whether the confidence is enough for min_precision
    promise: "SelectivePrediction | None"  # threshold and precision, with min_precision only
    rejected: "tuple[Rejected, ...]"  # photos that cannot be read
    csv: Path | None
    document: Mapping[str, Any]  # of the JSON contract

    def to_json(self) -> dict[str, Any]:
        return dict(self.document)

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "run", str(self.document["run"])
        for i, path in enumerate(self.paths[:MOST_SHOWN]):
            unsure = "" if self.sure[i] else "unsure; "
            yield path, f"{unsure}{self.predictions[i]} ({percent(self.confidence[i])})"
        if len(self.paths) > MOST_SHOWN:
            yield "…", f"{len(self.paths) - MOST_SHOWN:,} more"
        if self.rejected:
            yield "rejected", f"{len(self.rejected):,}"


def predict(
    paths: str | Path | Sequence[str | Path],
    *,
    run: str | Path | Sequence[str | Path] = "latest",
    csv: str | Path | None = None,
    top: int = 5,
    min_precision: float | None = None,
    device: str = "auto",
) -> PredictResult:
    """Predict photos, and all photos in folders; by several runs, the mean of their probabilities.

    Args:
        paths: photos, and folders of photos.
        run: "latest", a folder's name under runs/, a path, or several of these.
        csv: a new file for the predictions.
        top: classes per photo in the document and the file, most probable first.
        min_precision: answer only with enough confidence for this share of the answers to be
            correct, such as 0.95; estimated from the run's out-of-fold predictions.

    Raises:
        ImgcliError: what the command line would say.
    """
    if top < 1:
        raise WrongUsage(f"--top {top} must be at least 1.")
    if min_precision is not None and not 0 < min_precision < 1:
        raise WrongUsage(
            f"--min-precision {min_precision:g} is not a share between 0 and 1, such as 0.95."
        )
    csv = None if csv is None else Path(csv)
    if csv is not None and csv.exists():
        raise WrongUsage(f"--csv {csv} exists. Name another file, or move it away.")

    from imgcli.evaluation.calibration import temperature_of
    from imgcli.runs import find_runs
    from imgcli.training.predict import predict_files

    runs = find_runs(names(run))
    temperatures = [temperature_of(one) for one in runs]
    promised = None if min_precision is None else _promise(runs, temperatures, min_precision)
    found = predict_files(runs, [Path(path) for path in names(paths)], device, temperatures)
    if csv is not None:
        found.write_csv(csv, top, promised.threshold if promised else None)
    sure = found.sure(promised.threshold if promised else 0.0)
    return PredictResult(
        runs=tuple(one.folder for one in runs),
        classes=found.classes,
        paths=tuple(found.paths),
        probs=found.probs,
        predictions=tuple(best[0][0] for best in found.ranked(1)),
        confidence=found.probs.max(axis=1),
        sure=sure,
        promise=promised,
        rejected=tuple(found.rejected),
        csv=csv,
        document={
            "run": " + ".join(str(one.folder) for one in runs),
            **_document(found, top, promised),
        },
    )


def _promise(
    runs: "Sequence[Run]", temperatures: Sequence[float], min_precision: float
) -> "SelectivePrediction":
    """The confidence threshold, from the runs' out-of-fold predictions, calibrated as now."""
    from imgcli.evaluation.calibration import calibrated
    from imgcli.evaluation.evaluate import average
    from imgcli.evaluation.predictions_io import out_of_fold
    from imgcli.evaluation.selective import selective_prediction

    each = [out_of_fold(run) for run in runs]
    scaled = [
        replace(one, probs=calibrated(one.probs, temperature))
        for one, temperature in zip(each, temperatures, strict=True)
    ]
    return selective_prediction(average(scaled), min_precision)


def _document(
    found: "Predicted", top: int, promised: "SelectivePrediction | None"
) -> dict[str, Any]:
    from imgcli.files import as_json

    rows: list[dict[str, Any]] = [
        {"path": path, "class": best[0][0], "confidence": best[0][1], "top": best}
        for path, best in zip(found.paths, found.ranked(top), strict=True)
    ]
    document: dict[str, Any] = {"predictions": rows}
    if promised:
        sure = found.sure(promised.threshold).tolist()
        for row, answered in zip(rows, sure, strict=True):
            row.update({"unsure": not answered, **({} if answered else {"class": None})})
        document["promise"] = promised.to_json()
        document["answered"] = sum(sure)
    return {**document, "rejected": [as_json(photo) for photo in found.rejected]}
