"""The course of the learning rate: up, down, never over its peak."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.config import TrainConfig
from imgcli.training.lr_schedules import SCHEDULES, plateaus, rate_at
from imgcli.training.resolve_defaults import resolve_defaults


def course(schedule: str, epochs: int, steps: int = 100, **choices: float) -> list[float]:
    """The rate at each step of a training."""
    config = resolve_defaults(
        TrainConfig.of(arch="mlp", schedule=schedule, epochs=epochs, **choices)
    )
    return [rate_at(config.optim, (step + 0.5) / steps) for step in range(steps * epochs)]


@pytest.mark.parametrize("epochs", [1, 10])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_step_has_a_rate_between_nothing_and_the_peak(schedule: str, epochs: int) -> None:
    assert all(0 < rate <= 1 for rate in course(schedule, epochs))


@pytest.mark.parametrize(("schedule", "peak"), [("cosine", 50), ("one-cycle", 200)])
def test_it_rises_to_its_peak_and_falls_to_nearly_nothing(schedule: str, peak: int) -> None:
    rates = course(schedule, 10)
    assert rates[:peak] == sorted(rates[:peak]) and rates[peak:] == sorted(rates[peak:])[::-1]
    assert max(rates) > 0.98 and rates[-1] < 0.01


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_warm_up_of_some_epochs_is_a_line_to_the_peak(schedule: str) -> None:
    rates = course(schedule, 8, warmup=2)
    assert rates[:200] == pytest.approx([(step + 0.5) / 200 for step in range(200)])
    assert rates[200] > 0.8


def test_a_constant_rate_stays() -> None:
    assert set(course("constant", 3)) == {1.0}


def test_steps_fall_after_a_third_of_the_epochs_or_as_asked() -> None:
    assert course("step", 9, 1) == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01])
    asked = course("step", 4, 1, decay_every=2, decay_factor=0.5)
    assert asked == [1, 1, 0.5, 0.5]


def test_an_exponential_falls_by_its_factor_every_epoch() -> None:
    rates = course("exponential", 3, 1, decay_factor=0.5)
    assert rates == pytest.approx([0.5**0.5, 0.5**1.5, 0.5**2.5])


def test_a_plateau_lowers_the_rate_each_time_patience_runs_out() -> None:
    config = resolve_defaults(
        TrainConfig.of(arch="mlp", schedule="plateau", decay_every=2, epochs=20)
    )
    losses = [3.0, 2.0, 2.5, 2.5, 1.0, 1.1, 1.2, 1.3, 1.4]
    rates = [rate_at(config.optim, i, losses[:i]) for i in range(len(losses) + 1)]
    assert rates == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 1e-3])


@given(st.lists(st.floats(0, 10), max_size=40), st.integers(1, 5))
def test_there_are_no_more_plateaus_than_stretches_without_a_better_loss(
    losses: list[float], patience: int
) -> None:
    best = sum(loss < min(losses[:i], default=99) for i, loss in enumerate(losses))
    assert plateaus(losses, patience) <= (len(losses) - best) // patience
