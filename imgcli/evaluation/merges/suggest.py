"""Merge suggestions: classes that the model confuses, and the effects of merging them."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from imgcli.errors import DataError
from imgcli.evaluation.intervals import too_few
from imgcli.evaluation.merges.effects import consequences, examples, merged_confusion
from imgcli.evaluation.merges.evidence import ALPHA, PairEvidence, evidence_of
from imgcli.evaluation.merges.null_model import null_model
from imgcli.evaluation.merges.separability import ExpectedAuc
from imgcli.evaluation.metrics import accuracy, confusion_of
from imgcli.records import IntArray, MergeSuggestion, Predictions
from imgcli.text import percent, times

Links = dict[tuple[int, int], PairEvidence]

TOLD_APART = 0.9  # AUC from which the model tells two classes apart, however often it errs,
OVERLAPPING = 0.85  # or an interval above this: the most seen of classes whose meanings overlap
MIN_PHOTOS = 8  # photos; of all confusions of two classes among fewer, none is beyond chance


@dataclass(frozen=True)
class Confused:
    """The classes that are confused by more than chance."""

    merges: list[MergeSuggestion]  # that cannot be told apart, best first
    others: list[PairEvidence]  # that can be, or are hard beside all classes; the worst first
    undecided: list[PairEvidence]  # hardly told apart, and of too few photos to show more


@dataclass(frozen=True)
class _Pairs:
    """Pairs of classes by their numbers, the smaller first."""

    confused: Links  # by more than chance, or with the same photos
    undecided: Links


def suggest_merges(predictions: Predictions) -> list[MergeSuggestion]:
    """The merges of `confused_classes`, best first; none is a good answer."""
    return confused_classes(predictions).merges


def confused_classes(
    predictions: Predictions,
    alpha: float = ALPHA,
    min_rate: float = 0.05,
    max_auc: float = 0.985,
) -> Confused:
    """Groups of classes that the model cannot tell apart, and pairs that are merely hard for it.

    A pair is suggested when it is confused more often than errors without structure would confuse
    it (so a gain that any merge would bring is no reason) and told apart far worse than either
    class is from others (so a class that is hard, or named too readily, is no reason), or where the
    same photos are in both; often enough to matter, and not just for want of a better threshold.
    Three and more are suggested together when each of their pairs
    is: a chain a-b-c is not a group. A group comes beside its pairs, or in their place where all of
    them are `same`, because merging two of three would leave a coin to toss.

    A pair that the model tells apart (AUC of 0.9 and more, or an interval above 0.85) is no merge:
    two classes of one meaning stay below that with any number of photos; of two meanings, more
    photos or a better network raise it. A pair that is told apart far worse than its classes are
    from others, and of too few photos to be confused by more than chance, is undecided.
    With two classes there is nothing to suggest: every error of one falls on the other.

    Args:
        alpha: largest p-value, corrected for the number of pairs.
        min_rate: smallest share of a pair's photos that is confused, the mean of its two classes.
        max_auc: an interval of the pair's AUC that ends above is of two classes told apart.

    Raises:
        DataError: the predictions are of training photos.
    """
    if not predictions.out_of_sample:
        raise DataError(
            f"The predictions of part '{predictions.on}' are of training photos and do not show "
            f"which classes are confused. Run `imgcli evaluate --folds 10` first."
        )
    confusion = confusion_of(predictions)
    pairs = _pairs(predictions, confusion, alpha, min_rate)
    links = {pair: one for pair, one in pairs.confused.items() if _is_one(one, alpha, max_auc)}
    others = [one for pair, one in pairs.confused.items() if pair not in links]
    groups = _groups(links, len(predictions.classes))
    settled = {
        pair
        for group in groups
        for pair in itertools.combinations(group, 2)
        if all(link.kind == "same" for link in _within(links, group))
    }
    found = [
        _pair(predictions, confusion, pair, links[pair]) for pair in links if pair not in settled
    ]
    found += [_group(predictions, confusion, group, _within(links, group)) for group in groups]
    found = [suggestion for suggestion in found if suggestion.evidence["gain_beyond_chance"] > 0]
    return Confused(
        sorted(found, key=lambda suggestion: (-suggestion.score, suggestion.classes)),
        *(
            sorted(some, key=lambda pair: (-pair.score, pair.classes))
            for some in (others, pairs.undecided.values())
        ),
    )


def merges_sample_size(predictions: Predictions) -> str | None:
    """The sentence that photos are too few to suggest any; None where there are enough."""
    return too_few(predictions, MIN_PHOTOS, "which classes are confused by more than chance")


def disjoint(suggestions: Sequence[MergeSuggestion]) -> list[tuple[str, ...]]:
    """Suggestions that can be carried out together: the largest first, then the best.

    One that shares a class with one that is taken already is left out.
    """
    taken: list[tuple[str, ...]] = []
    for suggestion in sorted(suggestions, key=lambda s: (-len(s.classes), -s.score, s.classes)):
        if not set(itertools.chain(*taken)) & set(suggestion.classes):
            taken.append(suggestion.classes)
    return taken


def _pairs(predictions: Predictions, confusion: IntArray, alpha: float, min_rate: float) -> _Pairs:
    """The pairs that are confused, and those hardly told apart."""
    if len(predictions) == 0 or len(predictions.classes) < 3:
        return _Pairs({}, {})
    null, expected_auc = null_model(predictions), ExpectedAuc(predictions)
    confused, undecided = {}, {}
    for a, b in _candidates(predictions, null.p_values <= alpha):
        evidence = evidence_of(predictions, confusion, null, expected_auc, a, b)
        if evidence.rate >= min_rate and (evidence.p_value <= alpha or evidence.much_shared):
            confused[a, b] = evidence
    for a, b in itertools.combinations(expected_auc.classes, 2):
        if (a, b) not in confused and 1 - expected_auc.loss(a, b) < TOLD_APART:
            evidence = evidence_of(predictions, confusion, null, expected_auc, a, b)
            if evidence.apart.auc_ci95[1] < TOLD_APART and evidence.stands_out:
                undecided[a, b] = evidence
    return _Pairs(confused, undecided)


def _is_one(pair: PairEvidence, alpha: float, max_auc: float) -> bool:
    """Whether a confused pair is to be merged."""
    if pair.apart.auc_ci95[1] > max_auc:
        return False
    told_apart = pair.apart.auc >= TOLD_APART or pair.apart.auc_ci95[0] >= OVERLAPPING
    return pair.much_shared or (not told_apart and pair.stands_out and pair.p_value <= alpha)


def _candidates(predictions: Predictions, confused: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The pairs worth a closer look: confused by more than chance, or with a photo in both."""
    pairs = {(a, b) for a, b in np.argwhere(np.triu(confused, 1)).tolist()}
    members = np.unique(np.stack([predictions.groups, predictions.targets]), axis=1)
    _, counts = np.unique(members[0], return_counts=True)
    for classes in np.split(members[1], np.cumsum(counts)[:-1]):  # ascending
        pairs |= set(itertools.combinations(classes.tolist(), 2))
    return sorted(pairs)


def _groups(links: Links, classes: int) -> list[tuple[int, ...]]:
    """Disjoint groups of three and more whose pairs are all links, the strongest joined first."""
    if len(links) < 3:
        return []
    unlinked = 10.0
    distance = np.full((classes, classes), unlinked)
    np.fill_diagonal(distance, 0.0)
    for (a, b), evidence in links.items():
        distance[a, b] = distance[b, a] = 2.0 - evidence.score
    # Complete linkage joins two clusters at their farthest pair, so never over a missing link.
    cluster = fcluster(linkage(squareform(distance), "complete"), unlinked / 2, "distance")
    members = [tuple(np.flatnonzero(cluster == c).tolist()) for c in np.unique(cluster)]
    return [group for group in members if len(group) > 2]


def _within(links: Links, group: Sequence[int]) -> list[PairEvidence]:
    return [links[pair] for pair in itertools.combinations(group, 2)]


def _pair(
    predictions: Predictions, confusion: IntArray, pair: tuple[int, int], evidence: PairEvidence
) -> MergeSuggestion:
    after = merged_confusion(predictions, confusion, pair)
    return MergeSuggestion(
        classes=evidence.classes,
        kind=evidence.kind,
        score=evidence.score,
        evidence={
            **evidence.to_json(),
            **consequences(confusion, after, evidence.chance_gain),
            "examples": examples(predictions, pair),
        },
        accuracy_after=float(accuracy(after)),
        photos=sum(evidence.n),
        reason=evidence.reason(),
    )


def _group(
    predictions: Predictions,
    confusion: IntArray,
    group: tuple[int, ...],
    pairs: Sequence[PairEvidence],
) -> MergeSuggestion:
    after = merged_confusion(predictions, confusion, group)
    names = tuple(predictions.classes[i] for i in group)
    photos = int(np.isin(predictions.targets, group).sum())
    confused = sum(sum(pair.confused) for pair in pairs)
    best = max(pairs, key=lambda pair: pair.apart.auc)
    least = min(pair.lift for pair in pairs)
    return MergeSuggestion(
        classes=names,
        kind="same" if all(pair.kind == "same" for pair in pairs) else "overlap",
        score=min(pair.score for pair in pairs),
        evidence={
            "pairs": [{"classes": list(pair.classes), **pair.to_json()} for pair in pairs],
            "p_value": max(pair.p_value for pair in pairs),
            **consequences(confusion, after, sum(pair.chance_gain for pair in pairs)),
            "examples": examples(predictions, group),
        },
        accuracy_after=float(accuracy(after)),
        photos=photos,
        reason=(
            f"{confused} of {photos} photos of {', '.join(names[:-1])} and {names[-1]} are "
            f"predicted as another of them, each pair at least {times(least)} as often as expected "
            f"by chance; given one photo of each class of the best separated pair, "
            f"{' and '.join(best.classes)}, the model tells which is which "
            f"{percent(best.apart.auc, digits=0)} of the time (AUC; 50 % = random guess)."
        ),
    )
