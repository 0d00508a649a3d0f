"""Stacked softmax regressions: each is exactly the one that it would be alone."""

from statistics import median_low

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from imgcli.training.probe.logistic import LEAST_DEVIATION, SoftmaxRegression, fit_softmax
from tests.support.features import K, M, masks, problem


@pytest.mark.parametrize("l2_penalty", [10.0, 1.0, 0.03, 0.001])
def test_every_fold_reaches_the_objective_that_scikit_learn_reaches(l2_penalty: float) -> None:
    features, targets = problem()
    rows = masks(5)
    heads = fit_softmax(features, targets, rows, torch.full((5,), l2_penalty), classes=K)
    for fold in range(5):
        x, y = features[rows[fold]].double().numpy(), targets[rows[fold]].numpy()
        deviations = x.std(0)
        x = (x - x.mean(0)) / np.maximum(deviations, LEAST_DEVIATION * median_low(deviations))
        oracle = LogisticRegression(C=1 / (l2_penalty * len(x)), tol=1e-8, max_iter=5000).fit(x, y)
        log_probs = oracle.predict_log_proba(x)[np.arange(len(y)), y]
        objective = -log_probs.mean() + l2_penalty / 2 * np.square(oracle.coef_).sum()
        assert float(heads.path[-1, fold]) == pytest.approx(objective, rel=1e-4)


def test_the_minimum_is_that_of_smoothed_labels_and_of_rows_taken_several_times() -> None:
    features, targets = problem()
    counts = torch.arange(M) % 3
    regression = SoftmaxRegression(features, targets, K, label_smoothing=0.2)
    heads = regression.solve(counts[None], torch.full((1,), 0.05), tolerance=1e-7)
    taken = torch.arange(M).repeat_interleave(counts)
    x = features[taken]
    deviations = x.std(0, unbiased=False)
    scale = deviations.clamp_min(LEAST_DEVIATION * float(deviations.median()))
    weight, bias = heads.weight[0].requires_grad_(), heads.bias[0].requires_grad_()
    loss = functional.cross_entropy(x @ weight.T + bias, targets[taken], label_smoothing=0.2)
    objective = loss + 0.05 / 2 * (weight * scale).square().sum()
    assert float(objective.detach()) == pytest.approx(float(heads.path[-1, 0]), rel=1e-5)
    by_weight, by_bias = torch.autograd.grad(objective, (weight, bias))
    torch.testing.assert_close(by_weight / scale, torch.zeros(K, x.shape[1]), rtol=0, atol=2e-3)
    torch.testing.assert_close(by_bias, torch.zeros(K), rtol=0, atol=2e-3)


class _Largest(TorchDispatchMode):
    """The most numbers that any tensor made meanwhile holds."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.numbers = max(self.numbers, result.numel())
        return result


def test_the_logits_of_all_rows_never_stand_whole() -> None:
    m, k = 6000, 300
    features = torch.randn(m, 3, generator=torch.Generator().manual_seed(0))
    rows, l2_penalties = torch.ones(1, m, dtype=torch.bool), torch.full((1,), 0.1)
    with _Largest() as largest:
        fit_softmax(features, torch.arange(m) % k, rows, l2_penalties, classes=k)
    assert largest.numbers < m * k / 8


def test_a_head_is_fitted_to_its_own_rows_only() -> None:
    features, targets = problem()
    rows = masks(3)
    changed = features.clone()
    changed[~rows[0]] += 3  # rows that the first problem must not look at
    l2_penalties = torch.full((1,), 0.1)
    before = fit_softmax(features, targets, rows[:1], l2_penalties, classes=K, tolerance=1e-7)
    after = fit_softmax(changed, targets, rows[:1], l2_penalties, classes=K, tolerance=1e-7)
    torch.testing.assert_close(before.weight, after.weight, rtol=1e-2, atol=1e-3)


def test_the_unregularised_bias_reaches_its_optimum_under_strong_regularisation() -> None:
    rng = np.random.default_rng(1)
    targets = torch.from_numpy(np.repeat(np.arange(20), np.arange(2, 42, 2)))  # 2 to 40 photos
    features = torch.from_numpy(rng.normal(size=(len(targets), 5))).float()
    rows, l2_penalties = torch.ones(1, len(targets), dtype=torch.bool), torch.full((1,), 100.0)
    heads = fit_softmax(features, targets, rows, l2_penalties, classes=20)
    shares = torch.bincount(targets) / len(targets)
    least = float(-(shares * shares.log()).sum())  # nothing but the bias is left to fit
    assert float(heads.path[-1, 0]) == pytest.approx(least, rel=1e-3)


def test_the_starting_point_decides_the_way_and_not_the_end() -> None:
    features, targets = problem()
    rows, l2_penalties = masks(3), torch.full((3,), 0.03)
    near = fit_softmax(features, targets, masks(3).roll(1, 0), torch.full((3,), 0.1), classes=K)
    far, short = (
        fit_softmax(features, targets, rows, l2_penalties, classes=K, start=start)
        for start in (None, near)
    )
    assert len(short.path) < len(far.path)
    torch.testing.assert_close(short.path[-1], far.path[-1], rtol=1e-4, atol=0)


def test_stacking_changes_nothing() -> None:
    features, targets = problem()
    rows, l2_penalties = masks(4), torch.tensor([1.0, 0.3, 0.1, 0.03])
    together = fit_softmax(features, targets, rows, l2_penalties, classes=K, tolerance=1e-6)
    for p in range(4):
        alone = fit_softmax(
            features, targets, rows[p : p + 1], l2_penalties[p : p + 1], classes=K, tolerance=1e-6
        )
        assert float(together.path[-1, p]) == pytest.approx(float(alone.path[-1, 0]), rel=1e-5)


def test_the_objective_never_rises() -> None:
    features, targets = problem()
    path = fit_softmax(features, targets, masks(3), torch.full((3,), 0.01), classes=K).path
    assert (path[1:] <= path[:-1] * (1 + 1e-6)).all()


def test_a_feature_that_never_varies_does_no_harm() -> None:
    features, targets = problem()
    constant = torch.cat([features, torch.full((M, 1), 7.0)], dim=1)
    rows, l2_penalties = masks(3), torch.full((3,), 0.1)
    with_it = fit_softmax(constant, targets, rows, l2_penalties, classes=K, tolerance=1e-7).logits(
        constant
    )
    without = fit_softmax(features, targets, rows, l2_penalties, classes=K, tolerance=1e-7).logits(
        features
    )
    torch.testing.assert_close(with_it, without, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("on_one_training_photo", [0.0, 1e-3])
def test_a_feature_that_hardly_varies_in_training_does_not_decide_held_out_photos(
    on_one_training_photo: float,
) -> None:
    features, targets = problem()
    rows, l2_penalties = masks(3), torch.full((3,), 0.001)
    rare = torch.zeros(M, 1)
    rare[0], rare[1] = 1.0, on_one_training_photo  # photo 0 is held out of the first problem
    with_it = torch.cat([features, rare], dim=1)
    heads = fit_softmax(with_it, targets, rows, l2_penalties, classes=K)
    own = fit_softmax(features, targets, rows, l2_penalties, classes=K).logits(features)[0]
    assert float((heads.logits(with_it)[0] - own)[0].abs().max()) < float(own.abs().max())


def test_separable_classes_are_solved_exactly_from_strong_to_weak_penalties() -> None:
    generator = torch.Generator().manual_seed(3)
    targets = torch.arange(100) % 5
    centres = torch.randn(5, 400, generator=generator)
    features = centres[targets] + 0.7 * torch.randn(100, 400, generator=generator)
    rows = torch.stack([torch.arange(100) // 5 % 4 != fold for fold in range(4)])
    heads = None
    for l2_penalty in (3.0, 1.0, 0.3, 0.1, 0.03):
        l2_penalties = torch.full((4,), l2_penalty)
        heads = fit_softmax(features, targets, rows, l2_penalties, classes=5, start=heads)
        best = fit_softmax(
            *(features, targets, rows, l2_penalties), classes=5, start=heads, tolerance=1e-7
        )
        torch.testing.assert_close(heads.path[-1], best.path[-1], rtol=1e-4, atol=0)
