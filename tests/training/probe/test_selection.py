"""Heads: how their regularisation and temperature are chosen."""

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from imgcli.config import HEAD_DECAY
from imgcli.training.metrics import compute_metrics
from imgcli.training.probe.logistic import MAX_ITERATIONS, SoftmaxRegression, fit_softmax
from imgcli.training.probe.selection import TEMPERATURES, calibrate, select_l2
from tests.support.features import K, M, masks, problem


def test_noise_is_regularised_more_than_signal() -> None:
    signal, targets = problem()
    noise = torch.randn(M, 60, generator=torch.Generator().manual_seed(0))
    tasks = [[(rows, ~rows) for rows in masks(3)]]
    (for_signal, *_), (for_noise, *_) = (
        select_l2(SoftmaxRegression(features, targets, K), tasks) for features in (signal, noise)
    )
    assert for_noise.l2_penalty > for_signal.l2_penalty


def test_tasks_are_chosen_for_as_if_alone() -> None:
    features, targets = problem()
    tasks = [[(rows, ~rows) for rows in masks(k)] for k in (2, 3)]
    regression = SoftmaxRegression(features, targets, K)
    together = select_l2(regression, tasks)
    alone = [select_l2(regression, [task])[0] for task in tasks]
    assert [c.l2_penalty for c in together] == [c.l2_penalty for c in alone]
    assert [c.errors for c in together] == [c.errors for c in alone]


def test_the_validation_is_of_the_held_rows_at_the_chosen_temperature() -> None:
    features, targets = problem()
    held = torch.arange(M) < 80
    (choice,) = select_l2(SoftmaxRegression(features, targets, K), [[(~held, held)]])
    assert choice.temperature != 1.0
    (logits,) = choice.head.calibrated(torch.tensor([choice.temperature])).logits(features[held])
    expected = compute_metrics(logits, targets[held])
    assert choice.val.n == 80
    assert choice.val.loss == pytest.approx(expected.loss, rel=1e-4)
    assert choice.val.accuracy == expected.accuracy == 1 - choice.errors / 80


def test_the_temperature_undoes_a_known_scaling() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(4000, 3, generator=generator)
    targets = torch.distributions.Categorical(logits=logits)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        drawn = targets.sample()
    one = TEMPERATURES.index(1.0)
    timid, too_sure = (TEMPERATURES[calibrate(z, drawn, one)] for z in (logits / 2, logits * 3))
    step = TEMPERATURES[0] / TEMPERATURES[1]
    assert 0.5 / step <= timid <= 0.5 * step
    assert 3 / step <= too_sure <= 3 * step


@pytest.mark.parametrize("scale", [0.0, 0.02, 0.3, 1.0, 7.0, 300.0])
def test_the_temperature_is_the_one_that_trying_all_finds(scale: float) -> None:
    generator = torch.Generator().manual_seed(4)
    logits = scale * torch.randn(500, 6, generator=generator)
    targets = torch.randint(0, 6, (500,), generator=generator)
    targets[:350] = logits[:350].argmax(1)  # right more often than not
    losses = [float(functional.cross_entropy(logits / t, targets)) for t in TEMPERATURES]
    for start in (0, TEMPERATURES.index(1.0), len(TEMPERATURES) - 1):
        found = losses[calibrate(logits, targets, start)]
        assert found == pytest.approx(min(losses), rel=1e-6)


EXTREMES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "more features than photos": lambda x: x.repeat(1, 30).roll(1, 0) + x.repeat(1, 30),
    "every feature twice": lambda x: x.repeat(1, 2),
    "nothing but constants": lambda x: torch.full_like(x, 3.0),
    "classes far apart": lambda x: x + 1000 * functional.one_hot(problem()[1], x.shape[1]),
}


@pytest.mark.parametrize("extreme", EXTREMES)
@pytest.mark.parametrize("l2_penalty", [HEAD_DECAY.low, HEAD_DECAY.high])
def test_extreme_features_give_a_head_at_either_end_of_the_regularisation(
    extreme: str, l2_penalty: float
) -> None:
    features, targets = problem()
    features = EXTREMES[extreme](features)
    rows = masks(3)
    rows[0] = torch.isin(torch.arange(M), torch.arange(4))  # hardly any photo
    heads = fit_softmax(features, targets, rows, torch.full((3,), l2_penalty), classes=K)
    assert heads.logits(features).isfinite().all() and heads.path.isfinite().all()
    assert len(heads.path) < MAX_ITERATIONS
