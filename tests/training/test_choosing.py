"""Candidates, the photos of each round, and how long a judgement is expected to take."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcli.errors import ModelError
from imgcli.photos.dataset import Dataset
from imgcli.records import Samples, Split
from imgcli.training.choosing import (
    Budget,
    Candidate,
    Speed,
    cheapest_first,
    check_arch,
    expected_seconds,
    minutes_for,
    nested_shares,
)


def dataset(counts: list[int], group_size: int = 1, test: int = 0) -> Dataset:
    """So many photos per class, in groups of one class; the last `test` rows are the test part."""
    targets = np.repeat(np.arange(len(counts)), counts)
    n = len(targets)
    samples = Samples(
        Path("dataset"),
        tuple(f"train/{i:05d}.png" for i in range(n)),
        targets,
        np.arange(n) // group_size,
        tuple(f"{7919 * i:064x}" for i in range(n)),
        tuple(f"c{i:02d}" for i in range(len(counts))),
    )
    rows = np.random.default_rng(0).permutation(n)
    return Dataset(
        samples, Split({"train": np.sort(rows[test:]), "test": np.sort(rows[:test])}), (), 0
    )


@settings(max_examples=25)
@given(
    st.lists(st.integers(200, 700), min_size=2, max_size=6),
    st.integers(1, 4),
    st.integers(0, 100),
    st.integers(0, 3),
)
def test_fewer_photos_are_among_the_more_stratified_and_groups_whole(
    counts: list[int], group_size: int, test: int, seed: int
) -> None:
    made = dataset(counts, group_size)
    samples = made.samples
    shares = nested_shares(made, seed)
    np.testing.assert_array_equal(shares[-1], made.split.train)
    for fewer, more in pairwise(shares):
        assert np.isin(fewer, more).all() and 0.4 * len(more) < len(fewer) < 0.6 * len(more)
        inside = np.isin(samples.groups, samples.groups[fewer])
        assert not np.setdiff1d(np.flatnonzero(inside), fewer).size
        halves = samples.counts(fewer) / samples.counts(more)
        assert (np.abs(halves - 0.5) < 0.1).all()
    assert len(shares) > 1 or len(made.split.train) < 800


def test_no_photo_of_the_test_part_is_in_a_share() -> None:
    made = dataset([700, 700], test=300)
    assert made.split.test is not None
    shares = nested_shares(made, 0)
    assert [len(rows) for rows in shares] == pytest.approx([550, 1100], abs=2)
    assert not any(np.isin(rows, made.split.test).any() for rows in shares)


def test_few_photos_are_judged_at_once_and_the_last_share_can_be_limited() -> None:
    assert [len(rows) for rows in nested_shares(dataset([300, 300]), 0)] == [600]
    assert [len(rows) for rows in nested_shares(dataset([30] * 60), 0)] == [900, 1800]
    many = dataset([2000, 2000])
    assert [len(rows) for rows in nested_shares(many, 0)] == [500, 1000, 2000, 4000]
    assert [len(rows) for rows in nested_shares(many, 0, 1500)] == [500, 1000]
    assert nested_shares(many, 0, 499) == []


def test_candidates_come_by_their_multiply_adds() -> None:
    found = cheapest_first(["resnet18", "test_resnet", "mobilenetv2_100"], classes=3)
    assert [one.arch for one in found] == ["test_resnet", "mobilenetv2_100", "resnet18"]
    assert found[1].input == (3, 224, 224) and found[0].input == (3, 160, 160)


@pytest.mark.parametrize(
    ("arch", "sentence"),
    [
        ("mobilnetv2_100", "No arch 'mobilnetv2_100'.*Did you mean mobilenetv2_100"),
        ("resnet50.nope", "No arch 'resnet50.nope'"),
        ("32C5-P2-64", "networks of the zoo and in layer notation have no pretrained weights"),
        ("alexnet", "networks of the zoo and in layer notation have no pretrained weights"),
    ],
)
def test_what_can_be_no_candidate_is_a_sentence(arch: str, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        check_arch(arch)
    check_arch("mobilenetv2_100")
    check_arch("torchvision/resnet50")


@pytest.mark.parametrize("seconds", [1, 47, 100, 3000])
def test_the_minutes_that_are_named_are_enough(seconds: float) -> None:
    assert Budget(minutes_for(seconds) + 0.01).allows(seconds)
    assert not Budget(1.1 * seconds / 60).allows(seconds)  # with little to spare
    assert Budget(math.inf).allows(seconds) and not Budget(1e-6).allows(seconds)


def test_a_judgement_is_expected_to_take_what_others_took_by_their_multiply_adds() -> None:
    small, large = Candidate("s", 100, 1, (3, 8, 8)), Candidate("l", 300, 1, (3, 8, 8))
    known = {small: Speed(images_per_second=50.0, extract=0.03, fit=0.01)}
    assert expected_seconds(small, 200, 100, known) == pytest.approx(0.03 * 100 + 0.01 * 200)
    assert expected_seconds(large, 200, 100, known) == pytest.approx(0.09 * 100 + 0.01 * 200)
    cached = {small: Speed(images_per_second=50.0, extract=0.001, fit=0.01)}  # features were there
    assert expected_seconds(large, 200, 100, cached) == pytest.approx(0.06 * 100 + 0.01 * 200)
    assert minutes_for(1) == 1 and minutes_for(100) == 3
