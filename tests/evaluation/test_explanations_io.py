"""The maps of a run's mistakes: kept, read back, and never of other predictions."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imgcli.errors import RunError
from imgcli.evaluation import explanations_io
from imgcli.evaluation.explanations_io import SIDE, Explanations
from tests.support.predictions import with_twins
from tests.support.runs import evaluated_run, judged


def explanations(n: int = 3) -> Explanations:
    maps = np.random.default_rng(0).normal(size=(n, SIDE, SIDE)).astype(np.float16)
    paths = tuple(f"train/c\udcff/{i}.jpg" for i in range(n))
    boxes = np.tile([0.0, -0.5, 1.0, 1.5], (n, 1))
    of = np.arange(n)
    return Explanations(paths, of, (of + 1) % 3, maps, boxes, held_out=True, exact=False)


def test_what_is_kept_is_read_back(tmp_path: Path) -> None:
    run, kept = evaluated_run(tmp_path, judged(4, k=3)), explanations()
    path = explanations_io.save(run, kept)
    found = explanations_io.load(run)
    assert found is not None and (found.paths, found.held_out, found.exact) == (
        kept.paths, True, False)  # fmt: skip
    for name in ("predicted", "labels", "maps", "boxes"):
        np.testing.assert_array_equal(getattr(found, name), getattr(kept, name))
    assert path.stat().st_size < 20_000


def test_an_empty_list_is_kept_too(tmp_path: Path) -> None:
    run = evaluated_run(tmp_path, judged(0, k=3))
    explanations_io.save(run, explanations(0))
    found = explanations_io.load(run)
    assert found is not None and found.paths == ()


def test_those_of_other_predictions_are_not_read(tmp_path: Path) -> None:
    run = evaluated_run(tmp_path, judged(4, k=3))
    assert explanations_io.load(run) is None
    explanations_io.save(run, explanations())
    run.save_predictions("predictions-folds.npz", judged(5, k=3))
    assert explanations_io.load(run) is None


def test_a_damaged_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    run = evaluated_run(tmp_path, judged(4, k=3))
    path = explanations_io.save(run, explanations())
    path.write_bytes(path.read_bytes()[:-90])
    with pytest.raises(RunError, match=r"explanations\.npz.*Remove it and explain the mistakes"):
        explanations_io.load(run)
    explanations_io.save(run, replace(explanations(), boxes=np.zeros((2, 4))))
    with pytest.raises(RunError, match="not of one size"):
        explanations_io.load(run)


def test_the_worst_mistakes_and_the_examples_of_merges_are_explained() -> None:
    twins = with_twins(np.random.default_rng(0), k=6, twins=1, n=40)
    rows = explanations_io.mistakes_to_explain(replace(twins, fold=np.arange(len(twins)) % 5))
    assert len(rows) == len(set(rows.tolist())) >= explanations_io.MISTAKES
    assert (twins.preds[rows] != twins.targets[rows]).all()
    confidence = twins.probs[rows[: explanations_io.MISTAKES]].max(axis=1)
    assert (np.diff(confidence) <= 0).all()
    assert len(explanations_io.mistakes_to_explain(judged(0, k=3))) == 0


def test_a_reduced_map_adds_up_to_the_same() -> None:
    evidence = np.random.default_rng(1).normal(size=(2 * SIDE, 2 * SIDE)).astype(np.float32)
    small = explanations_io.reduced(evidence)
    assert small.shape == (SIDE, SIDE)
    assert small.astype(float).sum() == pytest.approx(evidence.sum(), abs=0.2)
