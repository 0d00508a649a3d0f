"""What a network learns from, by row: pixels, or the features of a frozen backbone.

Both give `batch(rows)` for looking and `train_batch(rows, generator)` for learning, so the training
loop does not know which it has.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor, nn

from imgcli import workspace
from imgcli.learn.arithmetic import autocast
from imgcli.learn.augment import RECIPES, Recipe, augment
from imgcli.models.network import Network, feature_count, fingerprint
from imgcli.photos.pixels import Pixels, load_pixels
from imgcli.photos.store import RowStore
from imgcli.progress import counter
from imgcli.records import IntArray, Preprocess, Rejected, Samples

BATCH = 64  # photos at once where nothing is learnt


class Inputs(Protocol):
    def batch(self, rows: IntArray) -> Tensor: ...

    def train_batch(self, rows: IntArray, generator: torch.Generator) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class PixelInputs:
    """Photos as images `(B, 3, S, S)`, normalised, augmented when they are learnt from."""

    pixels: Pixels
    preprocess: Preprocess
    device: torch.device
    recipe: Recipe

    def batch(self, rows: IntArray) -> Tensor:
        return to_images(self.pixels.gather(rows), self.preprocess, self.device)

    def train_batch(self, rows: IntArray, generator: torch.Generator) -> Tensor:
        return augment(self.batch(rows), self.recipe, generator)


@dataclass(frozen=True, eq=False)
class FeatureInputs:
    """Features `(B, D)` of a frozen backbone, standardised by some rows' mean and deviation."""

    features: Tensor  # (N, D) float32; a row of NaN where the photo cannot be read
    mean: Tensor | float = 0.0  # (D,)
    scale: Tensor | float = 1.0  # (D,)

    def standardised(self, rows: IntArray) -> Self:
        """The same features, standardised by `rows`."""
        learnt = self.features[torch.from_numpy(rows)]
        return type(self)(self.features, learnt.mean(0), learnt.std(0).clamp_min(1e-5))

    def batch(self, rows: IntArray) -> Tensor:
        return (self.features[torch.from_numpy(rows)] - self.mean) / self.scale

    def train_batch(self, rows: IntArray, generator: torch.Generator) -> Tensor:
        return self.batch(rows)


def to_images(pixels: np.ndarray, preprocess: Preprocess, device: torch.device) -> Tensor:
    """Pixels `(B, S, S, 3)` uint8 → images `(B, 3, S, S)` float32, normalised, channels last."""
    images = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float()  # (B, 3, S, S)
    mean = torch.tensor(preprocess.mean, device=device).view(3, 1, 1) * 255
    std = torch.tensor(preprocess.std, device=device).view(3, 1, 1) * 255
    return (images - mean) / std


def frozen_features(
    network: Network,
    samples: Samples,
    device: torch.device,
    precision: str,
    cache: Path = workspace.CACHE,
) -> tuple[Tensor, list[Rejected]]:
    """Every photo's features `(N, D)` from the backbone in eval mode, from the cache or made now.

    The key is the photo's content, the backbone's weights, the preprocessing and the precision, so
    a changed photo or weight is never served an old feature.

    Returns:
        The features on `device`, NaN for photos that cannot be read, and those photos.
    """
    backbone = network.classifier.backbone.to(device).to(memory_format=torch.channels_last).eval()
    preprocess = network.preprocess
    size = feature_count(backbone, preprocess.size)
    normalised = hash_of(preprocess.mean, preprocess.std)
    name = f"{fingerprint(backbone)[:16]}-{preprocess.geometry()}-{normalised}-{precision}"
    store = RowStore(cache / "features" / name, (size,), "float32")
    rejected: list[Rejected] = []
    if (store.rows(samples.digests) < 0).any():
        pixels = load_pixels(samples, preprocess, cache)
        rejected = pixels.rejected
        missing = np.flatnonzero((store.rows(samples.digests) < 0) & pixels.readable)
        inputs = PixelInputs(pixels, preprocess, device, RECIPES["none"])
        try:
            with counter("Looking", total=len(missing), unit="photos") as bar:
                for rows in in_batches(missing, BATCH):
                    features = forward(backbone, inputs.batch(rows), precision)
                    store.append([samples.digests[i] for i in rows], features.cpu().numpy())
                    bar.update(len(rows))
        finally:
            store.flush()
    where = store.rows(samples.digests)
    matrix = np.full((len(samples), size), np.nan, dtype=np.float32)
    matrix[where >= 0] = store.take(where[where >= 0])
    return torch.from_numpy(matrix).to(device), rejected


def forward(module: nn.Module, images: Tensor, precision: str) -> Tensor:
    """Run a module in eval mode without learning; the result in float32."""
    with torch.inference_mode(), autocast(images.device, precision):
        out: Tensor = module(images)
    return out.float()


def in_batches(rows: IntArray, size: int) -> list[IntArray]:
    """Cut rows into batches of at most `size`, all of nearly one size."""
    return np.array_split(rows, -(-len(rows) // size)) if len(rows) else []


def hash_of(*values: object) -> str:
    """A short name for some plain values."""
    return hashlib.sha256(repr(values).encode()).hexdigest()[:8]
