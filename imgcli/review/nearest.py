"""The photos most like one, per class, by the cosine of centred features."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imgcli.records import FloatArray, Predictions
from imgcli.review.queue import Photo, Strip

SHOWN = 4  # photos of a class


class NearestPhotos:
    """What M predicted photos look like, to compare one with the nearest of some classes.

    Args:
        features: (M, D), rows as in the predictions.
        ids: (M,) the ids of their pictures.
    """

    def __init__(self, features: FloatArray, predictions: Predictions, ids: Sequence[str]) -> None:
        centred = features - features.mean(axis=0)
        norms = np.linalg.norm(centred, axis=1, keepdims=True)
        self._directions: NDArray[np.float32] = (centred / np.maximum(norms, 1e-12)).astype(
            np.float32
        )
        self._predictions, self._ids = predictions, ids

    def strips(self, row: int, classes: Sequence[str]) -> tuple[Strip, ...]:
        """The nearest photos of each of these classes; no near-duplicate of the photo itself."""
        known = self._predictions
        similar = self._directions @ self._directions[row]
        other = known.groups != known.groups[row]
        found = []
        for name in dict.fromkeys(classes):
            members = np.flatnonzero(other & (known.targets == known.classes.index(name)))
            nearest = members[np.argsort(-similar[members], kind="stable")][:SHOWN]
            photos = [
                Photo(self._ids[i], known.paths[i], f"{similar[i]:.2f}") for i in nearest.tolist()
            ]
            if photos:
                found.append(Strip(f"Nearest of {name}", tuple(photos)))
        return tuple(found)
