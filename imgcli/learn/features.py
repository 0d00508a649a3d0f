"""Features of a frozen backbone: each photo is looked at once, ever.

    .imgcli/cache/features/<weights>-<view>-<precision>/    a RowStore of (D,) float32

A row's key is its photo's content.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from imgcli import workspace
from imgcli.learn.arithmetic import BATCH
from imgcli.learn.identity import network_key, view_key
from imgcli.learn.inputs import to_device, to_images
from imgcli.learn.looking import Looker, for_looking
from imgcli.models.network import Network, feature_count
from imgcli.photos.pixels import load_pixels
from imgcli.photos.store import RowStore
from imgcli.progress import counter
from imgcli.records import Rejected, Samples


def frozen_features(
    network: Network,
    samples: Samples,
    device: torch.device,
    precision: str,
    cache: Path = workspace.CACHE,
) -> tuple[Tensor, list[Rejected]]:
    """Every photo's features `(N, D)` from the backbone in eval mode, from the cache or made now.

    The key is the photo's content, the backbone's weights and layers, the preprocessing and the
    precision, so a changed photo, weight or layer is never served an old feature.

    Returns:
        The features on `device`, NaN for photos that cannot be read, and those photos.
    """
    preprocess, backbone = network.preprocess, network.classifier.backbone
    weights = network_key(network, backbone)[:16]
    size = feature_count(backbone, preprocess.size, preprocess.channels)
    store = RowStore(
        cache / "features" / f"{weights}-{view_key(preprocess)}-{precision}",
        (size,),
        "float32",
        about=f"{network.arch} at {preprocess.size} pixels, {precision}",
    )
    rejected: list[Rejected] = []
    if (store.rows(samples.digests) < 0).any():
        (pixels,) = load_pixels(samples, [preprocess], cache)
        rejected = pixels.rejected
        missing = np.flatnonzero((store.rows(samples.digests) < 0) & pixels.readable)
        module = for_looking(backbone, preprocess, device)
        look = Looker(module, precision, preprocess.test_flip, -(-len(missing) // BATCH))
        try:
            with counter("Looking", total=len(missing), unit="photos") as bar:
                for start in range(0, len(missing), BATCH):
                    rows = missing[start : start + BATCH]
                    features = look(to_images(to_device(pixels.gather(rows), device), preprocess))
                    store.append([samples.digests[i] for i in rows], features.numpy())
                    bar.update(len(rows))
        finally:
            store.flush()
    where = store.rows(samples.digests)
    matrix = np.full((len(samples), size), np.nan, dtype=np.float32)
    matrix[where >= 0] = store.take(where[where >= 0])
    return torch.from_numpy(matrix).to(device), rejected
