"""The slices that a run fails on: by what is known of photos, and by what they look like."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcli.errors import DataError, Refused

if TYPE_CHECKING:
    from imgcli.records import Predictions
    from imgcli.runs import Run


def slices_of(run: "Run", data: Path, predictions: "Predictions") -> list[dict[str, Any]] | None:
    """The slices with more errors than others, worst first; None if the photos are not at hand.

    Args:
        data: the folder of the photos, as they were evaluated.
    """
    from imgcli.evaluation.slices import weak_slices
    from imgcli.photos.attributes import photo_attributes
    from imgcli.photos.dataset import levels_of

    if not predictions.digests or not data.is_dir():
        return None
    levels = levels_of(run.config.data)
    try:
        known = photo_attributes(data, predictions.paths, predictions.digests, levels)
    except (DataError, OSError):  # moved or changed since, of which the report has a note
        return None
    weak = weak_slices(predictions, known, _clusters(run, data, predictions))
    return [one.to_json() for one in weak]


def _clusters(run: "Run", data: Path, predictions: "Predictions") -> list[list[str | None]]:
    """Clusters by the features of a frozen run; none of a trained backbone, or without photos."""
    if not run.config.model.frozen:  # folds had other features; torch is not needed
        return []
    from imgcli.evaluation.clusters import clusters_within_classes
    from imgcli.training.known_features import features_of_run

    try:
        features = features_of_run(run, predictions, data)
    except (Refused, OSError):
        return []
    assert features is not None
    return clusters_within_classes(features, predictions.targets, predictions.classes)
