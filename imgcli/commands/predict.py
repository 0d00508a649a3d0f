"""Predict the classes of new photos."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from imgcli.commands.folders import names, optional_path, optional_table
from imgcli.commands.results import Tabular
from imgcli.config import check_device
from imgcli.errors import WrongUsage
from imgcli.text import percent, printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from imgcli.commands.load_run import LoadedRun
    from imgcli.commands.novelty import NoveltyFigures
    from imgcli.commands.sort_photos import Sorted
    from imgcli.evaluation.costs import CostFigures
    from imgcli.evaluation.decisions import Decisions
    from imgcli.evaluation.drift import Drift
    from imgcli.evaluation.prediction_sets import PredictionSets
    from imgcli.evaluation.selective import SelectivePrediction
    from imgcli.records import FloatArray, NewPhotos, Predictions, Rejected
    from imgcli.report.table_formats import TableRecord
    from imgcli.runs import Run
    from imgcli.training.predict import Predicted

    # Paths, PIL images and arrays, one or several.
    Photos = str | Path | Image | NDArray[Any] | Sequence[str | Path | Image | NDArray[Any]]

Link = Literal["auto", "hard", "symlink", "copy"]
FALSE_ALARMS = 0.05  # default share of photos of the classes that are taken for none of them
MOST_SHOWN = 20  # photos in a notebook


@dataclass(frozen=True, eq=False, repr=False)
class PredictResult(Tabular):
    """The predictions of M photos over K classes."""

    runs: tuple[Path, ...]
    classes: tuple[str, ...]  # (K,) names
    paths: tuple[str, ...]  # (M,) photos
    probs: "FloatArray"  # (M, K) calibrated, if the run has been evaluated by folds
    predictions: tuple[str, ...]  # (M,) the answer, or the most probable class where there is none
    confidence: "FloatArray"  # (M,) its probability
    sure: "NDArray[np.bool_]"  # (M,) whether there is an answer
    none_of_these: "NDArray[np.bool_]"  # (M,) whether the photo is unlike those of every class
    novelty: "NoveltyFigures | None"  # what that is decided by; None without false alarms
    drift: "Drift | None"  # how the photos differ from those of the folds; None for too few
    threshold: float | None  # the confidence that is enough for one; None without such
    promise: "SelectivePrediction | None"  # threshold and precision, with min_precision only
    sets: "PredictionSets | None"  # thresholds of the classes, with coverage only
    cost: "CostFigures | None"  # what answers cost on held-out photos, with cost only
    rejected: "tuple[Rejected, ...]"  # photos that cannot be read
    csv: Path | None
    sorted: "Sorted | None"  # with sort_into
    _found: "Predicted"
    _decided: "Decisions"
    _top: int  # classes per photo in the document and the table

    @property
    def prediction_sets(self) -> tuple[tuple[str, ...], ...] | None:
        """(M,) the classes of each photo's set, most probable first; None without coverage."""
        if self._decided.sets is None:
            return None
        return tuple(tuple(self.classes[k] for k in own) for own in self._decided.sets)

    @cached_property
    def table(self) -> str:
        """The predictions as CSV."""
        return self._found.csv(self._top, self._decided.answers, self._decided.columns)

    @cached_property
    def document(self) -> Mapping[str, Any]:
        """The document of the JSON contract."""
        return {
            "run": self._run,
            **_document(self._found, self._top, self._decided, self.predictions, self.confidence),
            **({"novelty": self.novelty.to_json()} if self.novelty else {}),
            **({"drift": self._drift_json()} if self.drift else {}),
            **({"sorted": self.sorted.to_json()} if self.sorted else {}),
        }

    def _drift_json(self) -> dict[str, Any]:
        """The drift with the paths of the photos that differ most."""
        assert self.drift is not None
        return {**self.drift.to_json(), "farthest": [self.paths[i] for i in self.drift.farthest]}

    @property
    def _run(self) -> str:
        return " + ".join(map(str, self.runs))

    def to_json(self) -> dict[str, Any]:
        return dict(self.document)

    def tables(self) -> "dict[str, TableRecord]":
        """The table "photos"; its "sure" says whether the photo is answered."""
        from imgcli.report.table_records import prediction_table

        return {
            "photos": prediction_table(
                *(self.paths, self.classes, self.probs),
                self._decided.shown(self.probs).tolist(),
                self.sure.tolist(),
            )
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
            unsure = "none of these; " if self.none_of_these[i] else unsure
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
    coverage: float | None = None,
    cost: str | Path | None = None,
    false_alarms: float = FALSE_ALARMS,
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
        coverage: for each photo the set of classes that holds the true one in this share of photos,
            such as 0.95, of each class; by the run's out-of-fold predictions. A photo with one
            class in its set is answered.
        cost: a table of what mistakes cost; the answer of least expected cost is given.
        false_alarms: photos unlike those of every class are of none of them; of photos of the
            classes, at most this share is taken for such. 0 gives every photo a class.
        sort_into: a folder that gets every photo in a folder of its class, in unsure/ or in "none
            of these"/; nothing in it is overwritten, and `imgcli.restore` takes them out again.
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
    if coverage is not None and not 0 < coverage < 1:
        raise WrongUsage(f"--coverage {coverage:g} is not a share between 0 and 1, such as 0.95.")
    if not 0 <= false_alarms < 1:
        raise WrongUsage(
            f"--false-alarms {false_alarms:g} is not a share from 0 to below 1, such as 0.05."
        )
    _refuse_several(unsure=unsure, min_precision=min_precision, coverage=coverage, cost=cost)
    if link != "auto" and sort_into is None:
        raise WrongUsage(f"--link {link} goes with --sort-into.")
    csv, target = optional_path(csv), optional_path(sort_into)
    cost = optional_table(cost, "--cost")
    if csv is not None and csv.exists():
        raise WrongUsage(f"--csv {csv} exists. Name another file, or move it away.")

    # What there is to predict, and by what, before torch is imported.
    from imgcli.run_lookup import find_runs

    if isinstance(run, str | Path | Sequence):
        loaded, runs = None, find_runs(names(run))
    else:
        loaded, runs = run, find_runs(names(run.folders))
    photos = _photos(paths, optional_path(root), path_column, target)

    from imgcli.evaluation.calibration import temperature_of

    temperatures = [temperature_of(one) for one in runs]
    decide = _Decide(runs, temperatures, unsure, min_precision, coverage, cost)
    detector, novelty, differs = None, None, None
    if false_alarms:
        from imgcli.commands.novelty import find_novelty

        detector, novelty = find_novelty(runs, temperatures, false_alarms)
    score = None if detector is None else detector.scores
    if loaded is None:
        from imgcli.training.predict import predict_photos

        found = predict_photos(runs, photos, device, temperatures, score=score)
    else:
        from imgcli.training.predict import predict_by

        found = predict_by(loaded.networks, photos, score)
    decided = decide(found)
    if found.scores is not None and novelty is not None and novelty.threshold is not None:
        from imgcli.evaluation.decisions import with_novelty

        of_each = (found.probs, found.classes, found.scores)
        decided = with_novelty(decided, *of_each, novelty.threshold)
        novelty = replace(novelty, none_of_these=int(decided.none_of_these.sum()))
    if found.scores is not None and detector is not None:
        from imgcli.commands.novelty import find_drift

        differs = find_drift(runs[0], detector, found)
    if csv is not None:
        found.write_csv(csv, top, decided.answers, decided.columns)
    placed = None
    if target is not None:
        from imgcli.commands.sort_photos import sort_photos

        placed = sort_photos(photos, found, decided.answers, target, link)
    shown = decided.shown(found.probs)
    return PredictResult(
        runs=tuple(one.folder for one in runs),
        classes=found.classes,
        paths=tuple(found.paths),
        probs=found.probs,
        predictions=tuple(found.classes[k] for k in shown),
        confidence=found.probs[range(len(shown)), shown],
        sure=decided.sure,
        none_of_these=decided.none_of_these,
        novelty=novelty,
        drift=differs,
        threshold=decide.threshold,
        promise=decide.promise,
        sets=decide.sets,
        cost=decide.cost,
        rejected=tuple(found.rejected),
        csv=csv,
        sorted=placed,
        _found=found,
        _decided=decided,
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


def _refuse_several(**given: object) -> None:
    """Refuse more than one way of deciding which photos are answered and how."""
    options = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
    if len(options) > 1:
        raise WrongUsage(
            f"{options[0]} and {options[1]} both say what is answered; give the one or the other."
        )


class _Decide:
    """What is answered to photos, by what the runs' out-of-fold predictions say of it.

    Raises:
        RunError: there are none, and they are needed.
        DataError: they cannot promise what is asked for, or the costs are not of these classes.
    """

    def __init__(
        self,
        runs: "Sequence[Run]",
        temperatures: Sequence[float],
        unsure: float | None,
        min_precision: float | None,
        coverage: float | None,
        cost: Path | None,
    ) -> None:
        self.threshold = unsure
        self.promise: SelectivePrediction | None = None
        self.sets: PredictionSets | None = None
        self.cost: CostFigures | None = None
        if min_precision is not None:
            self.promise = selective_threshold(runs, temperatures, min_precision)
            self.threshold = self.promise.threshold
        elif coverage is not None:
            from imgcli.evaluation.prediction_sets import prediction_sets

            self.sets = prediction_sets(_out_of_fold(runs, temperatures), coverage)
        elif cost is not None:
            from imgcli.evaluation.costs import cost_figures, read_costs

            held_out = _out_of_fold(runs, temperatures)
            self._costs = read_costs(cost, held_out.classes)
            self.cost = cost_figures(held_out, self._costs)

    def __call__(self, found: "Predicted") -> "Decisions":
        from imgcli.evaluation import decisions

        if self.sets is not None:
            return decisions.by_sets(found.probs, found.classes, self.sets)
        if self.cost is not None:
            return decisions.by_cost(found.probs, found.classes, self._costs, self.cost)
        if self.threshold is not None:
            return decisions.by_confidence(found.probs, found.classes, self.threshold, self.promise)
        return decisions.most_probable(found.probs)


def selective_threshold(
    runs: "Sequence[Run]", temperatures: Sequence[float], min_precision: float
) -> "SelectivePrediction":
    """The confidence threshold, from the runs' out-of-fold predictions, calibrated as now."""
    from imgcli.evaluation.selective import selective_prediction

    return selective_prediction(_out_of_fold(runs, temperatures), min_precision)


def _out_of_fold(runs: "Sequence[Run]", temperatures: Sequence[float]) -> "Predictions":
    """The runs' out-of-fold predictions, calibrated as those of new photos are."""
    from imgcli.evaluation.calibration import calibrated
    from imgcli.evaluation.evaluate import average
    from imgcli.evaluation.predictions_io import out_of_fold

    each = [out_of_fold(run) for run in runs]
    return average(
        [
            replace(one, probs=calibrated(one.probs, temperature))
            for one, temperature in zip(each, temperatures, strict=True)
        ]
    )


def _document(
    found: "Predicted",
    top: int,
    decided: "Decisions",
    classes: Sequence[str],
    confidence: "FloatArray",
) -> dict[str, Any]:
    """What the document says of the photos.

    Args:
        classes: (M,) the answer to each photo, or its most probable class.
        confidence: (M,) the probability of that.
    """
    from imgcli.files import as_json

    each = zip(
        *(found.paths, classes, confidence.tolist(), decided.sure.tolist()),
        *(found.ranked(top), decided.photos),
        strict=True,
    )
    return {
        "predictions": [
            {"path": path, "class": name if sure else None, "confidence": p, "top": best, **said}
            for path, name, p, sure, best, said in each
        ],
        **decided.document,
        "rejected": [as_json(photo) for photo in found.rejected],
    }
