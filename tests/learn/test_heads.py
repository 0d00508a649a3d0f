"""Stacked heads: each is exactly the softmax regression that it would be alone."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from imgcli.learn.heads import TEMPERATURES, _calibrate, choose_strengths, fit_heads

M, D, K = 240, 12, 4


@pytest.fixture(scope="module")
def problem() -> tuple[torch.Tensor, torch.Tensor]:
    """Features `(M, D)` of very different scales and offsets, and overlapping classes."""
    rng = np.random.default_rng(0)
    targets = rng.integers(0, K, M)
    centres = rng.normal(0, 1.2, (K, D))
    features = (centres[targets] + rng.normal(0, 1, (M, D))) * np.logspace(-2, 2, D) + 5
    return torch.tensor(features, dtype=torch.float32), torch.from_numpy(targets)


def masks(folds: int) -> torch.Tensor:
    """Rows `(folds, M)` of everything but a fold."""
    return torch.stack([torch.arange(M) % folds != f for f in range(folds)])


@pytest.mark.parametrize("strength", [1.0, 0.03, 0.001])
def test_every_fold_reaches_the_objective_that_scikit_learn_reaches(
    problem: tuple[torch.Tensor, torch.Tensor], strength: float
) -> None:
    features, targets = problem
    rows = masks(5)
    heads = fit_heads(features, targets, rows, torch.full((5,), strength), K)
    for fold in range(5):
        x, y = features[rows[fold]].double().numpy(), targets[rows[fold]].numpy()
        x = (x - x.mean(0)) / x.std(0)
        oracle = LogisticRegression(C=1 / (strength * len(x)), tol=1e-8, max_iter=5000).fit(x, y)
        log_probs = oracle.predict_log_proba(x)[np.arange(len(y)), y]
        objective = -log_probs.mean() + strength / 2 * np.square(oracle.coef_).sum()
        assert float(heads.path[-1, fold]) == pytest.approx(objective, rel=1e-4)


def test_a_head_learns_from_its_own_rows_only(
    problem: tuple[torch.Tensor, torch.Tensor],
) -> None:
    features, targets = problem
    rows = masks(3)
    changed = features.clone()
    changed[~rows[0]] += 3  # rows that the first problem must not look at
    strengths = torch.full((1,), 0.1)
    before = fit_heads(features, targets, rows[:1], strengths, K, tolerance=1e-7)
    after = fit_heads(changed, targets, rows[:1], strengths, K, tolerance=1e-7)
    torch.testing.assert_close(before.weight, after.weight, rtol=1e-2, atol=1e-3)


def test_stacking_changes_nothing(problem: tuple[torch.Tensor, torch.Tensor]) -> None:
    features, targets = problem
    rows, strengths = masks(4), torch.tensor([1.0, 0.3, 0.1, 0.03])
    together = fit_heads(features, targets, rows, strengths, K, tolerance=1e-6)
    for p in range(4):
        alone = fit_heads(
            features, targets, rows[p : p + 1], strengths[p : p + 1], K, tolerance=1e-6
        )
        assert float(together.path[-1, p]) == pytest.approx(float(alone.path[-1, 0]), rel=1e-5)


def test_the_objective_never_rises(problem: tuple[torch.Tensor, torch.Tensor]) -> None:
    features, targets = problem
    path = fit_heads(features, targets, masks(3), torch.full((3,), 0.01), K).path
    assert (path[1:] <= path[:-1] * (1 + 1e-6)).all()


def test_a_feature_that_never_varies_does_no_harm(
    problem: tuple[torch.Tensor, torch.Tensor],
) -> None:
    features, targets = problem
    constant = torch.cat([features, torch.full((M, 1), 7.0)], dim=1)
    rows, strengths = masks(3), torch.full((3,), 0.1)
    with_it = fit_heads(constant, targets, rows, strengths, K, tolerance=1e-7).logits(constant)
    without = fit_heads(features, targets, rows, strengths, K, tolerance=1e-7).logits(features)
    torch.testing.assert_close(with_it, without, rtol=1e-3, atol=1e-3)


def test_noise_is_regularised_more_than_signal(
    problem: tuple[torch.Tensor, torch.Tensor],
) -> None:
    signal, targets = problem
    noise = torch.randn(M, 60, generator=torch.Generator().manual_seed(0))
    tasks = [[(rows, ~rows) for rows in masks(3)]]
    (for_signal, *_), (for_noise, *_) = (
        choose_strengths(features, targets, tasks, K) for features in (signal, noise)
    )
    assert for_noise.strength > for_signal.strength


def test_tasks_are_chosen_for_as_if_alone(
    problem: tuple[torch.Tensor, torch.Tensor],
) -> None:
    features, targets = problem
    tasks = [[(rows, ~rows) for rows in masks(k)] for k in (2, 3)]
    together = choose_strengths(features, targets, tasks, K)
    alone = [choose_strengths(features, targets, [task], K)[0] for task in tasks]
    assert [c.strength for c in together] == [c.strength for c in alone]
    assert [c.errors for c in together] == [c.errors for c in alone]


def test_held_out_logits_cover_every_held_row_and_no_other(
    problem: tuple[torch.Tensor, torch.Tensor],
) -> None:
    features, targets = problem
    held = torch.arange(M) < 50
    (choice,) = choose_strengths(features, targets, [[(~held, held)]], K)
    assert (choice.logits[held] != 0).all()
    assert (choice.logits[~held] == 0).all()


def test_the_temperature_undoes_a_known_scaling() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(4000, 3, generator=generator)
    targets = torch.distributions.Categorical(logits=logits)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        drawn = targets.sample()
    factor, _ = _calibrate(logits / 2, drawn)
    step = TEMPERATURES[1] / TEMPERATURES[0]
    assert 2 / step <= factor <= 2 * step
