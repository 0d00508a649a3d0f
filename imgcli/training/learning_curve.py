"""Learning curve: accuracy by the number of training photos, for frozen features only."""

from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import numpy as np
from numpy.typing import NDArray

from imgcli.errors import RunError, WrongUsage
from imgcli.models.memory import within_memory
from imgcli.records import FloatArray, IntArray
from imgcli.runs import Run
from imgcli.training.context import TrainingContext, fresh_context
from imgcli.training.cross_validation import FoldFit, cross_validate, folds_of
from imgcli.training.folds import evaluation_folds

SHARES = (0.1, 0.18, 0.32, 0.56, 1.0)  # of each class's training photos in a fold


@dataclass(frozen=True, eq=False)
class Answers:
    """Which of M held-out photos are correctly classified, by the share of training photos."""

    classes: tuple[str, ...]
    targets: IntArray  # (M,)
    groups: IntArray  # (M,)
    fold: IntArray  # (M,)
    photos: FloatArray  # (S,) trained on, mean of the folds
    right: NDArray[np.bool_]  # (S, M)


@within_memory()
def answers_by_share(
    run: Run, data: Path | None, k: int, seed: int | None = None, device: str = "auto"
) -> Answers:
    """Predict the train part by k folds, each trained on growing shares of the others.

    The photos of a share are among those of every larger one; near-duplicates come together.

    Raises:
        RunError: the run's backbone was trained too, so that each share would be a long training.
        WrongUsage: fewer than 2 folds.
        DataError: fewer groups of photos than folds.
    """
    if not run.config.model.frozen or run.config.data.labels_per_class is not None:
        raise RunError(
            f"The run '{run.folder}' has no learning curve: that takes features that are kept, of "
            "a frozen backbone, and heads that learn from all labels. Train one: "
            f"imgcli train --arch {quote(run.config.model.arch)} --freeze"
        )
    if k < 2:
        raise WrongUsage(f"--folds {k} is too few; use at least 2.")
    context = fresh_context(run, data, device)
    rows, seed = context.rows("train"), context.config.seed if seed is None else seed
    fold = evaluation_folds(context, rows, k, seed)
    folds = [
        whole._replace(train=part, label=f"{whole.label}, {share:.0%}")
        for f, whole in enumerate(folds_of(rows, fold))
        for part, share in zip(_growing(context, whole.train, [seed, f]), SHARES, strict=True)
    ]
    rows, fold = rows[fold >= 0], fold[fold >= 0]  # the others are trained on only
    right = np.zeros((len(SHARES), len(rows)), dtype=np.bool_)
    for place, correct in enumerate(cross_validate(context, folds, FoldFit.correct)):
        f, share = divmod(place, len(SHARES))
        right[share, fold == f] = correct
    samples = context.dataset.samples
    photos = np.array([len(one.train) for one in folds]).reshape(k, -1).mean(axis=0)
    return Answers(
        context.classes, samples.targets[rows], samples.groups[rows], fold, photos, right
    )


def _growing(context: TrainingContext, rows: IntArray, seed: list[int]) -> list[IntArray]:
    """For each of SHARES that share of the rows of each class, at least two.

    Where there are, two that are no near-duplicates: a head's regularisation is chosen by them.
    """
    samples = context.dataset.samples
    rng = np.random.default_rng(seed)
    _, group = np.unique(samples.groups[rows], return_inverse=True)
    shuffled = rows[np.argsort(rng.permutation(len(rows))[group], kind="stable")]
    by_class = [
        of_class
        for label in range(len(context.classes))
        if len(of_class := shuffled[samples.targets[shuffled] == label])
    ]
    least = [_with_second_group(samples.groups[of_class]) for of_class in by_class]
    parts = []
    for share in SHARES:
        chosen = [
            of_class[: max(few, round(share * len(of_class)))]
            for of_class, few in zip(by_class, least, strict=True)
        ]
        parts.append(np.sort(np.concatenate(chosen)))
    return parts


def _with_second_group(groups: IntArray) -> int:
    """How many photos, of groups in a row, it takes to have two groups; all where there is one."""
    others = np.flatnonzero(groups != groups[0])
    return int(others[0]) + 1 if len(others) else len(groups)
