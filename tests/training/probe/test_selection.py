"""Heads: how their regularisation and temperature are chosen."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch.nn import functional

from imgcli.config import HEAD_DECAY
from imgcli.training.probe.logistic import MAX_ITERATIONS, fit_softmax
from imgcli.training.probe.selection import TEMPERATURES, Heads, Solver, select_l2
from tests.support.features import K, M, masks, problem


def softmax(features: torch.Tensor, targets: torch.Tensor) -> Solver:
    return partial(fit_softmax, features, targets, classes=K)


def test_noise_is_regularised_more_than_signal() -> None:
    signal, targets = problem()
    noise = torch.randn(M, 60, generator=torch.Generator().manual_seed(0))
    tasks = [[(rows, ~rows) for rows in masks(3)]]
    (for_signal, *_), (for_noise, *_) = (
        select_l2(softmax(features, targets), features, targets, tasks)
        for features in (signal, noise)
    )
    assert for_noise.l2_penalty > for_signal.l2_penalty


def test_tasks_are_chosen_for_as_if_alone() -> None:
    features, targets = problem()
    tasks = [[(rows, ~rows) for rows in masks(k)] for k in (2, 3)]
    solve = softmax(features, targets)
    together = select_l2(solve, features, targets, tasks)
    alone = [select_l2(solve, features, targets, [task])[0] for task in tasks]
    assert [c.l2_penalty for c in together] == [c.l2_penalty for c in alone]
    assert [c.errors for c in together] == [c.errors for c in alone]


def test_held_out_logits_cover_every_held_row_and_no_other() -> None:
    features, targets = problem()
    held = torch.arange(M) < 50
    (choice,) = select_l2(softmax(features, targets), features, targets, [[(~held, held)]])
    assert (choice.logits[held] != 0).all()
    assert (choice.logits[~held] == 0).all()


def test_held_out_logits_are_divided_by_the_temperature() -> None:
    features, targets = problem()
    held = torch.arange(M) < 80
    (choice,) = select_l2(softmax(features, targets), features, targets, [[(~held, held)]])
    assert choice.temperature != 1.0
    raw = choice.heads.logits(features)[0]
    torch.testing.assert_close(
        choice.logits[held], raw[held] / choice.temperature, rtol=1e-3, atol=1e-3
    )
    calibrated = choice.heads.calibrated(torch.tensor([choice.temperature]))
    told = calibrated.logits(features)[0]
    torch.testing.assert_close(told, raw / choice.temperature, rtol=1e-3, atol=1e-3)


def test_the_temperature_undoes_a_known_scaling() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(4000, 3, generator=generator)
    targets = torch.distributions.Categorical(logits=logits)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        drawn = targets.sample()
    all_rows = torch.ones(len(logits), dtype=torch.bool)
    identity = Heads(torch.eye(3)[None], torch.zeros(1, 3), torch.zeros(1, 1))

    def temperature(logits: torch.Tensor) -> float:
        problems = [[(all_rows, all_rows)]]
        (choice,) = select_l2(lambda *_, **__: identity, logits, drawn, problems)
        return choice.temperature

    timid, too_sure = temperature(logits / 2), temperature(logits * 3)
    step = TEMPERATURES[0] / TEMPERATURES[1]
    assert 0.5 / step <= timid <= 0.5 * step
    assert 3 / step <= too_sure <= 3 * step


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
    heads = softmax(features, targets)(rows, torch.full((3,), l2_penalty))
    assert heads.logits(features).isfinite().all() and heads.path.isfinite().all()
    assert len(heads.path) < MAX_ITERATIONS
