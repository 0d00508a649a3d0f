"""Drift: rarely told where there is none, and nearly always where photos differ."""

import numpy as np
import pytest

from imgcli.evaluation.drift import FEWEST, FEWEST_KNOWN, Drift, drift
from imgcli.records import FloatArray

KNOWN, NEW, K = 600, 100, 8


def drawn(rng: np.random.Generator, n: int, shift: float = 0.0) -> FloatArray:
    return rng.gamma(2.0, size=n) + shift


def compared(seed: int, shift: float = 0.0, tilt: float = 0.0, n: int = NEW) -> Drift:
    rng = np.random.default_rng(seed)
    shares = np.full(K, 1 / K)
    tilted = shares * (1 + tilt * np.linspace(-1, 1, K))
    found = drift(
        np.sort(drawn(rng, KNOWN)),
        np.ones(KNOWN),
        drawn(rng, n, shift),
        rng.multinomial(KNOWN, shares),
        rng.multinomial(n, tilted / tilted.sum()),
    )
    assert found is not None
    return found


@pytest.mark.parametrize("n", [NEW, 2000])
def test_photos_of_the_same_kind_rarely_differ(n: int) -> None:
    told = sum(compared(seed, n=n).sentence is not None for seed in range(400))
    assert told <= 0.05 * 400 + 9  # two standard deviations more


def test_a_hundred_other_photos_nearly_always_do() -> None:
    assert sum(compared(seed, shift=0.8).by_novelty for seed in range(200)) >= 190
    assert sum(compared(seed, tilt=0.95).by_classes for seed in range(200)) >= 190


def test_photos_that_are_less_novel_do_not_differ() -> None:
    assert not any(compared(seed, shift=-0.8).by_novelty for seed in range(100))


def test_a_small_difference_of_many_photos_is_not_told() -> None:
    found = compared(0, shift=0.1, n=50_000)
    assert found.novelty_p < 0.025 and found.sentence is None


def test_copies_of_one_held_out_photo_count_once() -> None:
    rng = np.random.default_rng(0)
    known = np.append(np.sort(drawn(rng, 200)), np.full(400, 9.0))
    weights = np.append(np.ones(200), np.full(400, 1 / 400))
    counts = rng.multinomial(100, np.full(K, 1 / K))
    found = drift(known, weights, drawn(rng, 100), counts, counts)
    assert found is not None and not found.by_novelty


def test_too_few_photos_tell_nothing() -> None:
    counts = np.array([5, 5])
    new, known = np.arange(FEWEST - 1.0), np.arange(FEWEST_KNOWN - 1.0)
    assert drift(np.arange(300.0), np.ones(300), new, counts, counts) is None
    assert drift(known, np.ones(len(known)), np.arange(100.0), counts, counts) is None


def test_the_photos_that_differ_most_are_named_first() -> None:
    rng = np.random.default_rng(1)
    scores = drawn(rng, 60)
    counts = rng.multinomial(60, np.full(K, 1 / K))
    found = drift(np.sort(drawn(rng, 300)), np.ones(300), scores, counts, counts)
    assert found is not None
    assert list(scores[list(found.farthest)]) == sorted(scores, reverse=True)[:10]


def test_what_differs_is_said() -> None:
    assert "look different" in str(compared(0, shift=1.5).sentence)
    assert "in other shares than" in str(compared(0, tilt=1.0).sentence)
    both = str(compared(0, shift=1.5, tilt=1.0).sentence)
    assert "look different" in both and "and the classes come in other shares" in both
