"""Weak slices: planted ones are found, and nothing is found where there is nothing."""

import numpy as np
import pytest

from imgcli.evaluation import slices
from imgcli.evaluation.slices import SHUFFLES, SURE, weak_slices
from imgcli.records import FloatArray, Predictions
from tests.support.predictions import predictions, sure


def of_errors(rng: np.random.Generator, chance: FloatArray, k: int = 5) -> Predictions:
    """Photos of k classes in turn, each wrong with its own chance."""
    targets = np.arange(len(chance)) % k
    wrong = rng.random(len(chance)) < chance
    return predictions(targets, sure(np.where(wrong, (targets + 1) % k, targets), k))


def attributes(rng: np.random.Generator, m: int) -> dict[str, object]:
    numbers = {name: rng.random(m) for name in ("brightness", "sharpness", "size")}
    return {**numbers, "source": [f"site {i}" for i in rng.integers(8, size=m)]}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "SHUFFLES", 199)


@pytest.mark.usefixtures("quick")
def test_a_source_with_three_times_the_errors_is_found() -> None:
    found = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        given = attributes(rng, 1500)
        given["source"] = ["bad" if i < 150 else f"site {i % 7}" for i in range(1500)]
        chance = np.where(np.arange(1500) < 150, 0.3, 0.1)
        weak = weak_slices(of_errors(rng, chance), given)  # type: ignore[arg-type]
        found += any((one.attribute, one.value) == ("source", "bad") for one in weak)
    assert found >= 19


@pytest.mark.usefixtures("quick")
def test_nothing_is_found_where_errors_fall_anywhere() -> None:
    some = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        said = of_errors(rng, np.full(600, 0.12))
        some += bool(weak_slices(said, attributes(rng, 600)))  # type: ignore[arg-type]
    assert some <= 8  # 3 expected; 9 and more have a probability of 0.3 %


def test_a_slice_of_hard_classes_is_none() -> None:
    """All of one source is of a hard class, and no worse than the rest of it."""
    rng, m = np.random.default_rng(0), 2000
    hard = np.arange(m) % 5 == 0
    said = of_errors(rng, np.where(hard, 0.4, 0.02))
    source = ["a" if hard[i] and i % 2 == 0 else "b" for i in range(m)]
    assert weak_slices(said, {"source": source}) == []


def test_dark_photos_are_named_by_where_they_begin_with_photos_that_are_wrong() -> None:
    rng, m = np.random.default_rng(1), 1000
    brightness = np.linspace(0, 200, m)[rng.permutation(m)]
    said = of_errors(rng, np.where(brightness < 20, 0.5, 0.05))
    (one,) = weak_slices(said, {"brightness": brightness})
    assert (one.value, one.n, one.tried) == ("of 20 and less", 100, 4)
    assert one.accuracy < 0.65 < 0.9 < one.elsewhere and one.p_value == 1 / (SHUFFLES + 1)
    wrong = [int(path.removesuffix(".jpg")) for path in one.wrong]
    assert len(wrong) == 6 and (brightness[wrong] <= 20).all()
    assert (said.preds[wrong] != said.targets[wrong]).all()
    assert one.sentence.startswith("Brightness of 20 and less (100 photos): accuracy ")
    assert "p ≤ 0.001, the largest of 4 slices tried" in one.sentence


def test_of_overlapping_slices_the_worst_is_given() -> None:
    rng, m = np.random.default_rng(2), 1000
    said = of_errors(rng, np.where(np.arange(m) < 250, 0.5, 0.05))
    weak = weak_slices(said, {"size": np.arange(m, dtype=np.float64)})
    assert [one.n for one in weak] == [250]


def test_copies_of_one_mistake_are_no_weak_slice() -> None:
    rng, m = np.random.default_rng(3), 400
    said = of_errors(rng, np.full(m, 0.1))
    row = np.r_[np.arange(m), np.full(60, np.flatnonzero(said.preds != said.targets)[0])]
    copied = predictions(said.targets[row], said.probs[row], groups=row)
    source = ["a" if i >= m or i % 9 == 0 else "b" for i in range(m + 60)]
    assert weak_slices(copied, {"source": source}) == []


@pytest.mark.parametrize("given", [{}, {"size": np.full(100, np.nan)}, {"source": [None] * 100}])
def test_what_is_not_known_makes_no_slice(given: dict[str, object]) -> None:
    said = of_errors(np.random.default_rng(0), np.full(100, 0.3))
    assert weak_slices(said, given) == []  # type: ignore[arg-type]


def test_the_same_photos_give_the_same_figures() -> None:
    rng = np.random.default_rng(4)
    said, given = of_errors(rng, np.full(500, 0.3)), attributes(rng, 500)
    given["source"] = ["bad" if said.preds[i] != said.targets[i] else "good" for i in range(500)]
    once, again = (weak_slices(said, given) for _ in range(2))  # type: ignore[arg-type]
    assert once == again and once[0].p_value <= SURE
