"""The map of all photos of a run: features, places, and what the photos can be coloured by."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from imgcli.folder_names import Levels
    from imgcli.records import Predictions
    from imgcli.review.map import PhotoMap, Thumbnail
    from imgcli.runs import Run

SIDE = 176  # pixels of a thumbnail


def photo_map(run: "Run", data: Path | None = None) -> "tuple[PhotoMap, Thumbnail]":
    """The photos that a run has out-of-fold predictions of, in the plane, and their thumbnails.

    By their features where the backbone is frozen. A backbone that was trained had other features
    in every fold; then by the roots of their probabilities, whose distance is Hellinger's.

    Raises:
        DataError: the dataset is another one by now, or a photo cannot be read any more.
        Refused: openTSNE is not installed.
        RunError: the run is damaged, or has no out-of-fold predictions.
    """
    from imgcli.evaluation.predictions_io import out_of_fold
    from imgcli.photos.dataset import levels_of
    from imgcli.report.projection import need_projection
    from imgcli.review.map import ALIKE, PhotoMap, captions_of, colourings_of, places_of

    need_projection()
    data = data or run.data
    predictions = out_of_fold(run, data)
    levels = levels_of(run.config.data)
    features, meaning = None, ALIKE
    if run.config.model.frozen:
        from imgcli.training.known_features import features_of_run

        features = features_of_run(run, predictions, data)
    if features is None:
        features, meaning = np.sqrt(predictions.probs), "Photos close together get similar answers"
    found = PhotoMap(
        title=f"{data}, {run.folder.name}",
        paths=predictions.paths,
        captions=captions_of(predictions),
        places=places_of(features.astype(np.float32)),
        colourings=colourings_of(predictions, _sources(data, levels, predictions)),
        meaning=meaning,
    )
    return found, _thumbnails(run, data, predictions)


def _sources(data: Path, levels: "Levels", predictions: "Predictions") -> list[str | None]:
    """Where each photo was found, by the provenance file of the dataset's folder of photos."""
    from imgcli.photos.attributes import makers
    from imgcli.photos.layout import read_layout

    known = makers(read_layout(data, levels).folders[-1])
    sources = [known.get(digest, (None, None))[0] for digest in predictions.digests]
    return sources or [None] * len(predictions)


def _thumbnails(run: "Run", data: Path, predictions: "Predictions") -> "Thumbnail":
    """Gives a photo of the dataset, if it is still the one that was evaluated."""
    from imgcli.photos.dataset import listed_photos, where_of
    from imgcli.photos.views import thumbnails

    of = partial(
        thumbnails,
        where_of(data),
        side=SIDE,
        digests=dict(zip(predictions.paths, predictions.digests, strict=bool(predictions.digests))),
        among=listed_photos(data, run.config.data),
    )
    return lambda i: next(of(paths=[predictions.paths[i]]))
