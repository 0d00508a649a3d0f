"""Heads on frozen features: linear layers, many at once, and the choice of their regularisation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

L2_PENALTIES = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)  # tried in this order
TEMPERATURES = tuple(2.0 ** (step / 4) for step in range(8, -25, -1))  # tried; 4 to 1/64
# Log losses this near each other do not rank penalties: on frozen features of 2,056 photos the one
# with the least loss made 0.4 points more errors than one 0.1 % above it (10 folds, 4 seeds).
_NEAR = 1.03
_FAIR = 3e-2  # tolerance of the objective that is enough to rank penalties that differ threefold


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


def mean_heads(each: Sequence[Heads]) -> Heads:
    """One head for each of some sets of heads, the mean of the set; near their joint solution."""
    return Heads(
        torch.stack([heads.weight.mean(0) for heads in each]),
        torch.stack([heads.bias.mean(0) for heads in each]),
        torch.stack([heads.path[-1].mean() for heads in each])[None],
    )


# `fit_softmax` on given features and targets: what is left are rows `(P, M)`, L2 penalties `(P,)`,
# `start`, and `tolerance`.
Solver = Callable[..., Heads]


@dataclass(frozen=True, eq=False)
class Choice:
    """A problem's L2 penalty and temperature, chosen by held-out rows."""

    l2_penalty: float
    temperature: float  # that the logits are divided by, which calibrates their probabilities
    errors: int  # held-out rows predicted wrongly
    loss: float  # held-out log loss, with the temperature
    held: Tensor  # (M,) bool, the rows that were held out
    logits: Tensor  # (M, K) their logits, with the temperature; zero for other rows
    heads: Heads  # of its fit rows, one or several, without the temperature

    def to_json(self) -> dict[str, float]:
        """What a run keeps; `factor` is 1 / temperature, as in its `calibration.json`."""
        return {
            "weight_decay": self.l2_penalty,
            "temperature": self.temperature,
            "factor": 1 / self.temperature,
        }


def select_l2(
    solve: Solver,
    features: Tensor,
    targets: Tensor,
    problems: Sequence[Sequence[tuple[Tensor, Tensor]]],
    l2_penalties: Sequence[float] = L2_PENALTIES,
) -> list[Choice]:
    """Choose each problem's regularisation and temperature by held-out rows.

    Of the penalties whose log loss is near the least, the one with the fewest errors. The log loss
    is that of the logits at their best temperature (Guo et al., On Calibration of Modern Neural
    Networks, 2017); without it ever weaker regularisation would win, only because strong
    regularisation makes timid probabilities. The loss has one valley along the penalties, so the
    search ends where all problems are past theirs.

    Args:
        problems: T problems, each a list of (fit rows, held rows): sample weights, bool or
            float, and a mask, `(M,)` both; a problem's held rows do not overlap.
    """
    pairs = [pair for problem in problems for pair in problem]
    rows = torch.stack([fit for fit, _ in pairs])
    near: list[list[Choice]] = [[] for _ in problems]
    heads: Heads | None = None
    for l2_penalty in l2_penalties:
        heads = solve(
            rows, features.new_full((len(pairs),), l2_penalty), start=heads, tolerance=_FAIR
        )
        past, last = True, 0
        for t, problem in enumerate(problems):
            first, last = last, last + len(problem)
            found = _evaluated(l2_penalty, heads[first:last], features, targets, problem)
            least = min(choice.loss for choice in [*near[t], found])
            past &= found.loss > _NEAR * least
            near[t] = [choice for choice in [*near[t], found] if choice.loss <= _NEAR * least]
        if past:
            break
    return [min(choices, key=lambda choice: (choice.errors, choice.loss)) for choices in near]


def _evaluated(
    l2_penalty: float,
    heads: Heads,
    features: Tensor,
    targets: Tensor,
    problem: Sequence[tuple[Tensor, Tensor]],
) -> Choice:
    """A problem's heads, evaluated on their held-out rows."""
    logits = features.new_zeros(len(features), heads.bias.shape[1])
    for (_, rows), weight, bias in zip(problem, heads.weight, heads.bias, strict=True):
        logits[rows] = features[rows] @ weight.T + bias
    held = torch.stack([rows for _, rows in problem]).any(0)
    temperature, loss = _calibrate(logits[held], targets[held])
    errors = int((logits[held].argmax(1) != targets[held]).sum())
    return Choice(l2_penalty, temperature, errors, loss, held, logits / temperature, heads)


def _calibrate(logits: Tensor, targets: Tensor) -> tuple[float, float]:
    """The temperature with the least log loss of logits / temperature, and that loss."""
    losses = [
        float(functional.cross_entropy(logits / temperature, targets))
        for temperature in TEMPERATURES
    ]
    best = min(range(len(losses)), key=losses.__getitem__)
    return TEMPERATURES[best], losses[best]
