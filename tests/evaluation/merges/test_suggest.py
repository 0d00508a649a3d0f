"""Merge suggestions: planted twins, parts and groups are found, clean data is left alone."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from imgcli.errors import DataError
from imgcli.evaluation.merges.effects import accuracy
from imgcli.evaluation.merges.evidence import pair_evidence
from imgcli.evaluation.merges.suggest import (
    MIN_PHOTOS,
    confused_classes,
    disjoint,
    merges_sample_size,
    suggest_merges,
)
from imgcli.records import Predictions
from tests.support.predictions import (
    independent,
    of_confusion,
    predictions,
    sure,
    with_part,
    with_triplet,
    with_twins,
)


def test_twins_head_the_list_and_are_the_same() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        found = suggest_merges(with_twins(rng, k=10, twins=3, n=40))
        pairs = {("c00", "c01"), ("c02", "c03"), ("c04", "c05")}
        assert {suggestion.classes for suggestion in found[:3]} == pairs
        assert {suggestion.kind for suggestion in found[:3]} == {"same"}


@pytest.mark.parametrize("k", [10, 30])
def test_data_without_structure_brings_no_suggestion(k: int) -> None:
    rng = np.random.default_rng(k)
    alarms, undecided, accuracies = 0, 0, []
    for clearness in [1.5, 2.0, 2.5, 3.0, 3.5] * 8:
        clean = independent(rng, k, clearness)
        accuracies.append(accuracy(clean))
        found = confused_classes(clean)
        alarms += bool(found.merges)
        undecided += len(found.undecided)
    assert undecided == 0
    assert min(accuracies) < 0.6 and max(accuracies) > 0.85  # of bad models and of good ones
    assert alarms <= 2  # of 40 data sets


def test_a_part_is_recognised_and_named() -> None:
    rng = np.random.default_rng(0)
    named = []
    for _ in range(10):
        found = suggest_merges(with_part(rng, k=8, n=60))
        assert [suggestion.classes for suggestion in found] == [("c00", "c01")]
        named.append((found[0].kind, found[0].evidence["part"]))
    assert named.count(("part-of", "c00")) >= 9


def test_classes_that_overlap_alike_are_no_part_of_each_other() -> None:
    rng = np.random.default_rng(0)
    kinds = []
    for _ in range(20):
        of_a, of_b = rng.normal(1.2, size=60), rng.normal(size=60)
        scores = np.concatenate([of_a, of_b]) - 0.75
        probs = np.c_[np.exp(scores), np.ones(120), np.full((120, 3), 1e-3)]
        others = sure(np.repeat([2, 3, 4], 40), 5)
        probs = np.r_[probs / probs.sum(axis=1, keepdims=True), others]
        some = predictions(np.repeat(np.arange(5), [60, 60, 40, 40, 40]), probs)
        kinds += [suggestion.kind for suggestion in suggest_merges(some)]
    assert len(kinds) == 20 and kinds.count("overlap") >= 18


def test_three_classes_that_are_one_come_as_one_group_in_place_of_their_pairs() -> None:
    found = suggest_merges(with_triplet(np.random.default_rng(0), k=6, n=60))
    assert [suggestion.classes for suggestion in found] == [("c00", "c01", "c02")]
    group = found[0]
    assert (group.kind, group.photos) == ("same", 180)
    assert len(group.evidence["pairs"]) == 3
    assert group.evidence["gain"] > 2 * group.evidence["chance_gain"] > 0
    assert group.reason.startswith("12") and "photos of c00, c01 and c02" in group.reason


def test_a_chain_is_no_group() -> None:
    matrix = np.diag([60] * 10)
    matrix[:4, :4] = [[40, 20, 0, 0], [20, 20, 20, 0], [0, 20, 20, 20], [0, 0, 20, 40]]
    found = suggest_merges(of_confusion(matrix.tolist()))
    chain = {("c00", "c01"), ("c01", "c02"), ("c02", "c03")}
    assert {suggestion.classes for suggestion in found} == chain


def test_a_group_that_overlaps_comes_beside_its_pairs_with_the_score_of_its_weakest() -> None:
    matrix = np.diag([60] * 6)
    matrix[:3, :3] = [[30, 16, 14], [14, 30, 16], [15, 15, 30]]
    found = suggest_merges(of_confusion(matrix.tolist()))
    assert {suggestion.classes for suggestion in found} == {
        ("c00", "c01"),
        ("c00", "c02"),
        ("c01", "c02"),
        ("c00", "c01", "c02"),
    }
    assert found == sorted(found, key=lambda suggestion: -suggestion.score)
    group = next(suggestion for suggestion in found if len(suggestion.classes) == 3)
    assert group.kind == "overlap" and group.score == min(each.score for each in found)


def test_evidence_is_what_was_counted() -> None:
    matrix = np.diag([50] * 5)
    matrix[1, 3], matrix[1, 1] = 10, 40
    matrix[3, 1], matrix[3, 3] = 5, 15
    found = suggest_merges(of_confusion(matrix.tolist()))
    assert len(found) == 1
    suggestion = found[0]
    assert (suggestion.classes, suggestion.photos) == (("c01", "c03"), 70)
    assert suggestion.accuracy_after == 1.0
    evidence = suggestion.evidence
    assert (evidence["n"], evidence["confused"], evidence["rates"]) == (
        [50, 20],
        [10, 5],
        [0.2, 0.25],
    )
    assert evidence["gain"] == pytest.approx(15 / 220)
    # By size, 20 of 170 of c01's ten errors and 50 of 200 of c03's five would be of this pair.
    assert evidence["chance_gain"] == pytest.approx((10 * 20 / 170 + 5 * 50 / 200) / 220)
    assert evidence["p_value"] < 0.001
    assert evidence["auc"] == pytest.approx(1 - (0.2 + 0.25) / 2)  # one confidence: ties, or not
    json.dumps(asdict(suggestion))


def test_near_duplicates_in_both_classes_are_evidence_where_errors_are_too_few() -> None:
    """A class full of near-identical photos, split at random: few groups, and all in both."""
    rng = np.random.default_rng(0)
    targets = np.repeat(np.arange(8), 40)
    groups = np.arange(320)
    groups[:80] = rng.integers(0, 6, 80) + 1000  # six scenes, their photos in c00 and c01
    probs = sure(targets, 8)
    for group in range(1000, 1006):
        probs[groups == group] = sure([group % 2] * (groups == group).sum(), 8, 0.6)
    found = suggest_merges(predictions(targets, probs, groups=groups))
    assert [(s.classes, s.kind) for s in found] == [(("c00", "c01"), "same")]
    assert found[0].evidence["shared_groups"] == 6
    apart = suggest_merges(predictions(targets, probs))  # were they 80 different photos
    assert apart[0].evidence["shared_groups"] == 0


def test_a_photo_in_two_classes_does_not_make_them_one() -> None:
    groups = np.arange(120)
    groups[[40, 41, 42, 43, 44]] = groups[:5]
    targets = np.repeat([0, 1, 2], 40)
    assert suggest_merges(predictions(targets, sure(targets, 3), groups=groups)) == []


def test_a_plan_takes_groups_first_and_no_class_twice() -> None:
    matrix = np.diag([60] * 8)
    matrix[:3, :3] = [[30, 16, 14], [14, 30, 16], [15, 15, 30]]
    matrix[3:5, 3:5] = 30
    found = suggest_merges(of_confusion(matrix.tolist()))
    assert len(found) == 5
    assert disjoint(found) == [("c00", "c01", "c02"), ("c03", "c04")]
    assert disjoint([]) == []


def test_the_reason_is_one_plain_sentence() -> None:
    matrix = np.diag([50] * 5)
    matrix[1, 3], matrix[1, 1] = 10, 40
    matrix[3, 1], matrix[3, 3] = 5, 15
    (suggestion,) = suggest_merges(of_confusion(matrix.tolist()))
    assert suggestion.reason == (
        "10 of 50 c01 photos are predicted as c03 and 5 of 20 the other way round, 6.2 times the "
        "number expected by chance; given one photo of each class, the model tells which is c01 "
        "78 % of the time (AUC; 50 % = random guess)."
    )


def two_normals(distance: float, n: int = 100, seed: int = 0) -> Predictions:
    """Two classes of n photos whose log-odds lie so many standard deviations apart, and three."""
    rng = np.random.default_rng(seed)
    odds = np.r_[rng.normal(distance / 2, size=n), rng.normal(-distance / 2, size=n)]
    pair = np.c_[np.exp(odds), np.ones(2 * n), np.full((2 * n, 3), 1e-3)]
    others = sure(np.repeat([2, 3, 4], 60), 5)
    targets = np.repeat(np.arange(5), [n, n, 60, 60, 60])
    return predictions(targets, np.r_[pair / pair.sum(axis=1, keepdims=True), others])


def test_classes_that_are_merely_hard_are_listed_and_not_suggested() -> None:
    """AUC of two normal distributions: Φ(distance / √2), .96 at 2.5 and .76 at 1."""
    hard = confused_classes(two_normals(2.5))
    assert hard.merges == []
    (pair,) = hard.others
    assert pair.classes == ("c00", "c01") and pair.apart.auc > 0.9
    one = confused_classes(two_normals(1.0))
    assert [merge.classes for merge in one.merges] == [("c00", "c01")] and one.others == []


def test_the_same_auc_is_of_two_classes_where_many_photos_show_it() -> None:
    """At .88 the interval of 1,000 photos a class is above .85, that of 60 is not."""
    assert [one.classes for one in suggest_merges(two_normals(1.7, 60))] == [("c00", "c01")]
    many = confused_classes(two_normals(1.7, 1000))
    assert many.merges == []
    assert [pair.classes for pair in many.others] == [("c00", "c01")]


def test_twins_of_a_few_photos_that_the_model_hardly_knows_are_undecided() -> None:
    rng = np.random.default_rng(0)
    probs = np.full((28, 6), 1e-3)
    probs[:, :2] = 0.15 * np.exp(0.5 * rng.normal(size=(28, 2)))
    probs[np.arange(28), np.arange(28) % 4 + 2] = 0.5  # each is predicted as another class
    targets = np.repeat(np.arange(6), [14, 14, 60, 60, 60, 60])
    others = sure(targets[28:], 6)
    probs /= probs.sum(axis=1, keepdims=True)
    found = confused_classes(predictions(targets, np.r_[probs, others]))
    assert found.merges == []
    assert [pair.classes for pair in found.undecided] == [("c00", "c01")]
    assert "too few to be sure of" in found.undecided[0].reason()


def test_what_chance_explains_is_not_suggested() -> None:
    assert suggest_merges(of_confusion(np.full((5, 5), 10).tolist())) == []


def test_what_matters_little_is_not_suggested() -> None:
    rarely = np.diag([1000] * 5)
    rarely[0, 1] = rarely[1, 0] = 31  # beyond chance and not quite told apart, but 3 in 100
    some = of_confusion(rarely.tolist())
    assert suggest_merges(some) == []
    assert confused_classes(some).others == []
    assert len(confused_classes(some, min_rate=0.02).others) == 1


def test_classes_that_only_a_threshold_confuses_are_not_suggested() -> None:
    # All of b is called a, but always with less conviction than a itself is.
    probs = np.r_[sure([0] * 80, 6, 0.95), np.tile([0.5, 0.46, 0.01, 0.01, 0.01, 0.01], (40, 1))]
    others = sure(np.repeat([2, 3, 4, 5], 40), 6)
    targets = np.repeat(np.arange(6), [80, 40, 40, 40, 40, 40])
    some = predictions(targets, np.r_[probs, others])
    assert pair_evidence(some, "c00", "c01").rates == (0.0, 1.0)
    assert suggest_merges(some) == []


def test_too_few_classes_or_photos_bring_no_suggestion() -> None:
    assert suggest_merges(of_confusion([[5, 5], [5, 5]])) == []
    assert suggest_merges(predictions([], np.zeros((0, 3)))) == []
    assert suggest_merges(predictions([0], sure([1], 3))) == []
    assert suggest_merges(predictions([0, 0], np.ones((2, 1)))) == []


def test_predictions_of_training_photos_are_refused() -> None:
    learnt = predictions([0, 1], sure([0, 1], 3), out_of_sample=False)
    with pytest.raises(DataError, match=r"training photos.*imgcli evaluate --folds 10"):
        suggest_merges(learnt)


def test_the_fewest_photos_that_can_bring_a_suggestion_are_enough() -> None:
    confused = of_confusion([[0, 5, 0], [0, 2, 0], [0, 1, 0]])
    assert len(confused) == MIN_PHOTOS and merges_sample_size(confused) is None
    sentence = merges_sample_size(predictions([0], sure([1], 3)))
    assert sentence is not None and sentence.startswith("1 photo is too few to tell which classes")
    assert "imgcli evaluate --folds 10" in sentence
    assert merges_sample_size(of_confusion(np.eye(30, dtype=int))) is not None  # one of each class


@pytest.mark.parametrize("k", [2, 3, 6])
def test_fewer_photos_never_bring_a_suggestion(k: int) -> None:
    rng = np.random.default_rng(k)
    for _ in range(40):
        some = predictions(
            rng.integers(0, k, MIN_PHOTOS - 1), sure(rng.integers(0, k, MIN_PHOTOS - 1), k)
        )
        assert suggest_merges(some) == [] and merges_sample_size(some) is not None


def test_copies_of_a_confused_photo_are_one_confusion() -> None:
    matrix = np.diag([50] * 5)
    matrix[1, 3], matrix[1, 1] = 2, 48
    once = of_confusion(matrix.tolist())
    confused = (once.targets == 1) & (once.preds == 3)
    rows = np.repeat(np.arange(len(once)), np.where(confused, 20, 1))
    copies = predictions(once.targets[rows], once.probs[rows], groups=once.groups[rows])
    found = pair_evidence(copies, "c01", "c03")
    assert (found.n, found.groups, found.confused) == ((88, 50), (50, 50), (40, 0))
    assert found.rates == pair_evidence(once, "c01", "c03").rates == (0.04, 0.0)
    assert found.to_json()["groups"] == [50, 50]


def test_copies_of_few_photos_are_few_photos() -> None:
    few = predictions([0, 0, 1, 1] * 10, sure([0, 1, 1, 0] * 10, 2), groups=[0, 1, 2, 3] * 10)
    assert (merges_sample_size(few) or "").startswith(
        "4 photos, near-duplicates counted once, are too few to tell"
    )
