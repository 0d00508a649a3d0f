"""Tests of two runs on the same photos: exact where they claim to be, and never too eager."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from imgcli.evaluation.metrics import confusion_matrix, macro_precision
from imgcli.evaluation.paired_tests import exact_mcnemar_test, randomisation_test
from imgcli.records import Predictions
from tests.support.predictions import noisy, predictions, sure


def two_runs(right: list[tuple[bool, bool]], groups: list[int] | None = None) -> list[Predictions]:
    """Photos of one class of two, and for each whether the first and the second run are right."""
    targets = np.zeros(len(right), np.int64)
    return [
        predictions(targets, sure([0 if hit else 1 for hit in run], 2), groups=groups)
        for run in zip(*right, strict=True)
    ]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_with_each_photo_its_own_group_it_is_mcnemars_exact_test(
    right: list[tuple[bool, bool]],
) -> None:
    first = sum(a and not b for a, b in right)
    second = sum(b and not a for a, b in right)
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert exact_mcnemar_test(*two_runs(right)) == pytest.approx(expected)


@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 5)), min_size=1, max_size=14)
)
def test_with_groups_it_counts_every_way_to_flip_them(
    photos: list[tuple[bool, bool, int]],
) -> None:
    leads: dict[int, int] = {}
    for a, b, group in photos:
        leads[group] = leads.get(group, 0) + a - b
    found = abs(sum(leads.values()))
    flips = list(product((-1, 1), repeat=len(leads)))
    as_far = sum(
        abs(sum(s * lead for s, lead in zip(signs, leads.values(), strict=True))) >= found
        for signs in flips
    )
    runs = two_runs([(a, b) for a, b, _ in photos], [group for _, _, group in photos])
    assert exact_mcnemar_test(*runs) == pytest.approx(as_far / len(flips))


def test_copies_of_photos_make_no_difference_more_certain() -> None:
    rights = [(True, False)] * 6 + [(True, True)] * 20
    once = two_runs(rights)
    copied = two_runs(rights * 4, list(range(26)) * 4)
    assert (
        exact_mcnemar_test(*copied)
        == pytest.approx(exact_mcnemar_test(*once))
        == pytest.approx(2 / 64)
    )
    p = [randomisation_test(*runs) for runs in (once, copied)]
    assert p[0] == pytest.approx(p[1], abs=0.015)


def test_exchanging_answers_comes_close_to_the_exact_test() -> None:
    """Every way to exchange the answers of twelve groups, by the macro precision of `metrics`."""
    rng = np.random.default_rng(3)
    a, b = noisy(rng, [0.9] * 3, [0.4] * 3, n=12, copies=2, alike=0)

    def lead(moved: tuple[bool, ...]) -> float:
        swap = np.array(moved)[a.groups]
        said = np.where(swap, b.preds, a.preds), np.where(swap, a.preds, b.preds)
        one, other = (macro_precision(confusion_matrix(a.targets, p, 3)) for p in said)
        return abs(float(one - other))

    leads = np.array([lead(moved) for moved in product((False, True), repeat=12)])
    exact = (leads >= leads[0] - 1e-12).mean()
    assert 0.001 < exact < 0.2
    assert randomisation_test(a, b, most=20_000) == pytest.approx(exact, rel=0.2)


def test_a_p_value_is_as_fine_as_the_exchanges_that_may_be_drawn() -> None:
    targets = np.arange(300) % 3
    a, b = (predictions(targets, sure(said, 3)) for said in (targets, (targets + 1) % 3))
    for most in (399, 5000, 66_000):
        assert randomisation_test(a, b, most) == pytest.approx(1 / (1 + most))


def test_no_more_exchanges_are_drawn_than_a_large_p_value_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a, b = noisy(np.random.default_rng(5), [0.9] * 4, [0.87] * 4)
    p = randomisation_test(a, b, most=20_000)
    assert 0.03 < p < 0.5
    monkeypatch.setattr("imgcli.evaluation.paired_tests.MIN_AS_FAR", 20_000)
    of_all = randomisation_test(a, b, most=20_000)
    assert of_all == pytest.approx(p, rel=0.2) and of_all != p


def test_one_seed_gives_one_p_value() -> None:
    a, b = noisy(np.random.default_rng(4), [0.9] * 4, [0.84] * 4)
    assert (
        randomisation_test(a, b, seed=1)
        == randomisation_test(a, b, seed=1)
        != randomisation_test(a, b, seed=2)
    )


def test_runs_that_answer_alike_do_not_differ() -> None:
    (run, _) = noisy(np.random.default_rng(0), [0.8] * 3, [0.8] * 3)
    assert exact_mcnemar_test(run, run) == 1.0
    assert randomisation_test(run, run) == 1.0


def test_a_class_that_is_never_predicted_costs_macro_precision() -> None:
    targets = np.arange(200) % 4
    first = np.where(np.arange(200) % 12 == 0, (targets + 1) % 4, targets)
    given_up = np.where(targets == 3, 0, targets)
    a, b = predictions(targets, sure(first, 4)), predictions(targets, sure(given_up, 4))
    assert randomisation_test(a, b) < 0.01


MIRRORED = ([0.95, 0.6, 0.8, 0.8], [0.6, 0.95, 0.8, 0.8])


@pytest.mark.parametrize(
    ("first", "second", "copies"),
    [([0.9] * 4, [0.9] * 4, 1), ([0.8] * 4, [0.8] * 4, 3), (*MIRRORED, 1)],
    ids=["alike", "near-duplicates", "good at other classes"],
)
def test_without_a_difference_one_is_called_in_at_most_one_of_twenty(
    first: list[float], second: list[float], copies: int
) -> None:
    rng, trials = np.random.default_rng(0), 300
    called = np.zeros(2, dtype=int)
    for seed in range(trials):
        runs = noisy(rng, first, second, n=120, copies=copies)
        called += exact_mcnemar_test(*runs) <= 0.05, randomisation_test(*runs, 399, seed) <= 0.05
    most = binom.ppf(0.999, trials, 0.05)
    assert (called <= most).all(), called


def test_a_clear_difference_is_found() -> None:
    rng, found = np.random.default_rng(1), np.zeros(2, dtype=int)
    for seed in range(50):
        runs = noisy(rng, [0.9] * 4, [0.78] * 4, n=250)
        found += exact_mcnemar_test(*runs) <= 0.05, randomisation_test(*runs, 399, seed) <= 0.05
    assert (found >= 45).all(), found
