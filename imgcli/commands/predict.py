"""Predict the classes of new photos."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from imgcli.commands.folders import names, optional_path
from imgcli.commands.results import Tabular
from imgcli.config import check_device
from imgcli.errors import WrongUsage
from imgcli.text import percent, printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from imgcli.commands.load_run import LoadedRun
    from imgcli.commands.sort_photos import Sorted
    from imgcli.evaluation.selective import SelectivePrediction
    from imgcli.records import FloatArray, NewPhotos, Rejected
    from imgcli.report.table_formats import TableRecord
    from imgcli.runs import Run
    from imgcli.training.predict import Predicted

    # Paths, PIL images and arrays, one or several.
    Photos = str | Path | Image | NDArray[Any] | Sequence[str | Path | Image | NDArray[Any]]

Link = Literal["auto", "hard", "symlink", "copy"]
MOST_SHOWN = 20  # photos in a notebook


@dataclass(frozen=True, eq=False, repr=False)
class PredictResult(Tabular):
    """The predictions of M photos over K classes."""

    runs: tuple[Path, ...]
    classes: tuple[str, ...]  # (K,) names
    paths: tuple[str, ...]  # (M,) photos
    probs: "FloatArray"  # (M, K) calibrated, if the run has been evaluated by folds
    predictions: tuple[str, ...]  # (M,) the most probable class of each photo
    confidence: "FloatArray"  # (M,) its probability
    sure: "NDArray[np.bool_]"  # (M,) whether the confidence is enough
    threshold: float | None  # the confidence that is enough; None where all are answered
    promise: "SelectivePrediction | None"  # threshold and precision, with min_precision only
    rejected: "tuple[Rejected, ...]"  # photos that cannot be read
    csv: Path | None
    sorted: "Sorted | None"  # with sort_into
    _found: "Predicted"
    _top: int  # classes per photo in the document and the table

    @cached_property
    def table(self) -> str:
        """The predictions as CSV."""
        return self._found.csv(self._top, self.threshold)

    @cached_property
    def document(self) -> Mapping[str, Any]:
        """The document of the JSON contract."""
        sure = self.sure if self.threshold is not None else None
        return {
            "run": self._run,
            **_document(self._found, self._top, sure, self.promise),
            **({"sorted": self.sorted.to_json()} if self.sorted else {}),
        }

    @property
    def _run(self) -> str:
        return " + ".join(map(str, self.runs))

    def to_json(self) -> dict[str, Any]:
        return dict(self.document)

    def tables(self) -> "dict[str, TableRecord]":
        """The table "photos"; its "sure" says whether the photo is answered."""
        from imgcli.report.table_records import prediction_table

        return {
            "photos": prediction_table(self.paths, self.classes, self.probs, self.sure.tolist())
        }

    def _repr_html_(self) -> str:
        """The table, and the first photos under their predicted classes, where they are files."""
        from base64 import b64encode

        from imgcli.photos.views import thumbnail

        shown = []
        for i, path in enumerate(self.paths[:MOST_SHOWN]):
            made = thumbnail(Path(path), 96) if Path(path).is_file() else None
            if made is not None:
                below = escape(f"{printable(self.predictions[i])} ({percent(self.confidence[i])})")
                shown.append(
                    "<figure style='display:inline-block;margin:4px;text-align:center'>"
                    f"<img alt='' src='data:image/webp;base64,{b64encode(made).decode()}'>"
                    f"<figcaption>{below}</figcaption></figure>"
                )
        return super()._repr_html_() + "".join(shown)

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "run", self._run
        for i, path in enumerate(self.paths[:MOST_SHOWN]):
            unsure = "" if self.sure[i] else "unsure; "
            yield path, f"{unsure}{self.predictions[i]} ({percent(self.confidence[i])})"
        if len(self.paths) > MOST_SHOWN:
            yield "…", f"{len(self.paths) - MOST_SHOWN:,} more"
        if self.sorted:
            yield "sorted into", str(self.sorted.out)
        if self.rejected:
            yield "rejected", f"{len(self.rejected):,}"


def predict(
    paths: "Photos",
    *,
    run: "str | Path | Sequence[str | Path] | LoadedRun" = "latest",
    csv: str | Path | None = None,
    top: int = 5,
    min_precision: float | None = None,
    unsure: float | None = None,
    sort_into: str | Path | None = None,
    link: Link = "auto",
    root: str | Path | None = None,
    path_column: str | None = None,
    device: str = "auto",
) -> PredictResult:
    """Predict photos; by several runs, the mean of their probabilities.

    Args:
        paths: photos, folders of photos, archives, tables and lists of paths, patterns such as
            "new/**/*.jpg"; "-" for a list of paths on standard input. Or photos in memory: PIL
            images, arrays of uint8 and shape (H, W, 3), or one array (N, H, W, 3); these are named
            "photo 0", "photo 1", ... in the result.
        run: "latest", a folder's name under runs/, a path, or several of these; or what
            `imgcli.load_run` gave, whose networks and device are used.
        csv: a new file for the predictions.
        top: classes per photo in the document and the file, most probable first.
        min_precision: answer only with enough confidence for this share of the answers to be
            correct, such as 0.95; estimated from the run's out-of-fold predictions.
        unsure: answer only with at least this confidence.
        sort_into: a folder that gets every photo in a folder of its class, or in unsure/; nothing
            in it is overwritten, and `imgcli.restore` takes them out again.
        link: how photos are placed there; "auto": hard links, copies where there are none.
        root: the folder that the paths in tables and lists are below; by default each one's own.
        path_column: the column of a table with the photos' paths.

    Raises:
        ImgcliError: what the command line would say.
    """
    check_device(device)
    if top < 1:
        raise WrongUsage(f"--top {top} must be at least 1.")
    if min_precision is not None and not 0 < min_precision < 1:
        raise WrongUsage(
            f"--min-precision {min_precision:g} is not a share between 0 and 1, such as 0.95."
        )
    if unsure is not None and not 0 < unsure <= 1:
        raise WrongUsage(f"--unsure {unsure:g} is not a confidence between 0 and 1, such as 0.6.")
    if unsure is not None and min_precision is not None:
        raise WrongUsage(
            "--unsure and --min-precision both say which photos are unsure; give the one or the "
            "other."
        )
    if link != "auto" and sort_into is None:
        raise WrongUsage(f"--link {link} goes with --sort-into.")
    csv, target = optional_path(csv), optional_path(sort_into)
    if csv is not None and csv.exists():
        raise WrongUsage(f"--csv {csv} exists. Name another file, or move it away.")

    # What there is to predict, and by what, before torch is imported.
    from imgcli.runs import find_runs

    if isinstance(run, str | Path | Sequence):
        loaded, runs = None, find_runs(names(run))
    else:
        loaded, runs = run, find_runs(names(run.folders))
    photos = _photos(paths, optional_path(root), path_column, target)

    from imgcli.evaluation.calibration import temperature_of

    temperatures = [temperature_of(one) for one in runs]
    promised = (
        None if min_precision is None else selective_threshold(runs, temperatures, min_precision)
    )
    threshold = promised.threshold if promised else unsure
    if loaded is None:
        from imgcli.training.predict import predict_photos

        found = predict_photos(runs, photos, device, temperatures)
    else:
        from imgcli.training.predict import predict_by

        found = predict_by(loaded.networks, photos)
    sure = found.sure(threshold or 0.0)
    if csv is not None:
        found.write_csv(csv, top, threshold)
    placed = None
    if target is not None:
        from imgcli.commands.sort_photos import sort_photos

        placed = sort_photos(photos, found, sure, target, link)
    return PredictResult(
        runs=tuple(one.folder for one in runs),
        classes=found.classes,
        paths=tuple(found.paths),
        probs=found.probs,
        predictions=tuple(best[0][0] for best in found.ranked(1)),
        confidence=found.probs.max(axis=1),
        sure=sure,
        threshold=threshold,
        promise=promised,
        rejected=tuple(found.rejected),
        csv=csv,
        sorted=placed,
        _found=found,
        _top=top,
    )


def _photos(
    given: "Photos", root: Path | None, path_column: str | None, target: Path | None
) -> "NewPhotos":
    """The photos that are meant; those to be sorted into `target` are files."""
    from imgcli.commands.new_photos import find_new_photos, given_photos

    if not isinstance(given, str | Path):
        from imgcli.photos.in_memory import all_paths, photos_of

        if not all_paths(given):
            if target is not None:
                raise WrongUsage("Photos in memory have no file to be sorted; name their paths.")
            return given_photos(photos_of(given))
    words = names(cast("Sequence[str | Path]", given))
    photos = find_new_photos(words, root, path_column)
    if target is not None:
        from imgcli.commands.sort_photos import refuse_target

        refuse_target(target, words)
    return photos


def selective_threshold(
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
    found: "Predicted",
    top: int,
    sure: "NDArray[np.bool_] | None",
    promised: "SelectivePrediction | None",
) -> dict[str, Any]:
    """What the document says of the photos.

    Args:
        sure: (M,) which photos are answered; None where all are.
    """
    from imgcli.files import as_json

    rows: list[dict[str, Any]] = [
        {"path": path, "class": best[0][0], "confidence": best[0][1], "top": best}
        for path, best in zip(found.paths, found.ranked(top), strict=True)
    ]
    document: dict[str, Any] = {"predictions": rows}
    if sure is not None:
        for row, answered in zip(rows, sure.tolist(), strict=True):
            row.update({"unsure": not answered, **({} if answered else {"class": None})})
        if promised:
            document["promise"] = promised.to_json()
        document["answered"] = int(sure.sum())
        document["unsure"] = int((~sure).sum())
    return {**document, "rejected": [as_json(photo) for photo in found.rejected]}
