"""Features of a frozen backbone, extracted once per photo and cached.

    .imgcli/cache/features/<weights>-<view>-<precision>-<device>-b<batch>/    a RowStore of (D,)

A row's key is its photo's content. What a row holds depends on nothing else: every batch has the
same size, the last one too, because a library sums in another order for another size. So a photo's
features are the same bits whatever its neighbours are, and however many were there already; on the
same kind of machine, with as many threads.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from imgcli.models.folding import fuse_for_inference
from imgcli.models.memory import Batches, within_memory
from imgcli.models.network import Network, feature_count, network_key
from imgcli.photos.row_cache import RowStore
from imgcli.photos.views import Pixels, load_pixels
from imgcli.progress import counter
from imgcli.records import IntArray, Preprocess, Rejected, Samples
from imgcli.runs import CACHE
from imgcli.training.cache_keys import view_key
from imgcli.training.device import BATCH, forward, to_device
from imgcli.training.inputs import to_images

# Photos at once, the last ones repeated to make as many. Fewer on a CPU: one new photo costs less.
_BATCH = {"cpu": 16}


@within_memory()
def frozen_features(
    network: Network,
    samples: Samples,
    device: torch.device,
    precision: str,
    cache: Path = CACHE,
) -> tuple[Tensor, list[Rejected]]:
    """Every photo's features `(N, D)` from the backbone in eval mode, from the cache or made now.

    The key is the photo's content, the backbone's weights and layers, the preprocessing, the
    precision and the kind of device, so a changed photo, weight or layer is never served an old
    feature.

    Returns:
        The features on `device`, NaN for photos that cannot be read, and those photos.
    """
    preprocess, backbone = network.preprocess, network.classifier.backbone
    weights = network_key(network, backbone)[:16]
    batch = _BATCH.get(device.type, BATCH)
    made_by = f"{precision}-{device.type}-b{batch}"
    size = feature_count(backbone, preprocess.size, preprocess.channels)
    store = RowStore(
        cache / "features" / f"{weights}-{view_key(preprocess)}-{made_by}",
        (size,),
        "float32",
        about=f"{network.arch} at {preprocess.size} pixels, {precision}",
    )
    rejected: list[Rejected] = []
    if (store.rows(samples.digests) < 0).any():
        (pixels,) = load_pixels(samples, [preprocess], cache)
        rejected = pixels.rejected
        missing = np.flatnonzero((store.rows(samples.digests) < 0) & pixels.readable)
        module = fuse_for_inference(backbone, preprocess, device)
        extract = Batches(
            lambda rows: forward(
                module, _images(pixels, rows, preprocess, device), precision, preprocess.test_flip
            ).cpu()
        )
        try:
            with counter("Extracting features", total=len(missing), unit="photos") as bar:
                for start in range(0, len(missing), batch):
                    rows = missing[start : start + batch]
                    features = extract(np.resize(rows, batch))[: len(rows)]
                    store.append([samples.digests[i] for i in rows], features.numpy())
                    bar.update(len(rows))
        finally:
            store.flush()
    where = store.rows(samples.digests)
    matrix = np.full((len(samples), size), np.nan, dtype=np.float32)
    matrix[where >= 0] = store.take(where[where >= 0])
    return torch.from_numpy(matrix).to(device), rejected


def _images(pixels: Pixels, rows: IntArray, preprocess: Preprocess, device: torch.device) -> Tensor:
    return to_images(to_device(pixels.gather(rows), device), preprocess)
