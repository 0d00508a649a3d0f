"""Which rows are trained on and which validate: a share, stratified folds, few labels, a bootstrap.

Near-duplicates stay together.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from imgcli.config import SEEDS
from imgcli.errors import DataError
from imgcli.photos.assign import choose_parts, suggested_folds
from imgcli.progress import note_once
from imgcli.records import FloatArray, IntArray
from imgcli.text import count, listed
from imgcli.training.context import TrainingContext
from imgcli.training.inputs import in_batches
from imgcli.training.stratified_folds import stratified_group_folds

_LISTED = 5  # classes
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
        large_groups=bool(context.dataset.grouped_by),
    )
    return rows[parts["train"]], rows[parts.get("val", rows[:0])]


def groups_per_class(context: TrainingContext, rows: IntArray) -> IntArray:
    """The number of groups among the rows of each class, `(K,)`; a photo alone is one."""
    samples = context.dataset.samples
    pairs = np.unique(np.stack([samples.targets[rows], samples.groups[rows]]), axis=1)
    return np.bincount(pairs[0], minlength=len(context.classes))


def evaluation_folds(context: TrainingContext, rows: IntArray, k: int, seed: int) -> IntArray:
    """Stratified folds `(M,)` for error estimation; -1 for a row that no fold can hold out.

    A class is spread over as many folds as it has groups of photos, up to `k`, so that every
    network is trained on some of it. All photos of a class of one group cannot be both trained on
    and held out: they are trained on in every fold, with whatever else is in that group, and never
    scored.

    Raises:
        WrongUsage: no seed for folds.
        DataError: fewer groups than folds, or those of a class cannot be kept apart.
    """
    SEEDS.check("--seed", seed)
    samples, classes = context.dataset.samples, context.classes
    per_class = groups_per_class(context, rows)
    alone = np.flatnonzero(per_class == 1)
    kept = np.isin(
        samples.groups[rows], samples.groups[rows[np.isin(samples.targets[rows], alone)]]
    )
    groups = len(np.unique(samples.groups[rows[~kept]]))
    if groups < k:
        raise DataError(_too_few(context, rows, groups, k))
    fold = np.full(len(rows), -1)
    fold[~kept] = stratified_folds(context, rows[~kept], k, seed)
    _spread(samples.targets[rows], samples.groups[rows], fold)
    for label, name in enumerate(classes):
        held = fold[(samples.targets[rows] == label) & (fold >= 0)]
        if len(held) and len(np.unique(fold[samples.targets[rows] == label])) < 2:
            raise DataError(
                f"All photos of class '{name}' are in one of {k} folds, whose network would learn "
                f"nothing of it: they are in groups with other classes' photos. Correct their "
                "labels, merge the classes, or use another --seed."
            )
    if len(np.unique(fold[fold >= 0])) < k:
        raise DataError(_too_few(context, rows, len(np.unique(fold[fold >= 0])), k))
    _note_rare(context, rows, fold, k)
    return fold


def _spread(targets: IntArray, groups: IntArray, fold: IntArray) -> None:
    """Move a group of each class that is in one fold, though it has several, to another fold."""
    for label in np.unique(targets[fold >= 0]).tolist():
        of_class = (targets == label) & (fold >= 0)
        several = np.unique(groups[of_class])
        if len(np.unique(fold[targets == label])) > 1 or len(several) < 2:
            continue
        smallest = min(several.tolist(), key=lambda group: int((groups == group).sum()))
        sizes = np.bincount(fold[fold >= 0]).astype(np.float64)
        sizes[fold[of_class][0]] = np.inf
        fold[groups == smallest] = int(np.argmin(sizes))


def _too_few(context: TrainingContext, rows: IntArray, groups: int, k: int) -> str:
    """Why there cannot be so many folds, and what to do."""
    most = suggested_folds(groups_per_class(context, rows).tolist())
    what = "groups of photos" if context.dataset.grouped_by else "independent photos"
    if groups < 2:
        return (
            f"'{context.dataset.samples.root}' has {groups} {what} that folds could hold out: all "
            "others are the only ones of their classes. Add photos."
        )
    return (
        f"--folds {k} needs at least {k} {what}, and {groups:,} can be held out. Use --folds "
        f"{min(most, groups)}, or add photos."
    )


def _note_rare(context: TrainingContext, rows: IntArray, fold: IntArray, k: int) -> None:
    """Say which classes are in fewer folds than there are, and which are in none."""
    samples = context.dataset.samples
    targets, groups = samples.targets[rows], groups_per_class(context, rows)
    what = "groups" if context.dataset.grouped_by else "independent photos"
    few = [
        f"'{name}' ({groups[label]})"
        for label, name in enumerate(context.classes)
        if 1 < groups[label] < k
    ]
    if few:
        more = f" and {len(few) - _LISTED} more" if len(few) > _LISTED else ""
        note_once(f"In fewer than {k} folds, for want of {what}: {', '.join(few[:_LISTED])}{more}.")
    never = [
        name
        for label, name in enumerate(context.classes)
        if (targets == label).any() and not ((targets == label) & (fold >= 0)).any()
    ]
    if never:
        left = int((fold < 0).sum())
        note_once(
            f"Trained on in every fold and never scored, since all photos of the class are one "
            f"group or one photo: class {listed(never)} ({count(left, 'photo')})."
        )


def stratified_folds(context: TrainingContext, rows: IntArray, k: int, seed: int) -> IntArray:
    """The fold `(M,)` of each row: stratified by class, near-duplicates in one fold.

    A class in fewer than `k` groups is missing from some folds. Empty folds are left out, so there
    may be fewer than `k`.
    """
    samples = context.dataset.samples
    targets, groups = samples.targets[rows], samples.groups[rows]
    if samples.counts(rows).max() < k:
        fold = _folds_of_rare(targets, groups, k, seed)
    else:
        fold = stratified_group_folds(targets, groups, k, seed)
    return np.unique(fold, return_inverse=True)[1]


def _folds_of_rare(targets: IntArray, groups: IntArray, k: int, seed: int) -> IntArray:
    """Folds `(M,)` where every class has fewer photos than there are folds.

    Large groups first, each goes to the fold with the fewest photos of its classes, and of such to
    the smallest.
    """
    numbers, group = np.unique(groups, return_inverse=True)
    cells = np.zeros((len(numbers), int(targets.max()) + 1), np.int64)
    np.add.at(cells, (group, targets), 1)
    order = np.random.default_rng(seed).permutation(len(numbers))
    order = order[np.argsort(-cells[order].sum(axis=1), kind="stable")]
    have = np.zeros((k, cells.shape[1]), np.int64)
    fold = np.zeros(len(numbers), np.int64)
    for number in order.tolist():
        of_classes = (have * (cells[number] > 0)).sum(axis=1)
        fold[number] = np.lexsort((np.arange(k), have.sum(axis=1), of_classes))[0]
        have[fold[number]] += cells[number]
    return fold[group]


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
