"""Subsets of the training rows: a few labels of each class, or a bootstrap sample."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from imgcli.errors import DataError
from imgcli.records import FloatArray, IntArray
from imgcli.training.context import TrainingContext
from imgcli.training.inputs import in_batches

_AT_ONCE = 1024  # photos whose pixels are compared


def few_labels(context: TrainingContext, rows: IntArray) -> IntArray:
    """So many of the rows per class as the config asks for; all where it does not.

    "random" draws them by the seed; "representative" takes those whose features, or pixels, are
    nearest by cosine to the mean of their class.

    Raises:
        DataError: a class has fewer.
    """
    per_class = context.config.data.labels_per_class
    if per_class is None:
        return rows
    targets = context.dataset.samples.targets[rows]
    rng = np.random.default_rng(context.config.seed)
    chosen = []
    for k, name in enumerate(context.classes):
        of_class = rows[targets == k]
        if len(of_class) < per_class:
            raise DataError(
                f"Class '{name}' has {len(of_class)} photos to choose from, fewer than "
                f"--labels-per-class {per_class}. Use fewer labels, or add photos."
            )
        order = rng.permutation(len(of_class))
        if context.config.data.pick == "representative":
            order = np.argsort(-nearness(context, of_class), kind="stable")
        chosen.append(of_class[order[:per_class]])
    return np.sort(np.concatenate(chosen))


def bootstrap(context: TrainingContext, rows: IntArray) -> IntArray:
    """As many rows drawn with replacement (Breiman, Bagging Predictors, 1996), if asked for."""
    if context.config.data.bag is None:
        return rows
    rng = np.random.default_rng([context.config.seed, context.config.data.bag])
    return np.sort(rng.choice(rows, len(rows)))


def nearness(context: TrainingContext, rows: IntArray) -> FloatArray:
    """Cosine of each row's features or pixels to the mean direction of them all, (M,)."""
    batches = in_batches(rows, _AT_ONCE)
    centre = torch.stack([_directions(context, batch).sum(0) for batch in batches]).sum(0)
    near = torch.cat([_directions(context, batch) @ centre for batch in batches]) / centre.norm()
    return np.asarray(near.double().cpu().numpy(), dtype=np.float64)


def _directions(context: TrainingContext, rows: IntArray) -> Tensor:
    """Features, or the pixels as the network sees them, each of length 1."""
    return functional.normalize(context.inputs.batch(rows).flatten(1))
