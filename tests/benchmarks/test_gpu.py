"""What is measured on a GPU runs, in small, on a machine without one."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.benchmarks import gpu
from tests.benchmarks.timing import Result, table

CPU = torch.device("cpu")


def test_every_step_runs_in_small(tmp_path: Path) -> None:
    bench = gpu.Bench(CPU, tmp_path, quick=True)
    steps = {name: step for name, step in gpu.STEPS.items() if step is not gpu.commands}
    results = list(gpu.measure(bench, steps))
    assert not [result.note for result in results if result.note]
    works = [result.work for result in results if result.reached is not False]
    for wanted in ("logits", "gradient", "waits", "JPEGs", "ten folds", "probabilities"):
        assert any(wanted in work for work in works), wanted
    assert len([result for result in results if result.peer]) == 2


def test_a_step_that_fails_has_a_row_and_the_others_go_on(tmp_path: Path) -> None:
    def fails(bench: gpu.Bench) -> Iterator[Result]:
        yield Result("first", (1.0,))
        raise torch.OutOfMemoryError("CUDA out of memory")

    def works(bench: gpu.Bench) -> Iterator[Result]:
        yield Result("last", (1.0,))

    found = list(gpu.measure(gpu.Bench(CPU, tmp_path, True), {"one": fails, "two": works}))
    assert [result.work for result in found] == ["first", "one", "last"]
    assert "failed: OutOfMemoryError: CUDA out of memory" in table(found)
    late = list(gpu.measure(gpu.Bench(CPU, tmp_path, True, until=0.0), {"one": works}))
    assert "minutes were over" in late[0].note


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="no CUDA GPU that torch can use"):
        gpu.main()
