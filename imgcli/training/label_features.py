"""Features of photos that nobody has labelled yet, by the backbone that `train --freeze` has."""

import numpy as np

from imgcli.config import TrainConfig
from imgcli.models.memory import within_memory
from imgcli.records import FloatArray, IntArray, Samples
from imgcli.training.device import choose_device
from imgcli.training.features import extract_features
from imgcli.training.model_io import initial_network
from imgcli.training.precision import choose_precision
from imgcli.training.resolve_defaults import resolve_defaults


@within_memory()
def label_features(
    config: TrainConfig, samples: Samples, device_name: str = "auto"
) -> tuple[FloatArray, IntArray]:
    """The features (M, D) of the photos that can be read, and their rows (M,).

    They are those of the cache for a later `train --freeze` of the same config.
    """
    config = resolve_defaults(config)
    device = choose_device(device_name)
    network = initial_network(config.model, samples.classes or ("", " "), config.seed)
    precision = choose_precision(config.optim.precision, device, network, frozen=True)
    found = extract_features(network, samples, device, precision).features.cpu().numpy()
    rows = np.flatnonzero(~np.isnan(found).any(axis=1))
    return found[rows].astype(np.float64), rows
