"""Any two classes, looked at by name."""

import numpy as np
import pytest

from imgcli.errors import DataError
from imgcli.evaluation.merges.evidence import PairEvidence, pair_evidence
from imgcli.evaluation.merges.separability import Separability
from tests.support.predictions import of_confusion, predictions, sure


def evidence(
    auc: float, low: float, among: tuple[float, float] = (0.5, 0.5), error: float = 0.05
) -> PairEvidence:
    """Evidence on an owl and a bird class with these figures of separability."""
    apart = Separability(auc, (low, 1 - (1 - auc) / 2), among, error)
    return PairEvidence(
        ("bird", "owl"), (60, 40), (12, 20), 9.0, 0.001, 0.01, apart, 0.99, (60, 40), 0
    )


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("same", evidence(0.50, 0.40)),
        ("same", evidence(0.62, 0.51, among=(0.5, 0.9))),  # a coin, however uneven
        ("overlap", evidence(0.62, 0.57)),  # few photos would say so, but there are many
        ("overlap", evidence(0.75, 0.50)),  # too few photos to say that it is a coin
        ("part-of", evidence(0.75, 0.65, among=(0.5, 0.9))),
        ("part-of", evidence(0.75, 0.65, among=(0.9, 0.5))),
        ("overlap", evidence(0.75, 0.65, among=(0.5, 0.9), error=0.3)),  # may be by chance
        ("overlap", evidence(0.75, 0.65, among=(0.8, 0.9), error=0.01)),  # both lie in the other
        ("overlap", evidence(0.95, 0.90, among=(0.1, 0.4))),  # neither does
    ],
)
def test_kinds(kind: str, given: PairEvidence) -> None:
    assert given.kind == kind


def test_the_part_is_the_class_that_lies_among_the_other() -> None:
    assert evidence(0.75, 0.65, among=(0.5, 0.9)).part == "owl"
    assert evidence(0.75, 0.65, among=(0.9, 0.5)).part == "bird"
    assert evidence(0.75, 0.65, among=(0.5, 0.9)).reason() == (
        "12 of 60 bird photos are predicted as owl and 20 of 40 the other way round, 9.0 times the "
        "number expected by chance; given one photo of each class, the model tells which is bird "
        "75 % of the time (AUC; 50 % = random guess); for 90 % of owl photos, at least 5 % of bird "
        "photos get a higher owl score, the other way round for 50 %."
    )


def test_the_score_goes_from_told_apart_to_a_coin() -> None:
    scores = [evidence(auc, 0.4).score for auc in (1.0, 0.75, 0.5, 0.4)]
    assert scores == [0.0, 0.5, 1.0, 1.0]


@pytest.mark.parametrize(
    ("low", "high", "usual", "stands_out"),
    [
        (0.7, 0.9, 0.99, True),  # loses 0.1 at least, where 0.01 is usual
        (0.7, 0.9, 0.97, False),  # 0.03 is usual: not four times
        (0.3, 0.6, 0.8, True),  # 0.4 is not four times 0.2 either, but nearly a coin
        (0.3, 0.7, 0.8, False),
        (0.3, 0.6, 0.55, False),  # as are the others
    ],
)
def test_a_pair_stands_out_by_what_is_usual(
    low: float, high: float, usual: float, stands_out: bool
) -> None:
    apart = Separability((low + high) / 2, (low, high), (0.5, 0.5), 0.05)
    given = PairEvidence(("a", "b"), (9, 9), (3, 3), 9.0, 0.0, 0.01, apart, usual, (9, 9), 0)
    assert given.stands_out is stands_out


@pytest.mark.parametrize(
    ("groups", "shared", "much"),
    [((60, 40), 4, True), ((60, 40), 3, False), ((20, 90), 3, True), ((5, 5), 2, False)],
)
def test_photos_in_both_classes_count_from_a_tenth_of_the_smaller(
    groups: tuple[int, int], shared: int, much: bool
) -> None:
    apart = Separability(0.5, (0.4, 0.6), (0.5, 0.5), 0.05)
    given = PairEvidence(("a", "b"), (9, 9), (3, 3), 9.0, 0.0, 1.0, apart, 0.99, groups, shared)
    assert given.much_shared is much


def test_any_pair_can_be_looked_at() -> None:
    some = of_confusion([[98, 1, 1], [0, 100, 0], [2, 0, 98]])
    found = pair_evidence(some, "c02", "c00")
    assert (found.classes, found.confused, found.n) == (("c02", "c00"), (2, 1), (100, 100))
    assert found.p_value > 0.05
    assert "too few to be sure of" in found.reason()
    with pytest.raises(
        DataError, match="No class 'owl' in the predictions; they know 'c00', 'c01'"
    ):
        pair_evidence(some, "c00", "owl")


def test_a_class_without_photos_cannot_be_looked_at() -> None:
    some = predictions([0, 1], sure([0, 1], 3))
    with pytest.raises(DataError, match="No photo of class 'c02' is among the predictions"):
        pair_evidence(some, "c00", "c02")


def test_photos_in_both_classes_are_told() -> None:
    groups = np.arange(60)
    groups[[20, 21]] = groups[[0, 1]]
    some = predictions(np.repeat([0, 1, 2], 20), sure(np.repeat([0, 1, 2], 20), 3), groups=groups)
    found = pair_evidence(some, "c00", "c01")
    assert found.shared_groups == 2
    assert found.reason().endswith("; 2 photos (near-duplicates included) in both classes.")
    assert pair_evidence(some, "c00", "c02").shared_groups == 0
