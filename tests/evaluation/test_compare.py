"""Several runs on the same photos: aligned, compared, corrected, and never compared with others."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from imgcli.errors import DataError
from imgcli.evaluation import metrics
from imgcli.evaluation.compare import Pair, align, compare, same_folds
from imgcli.evaluation.merges.null_model import holm
from imgcli.evaluation.paired_tests import exact_mcnemar_test
from imgcli.records import Predictions
from tests.support.predictions import noisy, predictions, sure
from tests.support.runs import judged

# --- the same photos ----------------------------------------------------------------------------


def shuffled(made: Predictions, rows: list[int]) -> Predictions:
    per_photo = ("indices", "targets", "probs", "fold", "groups")
    kept = {key: getattr(made, key)[rows] for key in per_photo}
    return replace(made, paths=tuple(made.paths[row] for row in rows), **kept)


def test_photos_meet_by_their_paths_whatever_their_order() -> None:
    first = judged(wrong=4, n=9)
    second = shuffled(first, [8, 3, 1, 0, 2, 4, 5, 6, 7])
    aligned, left_out = align({"a": first, "b": second})
    assert left_out == 0 and aligned["b"].paths == first.paths
    assert (aligned["b"].preds == first.preds).all()
    assert (aligned["b"].targets == first.targets).all()


def test_photos_that_not_every_run_had_are_left_out_and_counted() -> None:
    first, second = judged(wrong=0, n=9), judged(wrong=0, n=9, first=3)
    aligned, left_out = align({"a": first, "b": second})
    assert left_out == 6
    assert aligned["a"].paths == aligned["b"].paths == first.paths[3:]


def test_groups_are_those_of_the_first_run() -> None:
    first = replace(judged(wrong=0, n=6), groups=np.array([0, 0, 1, 1, 2, 2]))
    aligned, _ = align({"a": first, "b": judged(wrong=0, n=6)})
    assert aligned["b"].groups.tolist() == [0, 0, 1, 1, 2, 2]


def test_runs_of_other_classes_are_refused_by_the_classes_they_do_not_share() -> None:
    other = predictions([0, 1], sure([0, 1], 3), ["cat", "dog", "yak"])
    with pytest.raises(DataError, match=r"'a' knows 3 classes and 'b' 3.*'owl' and 'yak'"):
        align({"a": judged(wrong=0), "b": other})


def test_runs_without_a_photo_in_common_are_refused() -> None:
    with pytest.raises(DataError, match="'a' and 'b' have no photo in common"):
        align({"a": judged(wrong=0, n=9), "b": judged(wrong=0, n=9, first=9)})


def test_a_photo_of_two_classes_is_refused() -> None:
    first = judged(wrong=0, n=9)
    second = replace(first, targets=(first.targets + (np.arange(9) == 4)) % 3)
    with pytest.raises(DataError, match=r"'cat/4\.jpg' is of class 'dog' for .* and 'owl' for 'b'"):
        align({"a": first, "b": second})


# --- differences --------------------------------------------------------------------------------


def test_the_best_and_the_second_best_come_first() -> None:
    pairs = compare({"bad": judged(30), "good": judged(2), "middling": judged(10)})
    assert [pair.runs for pair in pairs] == [
        ("good", "middling"),
        ("good", "bad"),
        ("middling", "bad"),
    ]
    assert [pair.differences["accuracy"].value for pair in pairs] == pytest.approx(
        [8 / 60, 28 / 60, 20 / 60]
    )


def test_p_values_are_corrected_for_the_number_of_pairs() -> None:
    runs = {"a": judged(0), "b": judged(6), "c": judged(9)}
    pairs = compare(runs)
    alone = [exact_mcnemar_test(runs[a], runs[b]) for a, b in (pair.runs for pair in pairs)]
    accuracy = [pair.differences["accuracy"] for pair in pairs]
    assert (
        [found.p_alone for found in accuracy]
        == alone
        == pytest.approx([2 * 0.5**6, 2 * 0.5**9, 2 * 0.5**3])
    )
    assert [found.p_value for found in accuracy] == pytest.approx(holm(np.array(alone)).tolist())
    assert [found.shown for found in accuracy] == [False, True, False]


def test_among_many_pairs_a_clear_difference_is_still_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("imgcli.evaluation.compare.DRAWS", 10)
    runs = {str(i): judged(45 * (i == 0)) for i in range(24)}
    found = [pair.differences for pair in compare(runs)]
    clear = [each["macro_precision"] for each in found if each["accuracy"].value > 0.5]
    assert (len(found), len(clear)) == (276, 23)
    assert max(difference.p_value for difference in clear) < 0.005


def test_with_a_dozen_runs_a_p_value_can_come_below_one_in_a_thousand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("imgcli.evaluation.compare.DRAWS", 10)
    pairs = compare({str(i): judged(45 * (i == 0)) for i in range(12)})
    assert pairs[-1].differences["macro_precision"].p_value < 0.001


def test_macro_precision_is_of_all_photos_together() -> None:
    a, b = judged(3, k=4), judged(20, k=4)
    pooled = [metrics.macro_precision(metrics.fold_confusions(p).sum(0)) for p in (a, b)]
    (pair,) = compare({"a": a, "b": b})
    assert pair.differences["macro_precision"].value == pytest.approx(pooled[0] - pooled[1])


def test_on_the_same_folds_each_fold_has_its_difference() -> None:
    a, b = judged(0, k=4), judged(7, k=4)  # 0-2 lie in fold 0, 3-5 in fold 1, 6 in fold 2
    (pair,) = compare({"a": a, "b": b})
    accuracy = pair.differences["accuracy"]
    assert accuracy.folds == pytest.approx((3 / 15, 3 / 15, 1 / 15, 0))
    told = accuracy.to_json()
    assert told["mean"] == pytest.approx(7 / 60)
    assert told["std"] == pytest.approx(np.std([0.2, 0.2, 1 / 15, 0], ddof=1))


def test_other_folds_are_paired_on_photos_alone() -> None:
    a, b = judged(0, k=4), judged(7, k=5)
    (pair,) = compare({"a": a, "b": b})
    told = pair.differences["accuracy"].to_json()
    assert not same_folds(a, b) and (told["folds"], told["mean"], told["std"]) == (None, None, None)
    assert same_folds(a, judged(9, k=4)) and not same_folds(judged(0), judged(0))


def test_runs_that_answer_alike_are_not_the_same_for_certain() -> None:
    (pair,) = compare({"a": judged(5), "b": judged(5)})
    for found in pair.differences.values():
        low, high = found.ci95
        assert found.value == 0 and -0.06 < low < -0.02 and high == -low


def test_a_pair_is_plain_json() -> None:
    (pair,) = compare({"a": judged(0, k=3), "b": judged(20, k=3)})
    told = pair.to_json()
    assert told["runs"] == ["a", "b"]
    keys = {"difference", "ci95", "p_value", "p_alone", "shown", "folds", "mean", "std"}
    assert set(told["accuracy"]) == set(told["macro_precision"]) == keys
    assert told["accuracy"]["shown"] is True


def covered(pair: Pair) -> list[bool]:
    """Whether the intervals hold 0.1: the first run is right 0.9 of the time, the second 0.8."""
    ends = [pair.differences[name].ci95 for name in ("accuracy", "macro_precision")]
    sign = 1 if pair.runs == ("a", "b") else -1
    return [low <= sign * 0.1 <= high for low, high in ends]


def test_intervals_hold_the_truth_nineteen_times_of_twenty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgcli.evaluation.compare.DRAWS", 300)
    rng, trials = np.random.default_rng(2), 150
    held = np.zeros(2, dtype=int)
    for seed in range(trials):
        a, b = noisy(rng, [0.9] * 5, [0.8] * 5, n=150)
        held += covered(compare({"a": a, "b": b}, seed)[0])
    assert (held >= binom.ppf(0.001, trials, 0.95)).all(), held


def test_among_many_alike_runs_some_difference_is_shown_in_at_most_one_of_twenty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("imgcli.evaluation.compare.DRAWS", 10)
    rng, trials, any_shown = np.random.default_rng(5), 100, np.zeros(2, dtype=int)
    for _ in range(trials):
        runs = [noisy(rng, [0.8] * 3, [0.8] * 3, n=80, alike=0)[0] for _ in range(4)]
        truth = runs[0].targets
        runs = [
            replace(run, targets=truth, probs=sure((run.preds - run.targets + truth) % 3, 3))
            for run in runs
        ]
        pairs = compare(dict(enumerate(runs)))  # type: ignore[arg-type]
        any_shown += [
            any(pair.differences[name].shown for pair in pairs)
            for name in ("accuracy", "macro_precision")
        ]
    assert (any_shown <= binom.ppf(0.999, trials, 0.05)).all(), any_shown
