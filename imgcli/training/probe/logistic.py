"""Softmax regressions on rows of the same features, many at once.

One problem is a softmax regression on some rows of the features with one L2 penalty:

    minimise  mean over its rows of cross-entropy(x̃ V + b, target)  +  l2 / 2 · ‖V‖²

where x̃ is x standardised by the mean and deviation of the problem's own rows (`_at_least`: not by
a deviation far below the others). Each problem keeps its own rows standardised, `(n, D)`, and goes
through them in blocks whose logits stay in the processor's cache: the `(n, K)` of all rows never
stand whole. Problems are solved side by side by L-BFGS. The objective is l2-strongly convex in V,
so ‖gradient‖² / (2 · l2) bounds the distance to the minimum: iteration ends when that bound is a
small share of the objective. The bias is not regularised; its share of the gap is half of
gradientᵀ · curvature⁻¹ · gradient, with the curvature where the iteration stands.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from imgcli.training.probe.directions import Directions
from imgcli.training.probe.heads import Heads, joined
from imgcli.training.probe.lbfgs import MEMORY, minimise

MAX_ITERATIONS = 500
BUDGET = 2**24  # floats held at once; more problems than fit are solved in turn
_CACHED = 2**17  # logits of a block on a CPU, whose cache holds them through all operations
_BLOCK = 2**24  # of a block elsewhere
# Least deviation of a feature, as a share of the median of all that vary. After a ReLU a feature
# may be 0 for all of a fold's photos but one: divided by next to nothing, its value for a held-out
# photo is a thousand times what any training photo showed, and decides alone. On 1,000 handwritten
# digits the log loss of ten folds was 0.38 without the limit, 7 of 900 photos above 50; 0.09 with.
LEAST_DEVIATION = 0.1
_NONE = 1e-5  # a deviation that is taken for none


@dataclass(frozen=True, eq=False)
class SoftmaxRegression:
    """What softmax regressions on rows of the same features share."""

    features: Tensor  # (M, D) float32
    targets: Tensor  # (M,) class of each row
    classes: int
    label_smoothing: float = 0.0
    max_iterations: int = MAX_ITERATIONS

    @cached_property
    def directions(self) -> Directions:
        """Those of all rows; each problem's are nearly the same."""
        return Directions.of(self.features)

    def on(self, rows: Tensor) -> "Problems":
        """Problems on some rows each.

        Args:
            rows: `(P, M)` how often each problem learns from each row, as bool or number.
        """
        return Problems(self, [_Problem(self, counts) for counts in rows])

    def solve(
        self,
        rows: Tensor,
        l2_penalties: Tensor,
        *,
        start: Heads | None = None,
        tolerance: float = 1e-4,
    ) -> Heads:
        """Solve P problems.

        Args:
            rows: `(P, M)` as for `on`.
            l2_penalties: `(P,)` regularisation of each problem.
            start: P solutions of similar problems; from there it is a third of the way.
            tolerance: how far, relative to its minimum, each objective may stay above it.
        """
        parts = []
        for some in in_budget([int((counts > 0).sum()) for counts in rows], self.features.shape[1]):
            problems = self.on(rows[some])
            point = None if start is None else problems.as_variables(start[some])
            parts.append(problems.as_heads(*problems.solve(l2_penalties[some], point, tolerance)))
        return joined(parts)


def in_budget(rows: Sequence[int], features: int) -> Iterator[slice]:
    """Slices of so many problems, on so many rows each, as may stand side by side."""
    first, floats = 0, 0
    for i, n in enumerate(rows):
        if i > first and floats + n * features > BUDGET:
            yield slice(first, i)
            first, floats = i, 0
        floats += n * features
    yield slice(first, len(rows))


class Problems:
    """P problems, their variables `(P, D + 1, K)`: standardised weights, then the bias."""

    def __init__(self, regression: SoftmaxRegression, problems: Sequence["_Problem"]) -> None:
        self._problems, self._most = problems, regression.max_iterations
        self._directions = regression.directions
        d, k = regression.features.shape[1], regression.classes
        self._zero = regression.features.new_zeros(len(problems), d + 1, k)

    def __len__(self) -> int:
        return len(self._problems)

    def solve(
        self, l2_penalties: Tensor, start: Tensor | None, tolerance: float
    ) -> tuple[Tensor, Tensor]:
        """Solutions, and the objectives on the way `(iterations + 1, P)`."""
        start = self._zero if start is None else start
        size = self._zero[0].numel()
        at_once = max(1, BUDGET // ((2 * MEMORY + 6) * size))
        solutions, paths = [], []
        for first in range(0, len(start), at_once):
            some = slice(first, first + at_once)
            stacked = _Stacked(self._problems[some], l2_penalties[some], self._directions)
            solution, path = minimise(stacked, start[some], tolerance, self._most)
            solutions.append(solution)
            paths.append(path)
        longest = max(map(len, paths))
        paths = [torch.cat([p, p[-1:].expand(longest - len(p), -1)]) for p in paths]
        return torch.cat(solutions), torch.cat(paths, dim=1)

    def as_variables(self, heads: Heads) -> Tensor:
        """The inverse of `as_heads`: heads as a point to start from."""
        each = zip(self._problems, heads.weight, heads.bias, strict=True)
        return torch.stack([problem.as_variables(*head) for problem, *head in each])

    def as_heads(self, variables: Tensor, path: Tensor) -> Heads:
        """Solutions for features as they are."""
        each = zip(self._problems, variables, strict=True)
        weights, biases = zip(*(problem.as_head(values) for problem, values in each), strict=True)
        return Heads(torch.stack(weights), torch.stack(biases), path)


@dataclass(frozen=True, eq=False)
class _Stacked:
    """Problems with an L2 penalty each, as L-BFGS asks for them."""

    problems: Sequence["_Problem"]
    l2_penalties: Tensor  # (P,)
    directions: Directions

    def __call__(self, variables: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        l2_penalties = self.l2_penalties[which]
        weights = variables[:, :-1]
        loss, gradient = torch.empty_like(l2_penalties), torch.zeros_like(variables)
        for i, p in enumerate(which.tolist()):
            loss[i] = self.problems[p].add_gradient(variables[i], gradient[i])
        loss += l2_penalties / 2 * weights.square().sum(dim=(1, 2))
        gradient[:, :-1] += l2_penalties[:, None, None] * weights
        return loss, gradient

    def curvature(self, variables: Tensor, loss: Tensor) -> Tensor:
        """How uncertain the predictions are: the mean of p · (1 - p), judged by the loss.

        It is exact where all classes are equally likely, and half of it near certainty.
        """
        entropy = loss - self.l2_penalties / 2 * variables[:, :-1].square().sum(dim=(1, 2))
        return -torch.expm1(-entropy).clamp_max(-1e-6) / variables.shape[2]

    def times_inverse(self, gradient: Tensor, which: Tensor, curvature: Tensor) -> Tensor:
        weights = self.directions.times_inverse(
            gradient[:, :-1], curvature, self.l2_penalties[which]
        )
        return torch.cat([weights, gradient[:, -1:] / curvature[:, None, None]], dim=1)

    def solved(self, variables: Tensor, gradient: Tensor, which: Tensor, most: Tensor) -> Tensor:
        gap = gradient[:, :-1].square().sum(dim=(1, 2)) / (2 * self.l2_penalties[which])
        near = (2 * gap <= most).nonzero()[:, 0]
        for i in near.tolist():  # the curvature needs all rows, and only at the end
            gap[i] += self.problems[int(which[i])].bias_gap(variables[i], gradient[i, -1])
        return 2 * gap <= most  # moved together, weights and biases gain more than each alone


class _Problem:
    """The loss of one problem over its own rows."""

    def __init__(self, regression: SoftmaxRegression, counts: Tensor) -> None:
        rows = counts.nonzero()[:, 0]
        self._weights = counts[rows].to(regression.features)
        self._weights /= self._weights.sum()  # (n,)
        self._targets = regression.targets[rows, None]  # (n, 1)
        self._smoothing, self._classes = regression.label_smoothing, regression.classes
        x = regression.features[rows]
        self.mean = self._weights @ x  # (D,)
        x -= self.mean
        cached = _CACHED if x.device.type == "cpu" else _BLOCK
        self._block = max(1, cached // self._classes)  # rows
        variance = self.mean.new_zeros(len(self.mean))
        for some, weights in self._split(x, self._weights):
            variance += weights @ some.square()
        self.scale = _at_least(variance.sqrt())
        self._x = x.div_(self.scale)  # (n, D)

    def add_gradient(self, variables: Tensor, gradient: Tensor) -> Tensor:
        """The mean cross-entropy; its gradient `(D + 1, K)` is added to one that is there."""
        loss = variables.new_zeros(())
        share = self._smoothing / self._classes
        taken = variables.new_full((), self._smoothing - 1)
        for x, weights, targets, log_probs in self._blocks(variables):
            loss -= (1 - self._smoothing) * log_probs.gather(1, targets)[:, 0].dot(weights)
            if share:
                loss -= share * log_probs.sum(1).dot(weights)
            residuals = log_probs.exp_()
            residuals.scatter_add_(1, targets, taken.expand_as(targets))
            if share:
                residuals -= share
            residuals *= weights[:, None]
            gradient[:-1].addmm_(x.T, residuals)
            gradient[-1] += residuals.sum(0)
        return loss

    def bias_gap(self, variables: Tensor, gradient: Tensor) -> Tensor:
        """What the best biases alone would gain, to second order."""
        k = self._classes
        curvature, sums = variables.new_zeros(k, k), variables.new_zeros(k)
        for _, weights, _, log_probs in self._blocks(variables):
            probs = log_probs.exp_()
            weighted = probs * weights[:, None]
            sums += weighted.sum(0)
            curvature.addmm_(weighted.T, probs, alpha=-1)
        curvature.diagonal().add_(sums)
        # All biases moved alike change nothing: that direction is filled up to be invertible.
        level = curvature.diagonal().mean().clamp_min(1e-12)
        curvature += level / k
        curvature.diagonal().add_(1e-6 * level)
        return gradient.dot(torch.linalg.solve(curvature, gradient)) / 2

    def _blocks(self, variables: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Rows, their weights, targets and log probabilities `(B, K)`, some rows at a time."""
        for x, weights, targets in self._split(self._x, self._weights, self._targets):
            logits = torch.addmm(variables[-1], x, variables[:-1])
            yield x, weights, targets, torch.log_softmax(logits, dim=1)

    def _split(self, *each: Tensor) -> Iterator[tuple[Tensor, ...]]:
        return zip(*(torch.split(values, self._block) for values in each), strict=True)

    def as_variables(self, weight: Tensor, bias: Tensor) -> Tensor:
        """A head for features as they are, weight `(K, D)`, as variables `(D + 1, K)`."""
        return torch.cat([(weight * self.scale).T, (bias + weight @ self.mean)[None]])

    def as_head(self, variables: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse: weight `(K, D)` and bias `(K,)`."""
        weight = variables[:-1].T / self.scale
        return weight, variables[-1] - weight @ self.mean


def fit_softmax(
    features: Tensor,
    targets: Tensor,
    rows: Tensor,
    l2_penalties: Tensor,
    *,
    classes: int,
    start: Heads | None = None,
    tolerance: float = 1e-4,
) -> Heads:
    """Solve P softmax regressions on the same features; as `SoftmaxRegression.solve`."""
    regression = SoftmaxRegression(features, targets, classes)
    return regression.solve(rows, l2_penalties, start=start, tolerance=tolerance)


def _at_least(deviations: Tensor) -> Tensor:
    """Deviations `(D,)` of features as they are, none far below the others of its problem.

    A feature that never varies carries nothing: dividing by 1 leaves it at zero.
    """
    typical = deviations.where(deviations > _NONE, torch.nan).nanmedian().nan_to_num(0.0)
    scale = torch.maximum(deviations, LEAST_DEVIATION * typical)
    return torch.where(scale > _NONE, scale, 1.0)
