"""Least squares on the same features, many at once, from one Gram matrix.

One problem is a ridge regression of the one-hot targets on some rows of the features:

    minimise  mean over its rows of ‖x̃ V + b − onehot(target)‖² / 2  +  l2 / 2 · ‖V‖²

where x̃ is x standardised by the mean and deviation of the problem's own rows. The solution is
closed: V = (C + l2 · I)⁻¹ B, with C the correlations of the problem's rows and B those with
the targets. The products of all rows are summed once; a problem's sums are those less what the rows
add that it lacks (downdating), so ten folds cost as much as two passes over the rows.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from imgcli.training.probe.selection import Heads


class _Moments(NamedTuple):
    """What least squares needs to know of a problem's rows."""

    mean: Tensor  # (D,) of the features
    scale: Tensor  # (D,) their standard deviations
    shares: Tensor  # (K,) of the classes
    correlations: Tensor  # (D, D) of the standardised features
    answers: Tensor  # (D, K) mean products of the standardised features and the targets


class Ridge:
    """Solves ridge regressions on some rows of features `(M, D)` with targets `(M,)`.

    All sums are in double precision, because downdating subtracts large ones. The moments of every
    set of rows are kept for its next penalty: `8 D²` bytes each.
    """

    def __init__(self, features: Tensor, targets: Tensor, classes: int) -> None:
        self._centre = features.double().mean(0)
        self._features = features.double() - self._centre
        self._labels = functional.one_hot(targets, classes).double()
        everyone = torch.ones(len(features), dtype=torch.bool, device=features.device)
        self._total = self._sums(everyone)
        self._known: dict[bytes, _Moments] = {}

    def __call__(
        self,
        rows: Tensor,
        l2_penalties: Tensor,
        *,
        start: Heads | None = None,
        tolerance: float = 0.0,
    ) -> Heads:
        """Fit P heads; exactly, whatever `start` and `tolerance` are.

        Args:
            rows: `(P, M)`, above 0 for the rows that each problem learns from, once each.
            l2_penalties: `(P,)` regularisation of each problem.
        """
        solved = [
            self._solve(*problem) for problem in zip(rows, l2_penalties.tolist(), strict=True)
        ]
        weight, bias, objective = (torch.stack(part).float() for part in zip(*solved, strict=True))
        return Heads(weight, bias, objective[None])

    def _solve(self, rows: Tensor, l2_penalty: float) -> tuple[Tensor, Tensor, Tensor]:
        """Weight `(K, D)` and bias `(K,)` on features as they are, and the objective."""
        rows = rows > 0
        key = rows.cpu().numpy().tobytes()
        if key not in self._known:
            self._known[key] = self._moments(rows)
        mean, scale, shares, correlations, answers = self._known[key]
        regularised = correlations.clone()
        regularised.diagonal().add_(l2_penalty)
        solution = torch.cholesky_solve(answers, torch.linalg.cholesky(regularised))  # (D, K)
        spread = (shares * (1 - shares)).sum()
        weight = (solution / scale[:, None]).T
        bias = shares - weight @ (mean + self._centre)
        return weight, bias, (spread - (solution * answers).sum()) / 2

    def _moments(self, rows: Tensor) -> _Moments:
        missing = ~rows
        if 2 * int(missing.sum()) < len(rows):
            sums = [
                all_ - less for all_, less in zip(self._total, self._sums(missing), strict=True)
            ]
        else:
            sums = list(self._sums(rows))
        first, counts, products, answers = (part / int(rows.sum()) for part in sums)
        covariance = products - torch.outer(first, first)
        deviation = covariance.diagonal().clamp_min(0).sqrt()
        scale = torch.where(deviation > 1e-5, deviation, 1.0)  # what never varies stays at zero
        return _Moments(
            first,
            scale,
            counts,
            covariance / scale / scale[:, None],
            (answers - torch.outer(first, counts)) / scale[:, None],
        )

    def _sums(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Sums over rows: features, labels, features × features, features × labels."""
        features, labels = self._features[rows], self._labels[rows]
        return features.sum(0), labels.sum(0), features.T @ features, features.T @ labels
