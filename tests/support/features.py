"""A small problem for heads: features of very different scales, overlapping classes."""

from pathlib import Path
from string import ascii_lowercase

import numpy as np
import torch
from torch import nn

from imgcli.config import TrainConfig
from imgcli.models.network import Classifier, Network
from imgcli.photos.dataset import Dataset
from imgcli.records import Preprocess, Samples, Split
from imgcli.training.context import TrainingContext
from imgcli.training.inputs import FeatureInputs
from imgcli.training.resolve_defaults import resolve_defaults

M, D, K = 240, 12, 4
CLASSES = (*ascii_lowercase, *(f"z{k:03d}" for k in range(1000)))
HEAD = TrainConfig.of(arch="resnet18", freeze=True, precision="fp32")


def problem() -> tuple[torch.Tensor, torch.Tensor]:
    """Features `(M, D)` and targets `(M,)`."""
    rng = np.random.default_rng(0)
    targets = rng.integers(0, K, M)
    centres = rng.normal(0, 1.2, (K, D))
    features = (centres[targets] + rng.normal(0, 1, (M, D))) * np.logspace(-2, 2, D) + 5
    return torch.tensor(features, dtype=torch.float32), torch.from_numpy(targets)


def masks(folds: int) -> torch.Tensor:
    """Rows `(folds, M)` of everything but a fold."""
    return torch.stack([torch.arange(M) % folds != f for f in range(folds)])


def context_of(
    features: torch.Tensor, targets: np.ndarray, config: TrainConfig, unlabelled: int = 0
) -> TrainingContext:
    """A context on features as if a backbone had given them; the last rows have no label."""
    n = len(targets)
    known = targets.copy()
    known[n - unlabelled :] = -1
    samples = Samples(
        root=Path("dataset"),
        paths=tuple(f"train/{i:04d}.png" for i in range(n)),
        targets=known,
        groups=np.arange(n),
        digests=tuple(f"{i:064x}" for i in range(n)),
        classes=CLASSES[: targets.max() + 1],
    )
    rows = np.arange(n)
    split = Split({"train": rows[: n - unlabelled]})
    torch.manual_seed(0)
    head = nn.Linear(features.shape[1], len(samples.classes))
    network = Network(Classifier(nn.Identity(), head), Preprocess(8), "any", None)
    return TrainingContext(
        resolve_defaults(config),
        Dataset(samples, split, (), 0),
        network,
        FeatureInputs(features),
        torch.from_numpy(known),
        np.ones(n, dtype=bool),
        rows[n - unlabelled :],
        (),
        torch.device("cpu"),
    )


def blobs(n: int, seed: int = 0) -> tuple[torch.Tensor, np.ndarray]:
    """Three classes in four dimensions, well apart."""
    targets = np.arange(n) % 3
    features = torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))
    features[torch.arange(n), torch.from_numpy(targets)] += 4
    return features, targets
