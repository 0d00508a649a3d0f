"""The course of the learning rate: up, down, never over its peak."""

import pytest

from imgcli.learn.schedules import SCHEDULES, rate_at


@pytest.mark.parametrize("steps", [1, 7, 1000])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_step_has_a_rate_between_nothing_and_the_peak(schedule: str, steps: int) -> None:
    rates = [rate_at(schedule, step, steps) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates)


@pytest.mark.parametrize(("schedule", "peak"), [("cosine", 50), ("one-cycle", 200)])
def test_it_rises_to_its_peak_and_falls_to_nearly_nothing(schedule: str, peak: int) -> None:
    rates = [rate_at(schedule, step, 1000) for step in range(1000)]
    assert rates[:peak] == sorted(rates[:peak]) and rates[peak:] == sorted(rates[peak:])[::-1]
    assert max(rates) > 0.99 and rates[-1] < 0.01


def test_a_constant_rate_stays() -> None:
    assert {rate_at("constant", step, 9) for step in range(9)} == {1.0}
