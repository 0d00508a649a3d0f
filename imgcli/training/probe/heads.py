"""Heads on frozen features: linear layers, many at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Heads:
    """Solutions of P problems, as plain linear layers on unstandardised features."""

    weight: Tensor  # (P, K, D)
    bias: Tensor  # (P, K)
    path: Tensor  # (iterations + 1, P) the objectives on the way; the last are the ones reached

    def __getitem__(self, chosen: slice) -> "Heads":
        """Some of the solutions."""
        return Heads(self.weight[chosen], self.bias[chosen], self.path[:, chosen])

    def logits(self, features: Tensor) -> Tensor:
        """Logits `(P, M, K)` of features `(M, D)`."""
        return torch.einsum("md,pkd->pmk", features, self.weight) + self.bias[:, None]

    def calibrated(self, temperatures: Tensor) -> "Heads":
        """The same heads with their logits divided by a temperature each, `(P,)`."""
        weight, bias = self.weight / temperatures[:, None, None], self.bias / temperatures[:, None]
        return Heads(weight, bias, self.path)

    def mean(self) -> "Heads":
        """One head, the mean of all; near their joint solution."""
        path = self.path[-1:].mean(1, keepdim=True)
        return Heads(self.weight.mean(0, keepdim=True), self.bias.mean(0, keepdim=True), path)


def joined(each: Sequence[Heads]) -> Heads:
    """Heads one after the other; a shorter path stays at its last objectives."""
    longest = max(len(heads.path) for heads in each)
    paths = [torch.cat([h.path, h.path[-1:].expand(longest - len(h.path), -1)]) for h in each]
    return Heads(
        torch.cat([heads.weight for heads in each]),
        torch.cat([heads.bias for heads in each]),
        torch.cat(paths, dim=1),
    )
