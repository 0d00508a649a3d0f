"""Features of a run's photos that the cache has, found without the network that made them.

To know where its features are kept, a network must be loaded: three seconds of imports. So a run
remembers the places, `features.json`, for as long as the versions stay that decide them.
"""

from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np

from imgcli import __version__
from imgcli.errors import RunError
from imgcli.photos.dataset import load_dataset
from imgcli.photos.row_cache import RowStore
from imgcli.records import FloatArray, Predictions, Samples
from imgcli.run_documents import FeatureStore
from imgcli.runs import CACHE, Run
from imgcli.training.cache_keys import changed_photos

NAME = "features.json"  # in the run
LIBRARIES = ("torch", "torchvision", "timm", "numpy", "pillow")


def features_of_run(
    run: Run, predictions: Predictions, data: Path | None = None
) -> FloatArray | None:
    """Features `(M, D)` of the photos of a run's predictions, as of `training.features_of`.

    Returns:
        None for a run whose backbone was trained: its folds had other features.

    Raises:
        DataError: the dataset is another one by now, or a photo cannot be read any more.
        RunError: the run is damaged.
    """
    if not run.config.model.frozen:
        return None
    found = _known(run, predictions, data)
    if found is None:
        from imgcli.training.features import features_of  # imports torch and timm

        found = features_of(run, predictions, data)
    return found


def remember_stores(run: Run, stores: Sequence[FeatureStore], power: float) -> None:
    """Note in a run where the features of its backbone are, and which power it takes of them."""
    document = {
        "weights": run.digest("model.safetensors"),
        "made_by": _made_by(),
        "power": power,
        "stores": [{"name": store.name, "size": store.size} for store in stores],
    }
    with suppress(OSError):  # a run that cannot be written: it is slow the next time too
        run.write_json(NAME, document)


def _known(run: Run, predictions: Predictions, data: Path | None) -> FloatArray | None:
    """The features, where every photo's are in the cache and the run says in which places."""
    with suppress(RunError, OSError):
        document = run.read_json(NAME)
        weights = run.digest("model.safetensors")
        if (document["weights"], document["made_by"]) != (weights, _made_by()):
            return None
        samples = load_dataset(run.data if data is None else data, config=run.config.data).samples
        if changed_photos(samples, predictions):
            return None
        stores = [FeatureStore(**store) for store in document["stores"]]
        return _stored(stores, document["power"], samples, predictions)
    return None


def _stored(
    stores: Sequence[FeatureStore], power: float, samples: Samples, predictions: Predictions
) -> FloatArray | None:
    row_of = {path: row for row, path in enumerate(samples.paths)}
    digests = [samples.digests[row_of[path]] for path in predictions.paths]
    parts = []
    for store in stores:
        rows = RowStore(CACHE / "features" / store.name, (store.size,), "float32")
        where = rows.rows(digests)
        if (where < 0).any():
            return None
        parts.append(rows.take(where))
    joined = np.concatenate(parts, axis=1)
    if power != 1:
        joined = np.sign(joined) * np.abs(joined) ** np.float32(power)
    return joined.astype(np.float64)


def _made_by() -> str:
    """What decides the places of features, and the bits in them."""
    return " ".join([f"imgcli {__version__}", *(f"{name} {version(name)}" for name in LIBRARIES)])
