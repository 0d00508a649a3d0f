"""Predictions made in code: hand-countable ones, and ones with a planted structure."""

from collections.abc import Sequence

import numpy as np

from imgcli.evaluation import metrics
from imgcli.evaluation.intervals import effective_sizes
from imgcli.records import FloatArray, IntArray, Predictions

# What a class may be called, and what HTML, a script or a line of text would make of it.
ODD = (  # sorted, as classes are
    "</script><script>alert(1)</script>",
    "<b>\"'&amp;",
    "new\nline",
    "undecodable \udcff byte",
    "{{ 7 * 7 }}",
    "\u05e9\u05dc\u05d5\u05dd",
    "\u202eturned",
)


def predictions(
    targets: Sequence[int] | IntArray,
    probs: FloatArray,
    classes: Sequence[str] | None = None,
    fold: Sequence[int] | IntArray | None = None,
    groups: Sequence[int] | IntArray | None = None,
    out_of_sample: bool = True,
) -> Predictions:
    """Predictions of photos 0, 1, 2, ... of classes c00, c01, ... where nothing else is said."""
    m, k = probs.shape
    return Predictions(
        classes=tuple(classes or (f"c{i:02d}" for i in range(k))),
        indices=np.arange(m),
        targets=np.asarray(targets, np.int64),
        probs=probs,
        fold=np.full(m, -1) if fold is None else np.asarray(fold, np.int64),
        groups=np.arange(m) if groups is None else np.asarray(groups, np.int64),
        paths=tuple(f"{i}.jpg" for i in range(m)),
        on="train",
        out_of_sample=out_of_sample,
    )


def photo_predictions(
    confusion: Sequence[Sequence[int]] | IntArray,
    classes: Sequence[str] | None = None,
    folds: int = 0,
    on: str = "train",
    seed: int = 0,
) -> Predictions:
    """Predictions with this confusion matrix, of photos called `<on>/c<class>/<number>.png`."""
    counts = np.asarray(confusion)
    k, n = len(counts), int(counts.sum())
    targets, said = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices((k, k)))
    rng = np.random.default_rng(seed)
    probs = rng.uniform(0.0, 0.3 / k, (n, k))
    probs[np.arange(n), said] = rng.uniform(0.4, 0.9, n)
    probs /= probs.sum(axis=1, keepdims=True)
    return Predictions(
        classes=tuple(classes or (f"class_{i:03d}" for i in range(k))),
        indices=np.arange(n),
        targets=targets.astype(np.int64),
        probs=probs,
        fold=np.arange(n) % folds if folds else np.full(n, -1),
        groups=np.arange(n),
        paths=tuple(f"{on}/c{target}/{i:04d}.png" for i, target in enumerate(targets)),
        on=on,
    )


def sure(preds: Sequence[int] | IntArray, k: int, confidence: float = 0.9) -> FloatArray:
    """(M, K) probabilities of a model that says each of `preds` with one confidence."""
    probs = np.full((len(preds), k), (1 - confidence) / (k - 1))
    probs[np.arange(len(preds)), preds] = confidence
    return probs


def of_confusion(matrix: Sequence[Sequence[int]], **more: object) -> Predictions:
    """Predictions that have this confusion matrix."""
    counts = np.array(matrix)
    targets, preds = np.divmod(np.repeat(np.arange(counts.size), counts.ravel()), len(counts))
    return predictions(targets, sure(preds, len(counts)), **more)  # type: ignore[arg-type]


def independent(
    rng: np.random.Generator, k: int, clearness: float, sizes: tuple[int, int] = (30, 101)
) -> Predictions:
    """A clean set: all pairs of classes lie equally far apart, errors fall where they may.

    Photos are points around K orthogonal centres at distance `clearness`, in units of their
    standard deviation; the model knows the true densities.
    """
    targets = np.repeat(np.arange(k), rng.integers(*sizes, k))
    return predictions(targets, _softmax(_logits(rng, targets, k, clearness)))


def with_twins(rng: np.random.Generator, k: int, twins: int, n: int) -> Predictions:
    """K kinds of photo, the first `twins` of them under two class names given at random.

    Classes 2 i and 2 i + 1 are twins. The model believes in both alike, but for a noise.
    """
    return _disguised(rng, np.r_[np.repeat(np.arange(twins), 2), np.arange(twins, k)], n)


def with_triplet(rng: np.random.Generator, k: int, n: int) -> Predictions:
    """K kinds of photo, the first of them under three class names given at random."""
    return _disguised(rng, np.r_[0, 0, np.arange(k)], n)


def with_part(rng: np.random.Generator, k: int, n: int, share: float = 0.5) -> Predictions:
    """K kinds of photo; class 0 is all of kind 0, and so is `share` of class 1."""
    targets = np.repeat(np.arange(k), n)
    kinds = targets.copy()
    kinds[n : n + round(share * n)] = 0
    logits = _logits(rng, kinds, k, 4.0)
    # In what is of kind 0 the model knows classes 0 and 1 to be about as frequent.
    inside = logits[:, 0] + rng.normal(size=len(logits)) + np.log(share)
    return predictions(targets, _softmax(np.c_[logits, inside], merge=(1, k)))


def _disguised(rng: np.random.Generator, kind_of: IntArray, n: int) -> Predictions:
    """n photos of each class, where class i is of kind `kind_of[i]`."""
    targets = np.repeat(np.arange(len(kind_of)), n)
    logits = _logits(rng, kind_of[targets], kind_of.max() + 1, 4.0)[:, kind_of]
    return predictions(targets, _softmax(logits + rng.normal(size=logits.shape)))


def _logits(rng: np.random.Generator, kinds: IntArray, k: int, clearness: float) -> FloatArray:
    return clearness * (clearness * np.eye(k)[kinds] + rng.normal(size=(len(kinds), k)))


def _softmax(logits: FloatArray, merge: tuple[int, int] | None = None) -> FloatArray:
    """Probabilities; with `merge` the last column's are added to the other one named."""
    probs: FloatArray = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs /= probs.sum(axis=1, keepdims=True)
    if merge is not None:
        into, last = merge
        probs[:, into] += probs[:, last]
        probs = probs[:, :last]
    return probs


def noisy(
    rng: np.random.Generator,
    first: list[float],
    second: list[float],
    n: int = 200,
    copies: int = 1,
    alike: float = 0.5,
) -> list[Predictions]:
    """Two runs that are right about a class as often as said, a share `alike` of the time together.

    Args:
        copies: photos in each near-duplicate group, answered alike.
    """
    k = len(first)
    targets, luck, other = rng.integers(k, size=n), rng.random(n), rng.random(n)
    ways = rng.integers(1, k, size=n)
    lucks = [luck, np.where(rng.random(n) < alike, luck, other)]
    group = np.repeat(np.arange(n), copies)
    return [
        predictions(
            targets[group],
            sure(np.where(u < np.array(share)[targets], targets, (targets + ways) % k)[group], k),
            groups=group,
        )
        for share, u in zip((first, second), lucks, strict=True)
    ]


def intervals_of(some: Predictions, draws: int = 1000) -> dict[str, tuple[float, float]]:
    """The 95 % intervals of its figures, as `evaluate` gives them."""
    matrix = metrics.confusion_of(some)
    values = {name: float(figure(matrix)) for name, figure in metrics.FIGURES.items()}
    sizes = effective_sizes(some, metrics.FIGURES, values, draws)
    return {name: metrics.wilson_interval(values[name], n) for name, n in sizes.items()}
