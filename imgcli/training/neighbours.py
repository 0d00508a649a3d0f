"""The features of the photos of a run's predictions, by its frozen backbone."""

from pathlib import Path

import numpy as np

from imgcli.errors import DataError
from imgcli.models.memory import within_memory
from imgcli.photos.dataset import load_dataset
from imgcli.records import FloatArray, Predictions
from imgcli.runs import Run
from imgcli.training.cache_keys import changed_photos
from imgcli.training.device import choose_device
from imgcli.training.features import frozen_features
from imgcli.training.model_io import load_model
from imgcli.training.precision import usable_precision


@within_memory()
def features_of(
    run: Run, predictions: Predictions, data: Path | None = None, device: str = "auto"
) -> FloatArray | None:
    """Features `(M, D)` of the photos of a run's predictions, from the cache or made again.

    Returns:
        None for a run whose backbone was trained: its folds had other features.

    Raises:
        DataError: the dataset is another one by now, or a photo cannot be read any more.
        RunError: the run is damaged.
    """
    if not run.config.model.frozen:
        return None
    network, _, stored = load_model(run)
    samples = load_dataset(run.data if data is None else data).samples
    if changed := changed_photos(samples, predictions):
        raise DataError(
            f"'{changed[0]}' is not in '{samples.root}' any more, or was changed: the run "
            f"'{run.folder}' was evaluated on another dataset. Evaluate it again: imgcli evaluate "
            "--folds 10"
        )
    row_of = {path: row for row, path in enumerate(samples.paths)}
    rows = np.array([row_of[path] for path in predictions.paths])
    where = choose_device(device)
    precision = usable_precision(stored, where)
    features, rejected = frozen_features(network, samples, where, precision)
    found = features.cpu().numpy()[rows]
    if np.isnan(found).any():
        raise DataError(
            f"'{rejected[0].path}' cannot be read any more ({rejected[0].reason}). Restore it, or "
            "evaluate the run again: imgcli evaluate --folds 10"
        )
    return np.asarray(found, dtype=np.float64)
