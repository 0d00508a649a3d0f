"""Photos of none of the classes: what `evaluate --folds` keeps of them, and `predict` asks."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcli.errors import ImgcliError
from imgcli.progress import note

if TYPE_CHECKING:
    from imgcli.evaluation.drift import Drift
    from imgcli.evaluation.novelty import NoveltyDetector
    from imgcli.records import Predictions
    from imgcli.runs import Run
    from imgcli.training.predict import Predicted


@dataclass(frozen=True)
class NoveltyFigures:
    """What was asked about photos of none of the classes, and what can be said."""

    false_alarms: float  # share of photos of the classes that may be called so
    threshold: float | None  # of the score; None where nothing is said
    n: int  # held-out photos that it is chosen on
    none_of_these: int  # photos that are called so
    unavailable: str | None  # why nothing is said, a sentence

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def keep_novelty(run: "Run", predictions: "Predictions", data: Path | None, device: str) -> None:
    """Store with a run what tells photos of none of its classes, unless it is there already.

    A run whose backbone was trained gets none: its folds had other features.

    Args:
        predictions: out-of-fold, those that may decide something.
        data: the run's own dataset, where it was named.
    """
    from imgcli.evaluation import novelty
    from imgcli.evaluation.calibration import calibrated, temperature_of

    if not run.config.model.frozen or len(set(predictions.targets.tolist())) < 2:
        return
    temperature = temperature_of(run)
    try:
        if novelty.load(run, temperature) is not None:
            return
    except ImgcliError:
        pass  # damaged: it is made again
    from imgcli.training.features import features_of

    try:
        features = features_of(run, predictions, data, device)
    except ImgcliError as error:
        note(f"Photos of none of the classes will not be told. {error}")
        return
    assert features is not None  # the backbone is frozen
    scaled = replace(predictions, probs=calibrated(predictions.probs, temperature))
    novelty.save(run, novelty.fit_novelty(features, scaled), temperature)


def find_novelty(
    runs: "Sequence[Run]", temperatures: Sequence[float], false_alarms: float
) -> "tuple[NoveltyDetector | None, NoveltyFigures]":
    """What tells photos of none of the classes, or why nothing does."""
    from imgcli.evaluation.novelty import load, needed

    def cannot(why: str) -> "tuple[None, NoveltyFigures]":
        return None, NoveltyFigures(false_alarms, None, 0, 0, why)

    if len(runs) > 1:
        return cannot("that takes one run, and several are averaged here.")
    (run,) = runs
    if not run.config.model.frozen:
        return cannot(
            "the network was trained as a whole, and its folds had other features. A run with "
            "--freeze tells them."
        )
    found = load(run, temperatures[0])
    if found is None:
        return cannot("evaluate the run first: imgcli evaluate --folds 10")
    threshold = found.threshold(false_alarms)
    if threshold == float("inf"):
        return cannot(
            f"false alarms of {false_alarms:g} take {needed(false_alarms):,} out-of-fold photos, "
            f"near-duplicates counted once, and there are {found.groups:,}. Use a higher "
            "--false-alarms, or add photos."
        )
    return found, NoveltyFigures(false_alarms, threshold, len(found.known), 0, None)


def find_drift(run: "Run", detector: "NoveltyDetector", found: "Predicted") -> "Drift | None":
    """How the photos at hand differ from those of the run's folds; None for too few to tell."""
    import numpy as np

    from imgcli.evaluation.drift import drift
    from imgcli.runs import FOLDS

    assert found.scores is not None
    predictions = run.load_predictions(FOLDS)
    k = len(found.classes)
    before = np.bincount(predictions.preds, minlength=k)
    now = np.bincount(found.probs.argmax(axis=1), minlength=k)
    return drift(detector.known, detector.weights, found.scores, before, now)
