"""The directions in which features vary most: most of the curvature of a head's loss.

The Hessian of a softmax regression is nearly the same for all classes: the covariance of the
features times how uncertain the predictions are, plus the L2 penalty (Böhning, Multinomial logistic
regression algorithm, 1992). Its inverse by the largest directions, the rest taken for alike, halves
the iterations.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

_ROWS = 1024  # evenly spaced, that show the directions
_MOST = 64  # directions
_LEAST = 1e-2  # variance of the others: what no row shows, rounding shows
_NONE = 1e-6  # variance along a direction, as a share of the largest, that is taken for none


@dataclass(frozen=True, eq=False)
class Directions:
    """Orthonormal directions of standardised features, and the variance along each."""

    basis: Tensor  # (D, R)
    variances: Tensor  # (R,), the largest first
    rest: float  # the mean variance along all others

    @classmethod
    def of(cls, features: Tensor) -> Self:
        """Those of features `(M, D)`, each brought to a deviation of 1 first."""
        x = features[:: -(-len(features) // _ROWS)]
        x = x - x.mean(0)
        deviations = x.square().mean(0).sqrt()
        x /= torch.where(deviations > 0, deviations, 1.0)
        wide = x.shape[1] > len(x)
        products = (x @ x.T if wide else x.T @ x) / len(x)
        variances, vectors = (
            values.flip(-1)[..., :_MOST] for values in torch.linalg.eigh(products)
        )
        kept = variances > _NONE * variances[0].clamp_min(1e-12)
        variances, vectors = variances[kept], vectors[:, kept]
        basis = x.T @ vectors / (len(x) * variances).sqrt() if wide else vectors
        others = max(1, x.shape[1] - len(variances))
        rest = float(x.square().mean(0).sum() - variances.sum()) / others
        return cls(basis.contiguous(), variances, max(rest, _LEAST))

    def times_inverse(self, gradient: Tensor, curvature: Tensor, l2_penalties: Tensor) -> Tensor:
        """(curvature · covariance + l2)⁻¹ gradient.

        Args:
            gradient: `(P, D, K)`.
            curvature: `(P,)` of the loss along a feature of variance 1.
            l2_penalties: `(P,)`.
        """
        c, l2 = curvature[:, None], l2_penalties[:, None]
        rest = 1 / (c * self.rest + l2)  # (P, 1)
        change = 1 / (c * self.variances + l2) - rest  # (P, R)
        along = self.basis.T @ gradient  # (P, R, K)
        return gradient * rest[:, :, None] + self.basis @ (change[:, :, None] * along)
