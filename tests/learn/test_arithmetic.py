"""Precision is measured where it is left open, and only there."""

from collections.abc import Callable

import pytest
import torch

from imgcli.errors import WrongUsage
from imgcli.learn import arithmetic
from imgcli.learn.arithmetic import choose_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("fp32", "bf16", "chosen", "steps"),
    [
        ([9, 2, 2, 2], [9, 1, 1, 1], "bf16", 4),  # clear after the first measured turn
        ([9, 1, 1, 1], [9, 2, 2, 2], "fp32", 4),
        ([9, 1.1, 1.1, 1.1], [9, 1, 1, 1], "fp32", 8),  # too near for it to be worth it
        ([9, 1.3, 1.3, 1.3], [9, 1, 1, 1], "bf16", 8),
        ([9, 1.3, 1.3, 1.3], [9, 1.4, 1.4, 1], "bf16", 8),  # busy moments do not decide
    ],
)
def test_the_faster_precision_is_found_by_turns(
    fp32: list[float],
    bf16: list[float],
    chosen: str,
    steps: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, taken = [0.0], {"fp32": iter(fp32), "bf16": iter(bf16)}
    ran: list[str] = []

    def step(precision: str) -> None:
        clock[0] += next(taken[precision])
        ran.append(precision)

    monkeypatch.setattr(arithmetic.time, "perf_counter", lambda: clock[0])
    assert choose_precision("auto", CPU, lambda: step) == chosen
    assert ran == ["fp32", "bf16"] * (steps // 2)


def test_nothing_is_prepared_where_there_is_no_choice() -> None:
    def prepare() -> Callable[[str], object]:
        raise AssertionError("measured for nothing")

    assert choose_precision("bf16", CPU, prepare) == "bf16"
    with pytest.raises(WrongUsage, match="--precision fp8 is not known; use auto, fp32, bf16"):
        choose_precision("fp8", CPU, prepare)
