"""L-BFGS on many problems side by side.

Nocedal & Wright, Numerical Optimization, 2nd ed., algorithms 7.4 and 7.5, with backtracking, each
problem with its own step. Variables are `(P, D, K)`, objectives `(P,)`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

MEMORY = 10  # steps that are remembered
_FLAT = 0.1  # share of the tolerance that so many steps must lower an objective by


class Objectives(Protocol):
    """P objectives to be minimised; `which` are the numbers `(p,)` of some of them."""

    def __call__(self, variables: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """Objectives `(p,)` and gradients `(p, D, K)`."""

    def curvature(self, variables: Tensor, loss: Tensor) -> Tensor:
        """What `times_inverse` needs to know of all P problems where they start, `(P,)`."""

    def times_inverse(self, gradient: Tensor, which: Tensor, curvature: Tensor) -> Tensor:
        """Roughly the inverse of the Hessian, up to a factor, times the gradient."""

    def solved(self, variables: Tensor, gradient: Tensor, which: Tensor, most: Tensor) -> Tensor:
        """Whether the objectives are within `most` `(p,)` of their minima, `(p,)` bool."""


def minimise(
    problem: Objectives, point: Tensor, tolerance: float, max_iterations: int
) -> tuple[Tensor, Tensor]:
    """Solutions `(P, D, K)` and the objectives on the way `(iterations + 1, P)`.

    A problem that has reached its tolerance is left out from then on, and so is one that no longer
    falls: under weak regularisation float32 cannot tell how near the minimum is.
    """
    solution, going = point.clone(), torch.arange(len(point), device=point.device)
    loss, gradient = problem(point, going)
    curvature = problem.curvature(point, loss)
    path = [loss]
    steps: list[tuple[Tensor, Tensor, Tensor]] = []  # (step, change of gradient, 1 / their product)
    for _ in range(max_iterations):
        on = ~problem.solved(point, gradient, going, tolerance * loss)
        if len(path) > MEMORY:
            on &= path[-1 - MEMORY][going] - loss > _FLAT * tolerance * loss
        if not bool(on.all()):
            solution[going] = point
            going, point, loss, gradient = going[on], point[on], loss[on], gradient[on]
            steps = [(step[on], change[on], inverse[on]) for step, change, inverse in steps]
        if len(going) == 0:
            break
        roughly = partial(problem.times_inverse, which=going, curvature=curvature[going])
        direction = -_times_inverse_hessian(gradient, steps, roughly)
        trial, trial_loss, trial_gradient = _backtrack(
            problem, going, point, loss, gradient, direction
        )
        step, change = trial - point, trial_gradient - gradient
        product = (step * change).sum(dim=(1, 2))
        # A step of zero (a problem at its minimum) teaches nothing; its weight is zero.
        inverse = torch.where(product > 1e-20, 1 / product.clamp_min(1e-20), 0.0)
        steps = [*steps[-(MEMORY - 1) :], (step, change, inverse)]
        point, loss, gradient = trial, trial_loss, trial_gradient
        path.append(path[-1].index_copy(0, going, loss))
    solution[going] = point
    return solution, torch.stack(path)


def _times_inverse_hessian(
    gradient: Tensor,
    steps: Sequence[tuple[Tensor, Tensor, Tensor]],
    roughly: Callable[[Tensor], Tensor],
) -> Tensor:
    """The two-loop recursion: the remembered curvature's inverse times the gradient.

    Args:
        roughly: the inverse without what is remembered, up to a factor.
    """
    result, shares = gradient.clone(), []
    for step, change, inverse in reversed(steps):
        share = inverse * (step * result).sum(dim=(1, 2))
        shares.append(share)
        result -= share[:, None, None] * change
    result = roughly(result)
    if steps:
        _, change, inverse = steps[-1]
        curvature = inverse * (change * roughly(change)).sum(dim=(1, 2))
        result *= torch.where(curvature > 0, 1 / curvature, 1.0)[:, None, None]
    for (step, change, inverse), share in zip(steps, reversed(shares), strict=True):
        back = share - inverse * (change * result).sum(dim=(1, 2))
        result += back[:, None, None] * step
    return result


def _backtrack(
    problem: Objectives,
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
