"""Classes that fall apart into two, told by points made in code."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcli.evaluation.subclasses import (
    MIN_PHOTOS,
    principal_components,
    suggest_splits,
    two_means,
)
from imgcli.records import FloatArray, IntArray

K, N, D = 6, 50, 40
CLASSES = tuple("abcdef")
TARGETS = np.repeat(np.arange(K), N)
ALONE = np.arange(K * N)  # no near-duplicates


def kinds(seed: int = 0) -> FloatArray:
    """Six kinds of photos, one per class, each a Gaussian longer in some directions."""
    rng = np.random.default_rng(seed)
    centres = 3 * rng.normal(size=(K, D))
    return centres[TARGETS] + rng.normal(size=(K * N, D)) * np.linspace(2, 0.5, D)


def with_two_kinds(rows: IntArray) -> FloatArray:
    """As `kinds`, but these photos are of a kind that no class is of."""
    features = kinds()
    features[rows] += 3 * np.random.default_rng(1).normal(size=D)
    return features


@pytest.mark.parametrize(("points", "index"), [([0.0, 1, 9, 10], 1 / 82), ([-1.0, 0, 0, 1], 1 / 3)])
def test_the_index_is_what_two_parts_leave(points: list[float], index: float) -> None:
    found, second = two_means(np.array(points)[None, :, None])
    assert found[0] == pytest.approx(index)
    assert 0 < second.sum() < 4


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 30), st.integers(1, 4))
def test_two_means_end_where_each_point_is_nearest_its_own_middle(
    seed: int, n: int, d: int
) -> None:
    points = np.random.default_rng(seed).normal(size=(3, n, d))
    for index, parts, these in zip(*two_means(points), points, strict=True):
        middles = np.stack([these[~parts].mean(axis=0), these[parts].mean(axis=0)])
        distance = ((these[:, None] - middles) ** 2).sum(axis=2)
        np.testing.assert_array_equal(distance.argmin(axis=1), parts)
        within, total = distance.min(axis=1).sum(), ((these - these.mean(axis=0)) ** 2).sum()
        assert index == pytest.approx(within / total)


def test_a_class_of_two_kinds_is_named_with_photos_of_each() -> None:
    other = np.arange(N, N + 20)  # of class b's 50
    (found,) = suggest_splits(with_two_kinds(other), TARGETS, ALONE, CLASSES)
    assert found.name == "b" and found.parts == (30, 20) and found.p_value < 0.001
    assert found.cluster_index < found.usual_index
    large, small = found.examples
    assert len(large) == len(small) == 3
    assert set(small) <= set(other) and not set(large) & set(other)
    assert "b may be two classes of 30 and 20 photos" in found.reason
    assert found.reason.endswith("(p < 0.001).")
    document = found.to_json([f"{row}.jpg" for row in range(K * N)])
    assert document["class"] == "b" and document["examples"][1][0] == f"{small[0]}.jpg"


def test_one_kind_each_is_hardly_ever_called_two() -> None:
    assert not any(suggest_splits(kinds(seed), TARGETS, ALONE, CLASSES) for seed in range(20))


def test_a_class_that_is_only_long_is_not_two() -> None:
    rng, features = np.random.default_rng(2), kinds()
    features[TARGETS == 1] += rng.normal(size=(N, 1)) * 3 * rng.normal(size=D)
    assert suggest_splits(features, TARGETS, ALONE, CLASSES) == []


def test_a_handful_of_odd_photos_is_no_kind() -> None:
    few = np.arange(N, N + MIN_PHOTOS - 1)
    assert suggest_splits(with_two_kinds(few), TARGETS, ALONE, CLASSES) == []


def test_copies_of_one_photo_are_no_kind() -> None:
    copies = np.arange(N, N + 20)
    features, groups = with_two_kinds(copies), ALONE.copy()
    features[copies] = features[copies[0]]
    assert [found.name for found in suggest_splits(features, TARGETS, ALONE, CLASSES)] == ["b"]
    groups[copies] = groups[copies[0]]
    assert suggest_splits(features, TARGETS, groups, CLASSES) == []


def test_where_all_classes_fall_apart_none_stands_out() -> None:
    halves = np.flatnonzero(np.arange(K * N) % N < 20)
    assert suggest_splits(with_two_kinds(halves), TARGETS, ALONE, CLASSES) == []


def test_few_photos_or_all_the_same_say_nothing() -> None:
    few = np.arange(len(TARGETS)) % N < 2 * MIN_PHOTOS - 1
    assert suggest_splits(kinds()[few], TARGETS[few], ALONE[few], CLASSES) == []
    assert suggest_splits(np.ones((K * N, D)), TARGETS, ALONE, CLASSES) == []
    assert suggest_splits(np.empty((0, D)), TARGETS[:0], ALONE[:0], CLASSES) == []


@pytest.mark.parametrize("shape", [(12, 30), (30, 12)])
def test_points_lie_along_the_leading_axes(shape: tuple[int, int]) -> None:
    points = np.random.default_rng(0).normal(size=shape) * np.linspace(3, 1, shape[1])
    centred = points - points.mean(axis=0)
    left, lengths, _ = np.linalg.svd(centred, full_matrices=False)
    found = principal_components(centred, 3)
    np.testing.assert_allclose(np.abs(found), np.abs(left * lengths)[:, :3], atol=1e-9)
