"""Which rows are trained on and which validate: a share, stratified folds, few labels, a bootstrap.

Near-duplicates stay together.
"""

import warnings

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from imgcli.config import SEEDS
from imgcli.errors import DataError
from imgcli.photos.assign import choose_parts
from imgcli.records import FloatArray, IntArray
from imgcli.text import count
from imgcli.training.context import TrainingContext
from imgcli.training.inputs import in_batches

_AT_ONCE = 1024  # photos whose pixels are compared


def hold_out(context: TrainingContext, rows: IntArray, share: float) -> tuple[IntArray, IntArray]:
    """Part of `rows` for validation, split as by `imgcli split`: stratified, groups kept together.

    Returns:
        The training rows and the validation rows, empty if `share` is 0.
    """
    samples = context.dataset.samples
    parts = choose_parts(
        samples.targets[rows],
        samples.groups[rows],
        [samples.digests[row] for row in rows],
        {"train": 1 - share, **({"val": share} if share else {})},
        context.config.seed,
    )
    return rows[parts["train"]], rows[parts.get("val", rows[:0])]


def groups_per_class(context: TrainingContext, rows: IntArray) -> IntArray:
    """The number of groups of near-duplicates among the rows of each class, `(K,)`."""
    samples = context.dataset.samples
    pairs = np.unique(np.stack([samples.targets[rows], samples.groups[rows]]), axis=1)
    return np.bincount(pairs[0], minlength=len(context.classes))


def evaluation_folds(context: TrainingContext, rows: IntArray, k: int, seed: int) -> IntArray:
    """Stratified folds `(M,)` for error estimation: every class is in at least two.

    Raises:
        WrongUsage: no seed for folds.
        DataError: a class has too few groups of photos, or they cannot be kept apart.
    """
    SEEDS.check("--seed", seed)
    samples = context.dataset.samples
    counts = zip(
        samples.counts(rows).tolist(), groups_per_class(context, rows).tolist(), strict=True
    )
    for name, (photos, groups) in zip(context.classes, counts, strict=True):
        if groups < k:
            raise DataError(_too_few(name, photos, groups, k))
    fold = stratified_folds(context, rows, k, seed)
    for label, name in enumerate(context.classes):
        if len(np.unique(fold[samples.targets[rows] == label])) < 2:
            raise DataError(
                f"All photos of class '{name}' are in one of {k} folds, whose network would learn "
                "nothing of it: they are near-duplicates of other classes' photos. Correct their "
                "labels, merge the classes, or use another --seed."
            )
    return fold


def _too_few(name: str, photos: int, groups: int, k: int) -> str:
    """Why a class cannot be in each of k folds, and what to do."""
    fewer = f"or use --folds {groups}" if groups > 1 else "or remove it"
    has, need = count(photos, "photo"), f"{k} folds need at least {k}"
    if groups < photos:
        has += f" in {count(groups, 'group')} of near-duplicates, each kept in one fold"
        need += " groups"
    return f"Class '{name}' has {has}; {need}. Add photos, merge the class, {fewer}."


def stratified_folds(context: TrainingContext, rows: IntArray, k: int, seed: int) -> IntArray:
    """The fold `(M,)` of each row: stratified by class, near-duplicates in one fold.

    A class in fewer than `k` groups is missing from some folds. Empty folds are left out, so there
    may be fewer than `k`.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # a second, for folds alone

    samples = context.dataset.samples
    folder = StratifiedGroupKFold(k, shuffle=True, random_state=seed)
    fold = np.zeros(len(rows), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        parts = list(folder.split(rows, samples.targets[rows], samples.groups[rows]))
    for number, (_, held) in enumerate(parts):
        fold[held] = number
    return np.unique(fold, return_inverse=True)[1]


# --- fewer of them ------------------------------------------------------------------------------


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
