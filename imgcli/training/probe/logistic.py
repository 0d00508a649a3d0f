"""Softmax regressions on the same features, many at once.

One problem is a softmax regression on some rows of the features with one L2 penalty:

    minimise  mean over its rows of cross-entropy(x̃ V + b, target)  +  l2 / 2 · ‖V‖²

where x̃ is x standardised by the mean and deviation of the problem's own rows (`_at_least`: not by
a deviation far below the others). P problems share the features, so a step of all of them is one
matrix product `(M, D) × (D, P·K)`: ten folds cost little more than one. Solved by L-BFGS (Nocedal &
Wright, Numerical Optimization, 2nd ed., algorithms 7.4 and 7.5) with backtracking, each problem
with its own step. The objective is l2-strongly convex in V, so ‖gradient‖² / (2 · l2) bounds the
distance to the minimum: iteration ends when that bound is a small share of the objective. The bias
is not regularised; its share of the gap is half of gradientᵀ · curvature⁻¹ · gradient, with the
curvature where the iteration stands.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from imgcli.training.probe.selection import Heads

MAX_ITERATIONS = 500
_MEMORY = 10  # steps that L-BFGS remembers
_FLAT = 0.1  # share of the tolerance that so many steps must lower an objective by
_BUDGET = 2**28  # floats held at once; more problems than fit are solved in turn
# Least deviation of a feature, as a share of the median of all that vary. After a ReLU a feature
# may be 0 for all of a fold's photos but one: divided by next to nothing, its value for a held-out
# photo is a thousand times what any training photo showed, and decides alone. On 1,000 handwritten
# digits the log loss of ten folds was 0.38 without the limit, 7 of 900 photos above 50; 0.09 with.
LEAST_DEVIATION = 0.1
_NONE = 1e-5  # a deviation that is taken for none


def fit_softmax(
    features: Tensor,
    targets: Tensor,
    rows: Tensor,
    l2_penalties: Tensor,
    *,
    classes: int,
    start: Heads | None = None,
    label_smoothing: float = 0.0,
    tolerance: float = 1e-4,
    max_iterations: int = MAX_ITERATIONS,
) -> Heads:
    """Solve P softmax regressions on the same features.

    Args:
        features: `(M, D)` float32.
        targets: `(M,)` class of each row.
        rows: `(P, M)` how often each problem learns from each row, as bool or number.
        l2_penalties: `(P,)` regularisation of each problem.
        start: P solutions of similar problems; from there it is a third of the way.
        tolerance: how far, relative to its minimum, each objective may stay above it.
    """
    size = features.shape[1] * classes
    at_once = max(1, _BUDGET // ((2 * _MEMORY + 6) * size + 4 * len(features) * classes))
    parts = []
    for first in range(0, len(rows), at_once):
        chunk = slice(first, first + at_once)
        problem = _Problem(
            features, targets, rows[chunk], l2_penalties[chunk], classes, label_smoothing
        )
        point = problem.zero() if start is None else problem.as_variables(start[chunk])
        solution, path = _minimise(problem, point, tolerance, max_iterations)
        parts.append(problem.as_heads(solution, path))
    longest = max(len(part.path) for part in parts)
    paths = [torch.cat([p.path, p.path[-1:].expand(longest - len(p.path), -1)]) for p in parts]
    return Heads(
        torch.cat([part.weight for part in parts]),
        torch.cat([part.bias for part in parts]),
        torch.cat(paths, dim=1),
    )


class _Problem:
    """P stacked objectives over variables `(P, D + 1, K)`: standardised weights, then the bias."""

    def __init__(
        self,
        features: Tensor,
        targets: Tensor,
        rows: Tensor,
        l2_penalties: Tensor,
        classes: int,
        label_smoothing: float,
    ) -> None:
        # Brought to one scale over all rows first: a fold's own mean and deviation are then near
        # 0 and 1, which float32 can hold whatever the features' offsets are.
        self.centre = features.mean(0)
        centred = features - self.centre
        self.spread = _no_zeros(centred.square().mean(0).sqrt())
        self.features = features = centred / self.spread
        self.l2_penalties = l2_penalties
        one_hot = functional.one_hot(targets, classes).to(features)
        self.labels = one_hot * (1 - label_smoothing) + label_smoothing / classes  # (M, K)
        mask = rows.to(features)
        count = mask.sum(1, keepdim=True)
        self.row_weights = (mask / count).T[:, :, None]  # (M, P, 1)
        self.mean = mask @ features / count  # (P, D)
        variance = mask @ features.square() / count - self.mean.square()
        self.scale = _at_least(variance.clamp_min(0).sqrt() * self.spread) / self.spread

    def __call__(self, variables: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """Objectives `(p,)` and gradients `(p, D + 1, K)` of the problems `which`."""
        (m, d), (p, _, k) = self.features.shape, variables.shape
        mean, scale, weights = self.mean[which], self.scale[which], self.row_weights[:, which]
        l2_penalties = self.l2_penalties[which]
        log_probs = self._log_probs(variables, which)
        labels = self.labels[:, None]
        loss = -(log_probs * labels * weights).sum(dim=(0, 2))
        loss += l2_penalties / 2 * variables[:, :d].square().sum(dim=(1, 2))
        residuals = (log_probs.exp() - labels) * weights
        bias_gradient = residuals.sum(dim=0)  # (p, K)
        gradient = (self.features.T @ residuals.view(m, p * k)).view(d, p, k).permute(1, 0, 2)
        gradient = (gradient - mean[:, :, None] * bias_gradient[:, None]) / scale[:, :, None]
        gradient += l2_penalties[:, None, None] * variables[:, :d]
        return loss, torch.cat([gradient, bias_gradient[:, None]], dim=1)

    def _log_probs(self, variables: Tensor, which: Tensor) -> Tensor:
        """Log probabilities `(M, p, K)` of all rows by the problems `which`."""
        (m, d), (p, _, k) = self.features.shape, variables.shape
        weight, bias = _unstandardise(variables, self.mean[which], self.scale[which])
        logits = self.features @ weight.permute(1, 0, 2).reshape(d, p * k)
        return torch.log_softmax(logits.view(m, p, k) + bias, dim=2)

    def zero(self) -> Tensor:
        p, d = self.mean.shape
        return self.features.new_zeros(p, d + 1, self.labels.shape[1])

    def solved(self, variables: Tensor, gradient: Tensor, which: Tensor, most: Tensor) -> Tensor:
        """Whether the objectives `which` are within `most` `(p,)` of their minima, `(p,)` bool."""
        gap = gradient[:, :-1].square().sum(dim=(1, 2)) / (2 * self.l2_penalties[which])
        near = (2 * gap <= most).nonzero()[:, 0]
        if len(near):  # the curvature needs all rows, and only at the end
            gap[near] += self._bias_gap(variables[near], gradient[near, -1], which[near])
        return 2 * gap <= most  # moved together, weights and biases gain more than each alone

    def _bias_gap(self, variables: Tensor, gradient: Tensor, which: Tensor) -> Tensor:
        """What the best biases alone would gain, to second order, `(p,)`."""
        probs = self._log_probs(variables, which).exp()
        weighted = probs * self.row_weights[:, which]  # (M, p, K)
        curvature = torch.diag_embed(weighted.sum(0)) - torch.einsum(
            "mpk,mpl->pkl", weighted, probs
        )
        # All biases moved alike change nothing: that direction is filled up to be invertible.
        k = curvature.shape[1]
        level = curvature.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-12)[:, None, None]
        curvature = curvature + level / k + 1e-6 * level * torch.eye(k, device=level.device)
        steps: Tensor = torch.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
        return (gradient * steps).sum(1) / 2

    def as_variables(self, heads: Heads) -> Tensor:
        """The inverse of `as_heads`: heads as a point to start from."""
        weight = heads.weight.permute(0, 2, 1) * self.spread[:, None]  # (P, D, K)
        bias = heads.bias + torch.einsum("d,pkd->pk", self.centre, heads.weight)
        bias = bias + torch.einsum("pd,pdk->pk", self.mean, weight)
        return torch.cat([weight * self.scale[:, :, None], bias[:, None]], dim=1)

    def as_heads(self, variables: Tensor, path: Tensor) -> Heads:
        weight, bias = _unstandardise(variables, self.mean, self.scale)
        weight = weight / self.spread[:, None]
        bias = bias - torch.einsum("d,pdk->pk", self.centre, weight)
        return Heads(weight.permute(0, 2, 1).contiguous(), bias, path)


def _no_zeros(deviation: Tensor) -> Tensor:
    """A feature that never varies carries nothing: dividing by 1 leaves it at zero."""
    return torch.where(deviation > _NONE, deviation, 1.0)


def _at_least(deviations: Tensor) -> Tensor:
    """Deviations `(P, D)` of features as they are, none far below those of its problem."""
    typical = deviations.where(deviations > _NONE, torch.nan).nanmedian(1, keepdim=True).values
    return _no_zeros(torch.maximum(deviations, LEAST_DEVIATION * typical.nan_to_num(0.0)))


def _unstandardise(variables: Tensor, mean: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Weights `(P, D, K)` and biases `(P, K)` for features as they are."""
    weight = variables[:, :-1] / scale[:, :, None]
    return weight, variables[:, -1] - torch.einsum("pd,pdk->pk", mean, weight)


def _minimise(
    problem: _Problem, point: Tensor, tolerance: float, max_iterations: int
) -> tuple[Tensor, Tensor]:
    """L-BFGS on all problems side by side; returns solutions and the objectives on the way.

    A problem that has reached its tolerance is left out from then on, and so is one that no longer
    falls: under weak regularisation float32 cannot tell how near the minimum is.
    """
    solution, going = point.clone(), torch.arange(len(point), device=point.device)
    loss, gradient = problem(point, going)
    path = [loss]
    steps: list[tuple[Tensor, Tensor, Tensor]] = []  # (step, change of gradient, 1 / their product)
    for _ in range(max_iterations):
        on = ~problem.solved(point, gradient, going, tolerance * loss)
        if len(path) > _MEMORY:
            on &= path[-1 - _MEMORY][going] - loss > _FLAT * tolerance * loss
        if not bool(on.all()):
            solution[going] = point
            going, point, loss, gradient = going[on], point[on], loss[on], gradient[on]
            steps = [(step[on], change[on], inverse[on]) for step, change, inverse in steps]
        if len(going) == 0:
            break
        direction = -_times_inverse_hessian(gradient, steps)
        trial, trial_loss, trial_gradient = _backtrack(
            problem, going, point, loss, gradient, direction
        )
        step, change = trial - point, trial_gradient - gradient
        product = (step * change).sum(dim=(1, 2))
        # A step of zero (a problem at its minimum) teaches nothing; its weight is zero.
        inverse = torch.where(product > 1e-20, 1 / product.clamp_min(1e-20), 0.0)
        steps = [*steps[-(_MEMORY - 1) :], (step, change, inverse)]
        point, loss, gradient = trial, trial_loss, trial_gradient
        path.append(path[-1].index_copy(0, going, loss))
    solution[going] = point
    return solution, torch.stack(path)


def _times_inverse_hessian(
    gradient: Tensor, steps: Sequence[tuple[Tensor, Tensor, Tensor]]
) -> Tensor:
    """The two-loop recursion: the remembered curvature's inverse times the gradient."""
    result: Tensor = gradient.clone()
    if not steps:
        result /= gradient.flatten(1).norm(dim=1).clamp_min(1.0)[:, None, None]
        return result
    shares = []
    for step, change, inverse in reversed(steps):
        share = inverse * (step * result).sum(dim=(1, 2))
        shares.append(share)
        result -= share[:, None, None] * change
    _, change, inverse = steps[-1]
    curvature = inverse * change.square().sum(dim=(1, 2))
    result *= torch.where(curvature > 0, 1 / curvature, 1.0)[:, None, None]
    for (step, change, inverse), share in zip(steps, reversed(shares), strict=True):
        back = share - inverse * (change * result).sum(dim=(1, 2))
        result += back[:, None, None] * step
    return result


def _backtrack(
    problem: _Problem,
    which: Tensor,
    point: Tensor,
    loss: Tensor,
    gradient: Tensor,
    direction: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Shorten each problem's own step until its objective falls enough (Armijo's condition)."""
    slope = (gradient * direction).sum(dim=(1, 2))
    length = torch.ones_like(loss)
    trial = point + direction
    trial_loss, trial_gradient = problem(trial, which)
    for _ in range(20):
        # Float32 cannot tell objectives apart below a share of 1e-7.
        failed = (trial_loss > loss + 1e-4 * length * slope + 1e-7 * loss).nonzero()[:, 0]
        if len(failed) == 0:
            break
        length[failed] *= 0.4
        trial[failed] = point[failed] + length[failed, None, None] * direction[failed]
        trial_loss[failed], trial_gradient[failed] = problem(trial[failed], which[failed])
    return trial, trial_loss, trial_gradient
