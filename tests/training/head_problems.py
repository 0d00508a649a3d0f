"""A small problem for heads: features of very different scales, overlapping classes."""

import numpy as np
import torch

M, D, K = 240, 12, 4


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
