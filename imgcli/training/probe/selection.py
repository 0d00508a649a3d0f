"""The choice of heads' regularisation and temperature, by held-out rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from imgcli.training.metrics import Metrics, compute_metrics
from imgcli.training.probe.heads import Heads
from imgcli.training.probe.logistic import SoftmaxRegression, in_budget

L2_PENALTIES = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)  # tried in this order
TEMPERATURES = tuple(2.0 ** (step / 4) for step in range(8, -25, -1))  # tried; 4 to 1/64
# Log losses this near each other do not rank penalties: on frozen features of 2,056 photos the one
# with the least loss made 0.4 points more errors than one 0.1 % above it (10 folds, 4 seeds).
_NEAR = 1.03
_FAIR = 3e-2  # tolerance of the objective that is enough to rank penalties that differ threefold
_CACHED = 2**17  # logits whose log loss is computed at once

Problem = Sequence[tuple[Tensor, Tensor]]  # (fit rows, held rows) of each validation, `(M,)` both


@dataclass(frozen=True, eq=False)
class Choice:
    """A problem's L2 penalty and temperature, chosen by held-out rows."""

    l2_penalty: float
    temperature: float  # that the logits are divided by, which calibrates their probabilities
    errors: int  # held-out rows predicted wrongly
    val: Metrics  # of the held-out rows, with the temperature
    head: Heads  # one, the mean of those of its fit rows, without the temperature

    def to_json(self) -> dict[str, float]:
        """What a run keeps; `factor` is 1 / temperature, as in its `calibration.json`."""
        return {
            "weight_decay": self.l2_penalty,
            "temperature": self.temperature,
            "factor": 1 / self.temperature,
        }


def select_l2(
    regression: SoftmaxRegression,
    problems: Sequence[Problem],
    l2_penalties: Sequence[float] = L2_PENALTIES,
) -> list[Choice]:
    """Choose each problem's regularisation and temperature by held-out rows.

    Of the penalties whose log loss is near the least, the one with the fewest errors. The log loss
    is that of the logits at their best temperature (Guo et al., On Calibration of Modern Neural
    Networks, 2017); without it ever weaker regularisation would win, only because strong
    regularisation makes timid probabilities. The loss has one valley along the penalties, so the
    search ends where it is past it.

    Args:
        problems: T problems, each a list of (fit rows, held rows): sample weights, bool or
            float, and a mask, `(M,)` both; a problem's held rows do not overlap.
    """
    rows = [sum(int((fit > 0).sum()) for fit, _ in problem) for problem in problems]
    return [
        choice
        for some in in_budget(rows, regression.features.shape[1])
        for choice in _select_together(regression, problems[some], l2_penalties)
    ]


def _select_together(
    regression: SoftmaxRegression, problems: Sequence[Problem], l2_penalties: Sequence[float]
) -> Iterator[Choice]:
    """Choose for some problems, solved side by side."""
    searches = [_Search(regression, problem) for problem in problems]
    fits = regression.on(torch.stack([fit for problem in problems for fit, _ in problem]))
    variables = None
    for l2_penalty in l2_penalties:
        penalties = regression.features.new_full((len(fits),), l2_penalty)
        variables, path = fits.solve(penalties, variables, _FAIR)
        heads, last = fits.as_heads(variables, path), 0
        for search in searches:
            first, last = last, last + len(search.held)
            if not search.past:
                search.add(l2_penalty, heads[first:last])
        if all(search.past for search in searches):
            break
    return (search.best() for search in searches)


class _Search:
    """One problem's candidates that are near the best."""

    def __init__(self, regression: SoftmaxRegression, problem: Problem) -> None:
        self.held = [rows.nonzero()[:, 0] for _, rows in problem]
        self.past = False
        self._features = regression.features
        self._targets = regression.targets[torch.cat(self.held)]
        self._near: list[Choice] = []
        self._temperature = TEMPERATURES.index(1.0)

    def add(self, l2_penalty: float, heads: Heads) -> None:
        """Evaluate the heads of each fit on its held-out rows."""
        each = zip(self.held, heads.weight, heads.bias, strict=True)
        logits = torch.cat([torch.addmm(b, self._features[rows], w.T) for rows, w, b in each])
        self._temperature = calibrate(logits, self._targets, self._temperature)
        temperature = TEMPERATURES[self._temperature]
        errors = int((logits.argmax(1) != self._targets).sum())
        val = compute_metrics(logits.div_(temperature), self._targets)
        choice = Choice(l2_penalty, temperature, errors, val, heads.mean())
        candidates = [*self._near, choice]
        least = min(one.val.loss for one in candidates)
        self.past = val.loss > _NEAR * least
        self._near = [one for one in candidates if one.val.loss <= _NEAR * least]

    def best(self) -> Choice:
        return min(self._near, key=lambda choice: (choice.errors, choice.val.loss))


def calibrate(logits: Tensor, targets: Tensor, start: int) -> int:
    """Which of TEMPERATURES has the least log loss of logits / temperature.

    The log loss is convex in 1 / temperature: one valley, followed down from `start`.
    """
    losses: dict[int, float] = {}

    def loss(i: int) -> float:
        if i not in losses:
            losses[i] = _log_loss(logits, targets, TEMPERATURES[i])
        return losses[i]

    best = start
    for step in (1, -1):
        while 0 <= best + step < len(TEMPERATURES) and loss(best + step) < loss(best):
            best += step
    return best


def _log_loss(logits: Tensor, targets: Tensor, temperature: float) -> float:
    """The mean cross-entropy, some rows at a time that stay in the cache."""
    rows = max(1, _CACHED // logits.shape[1])
    total = logits.new_zeros(())  # float32: mps knows no double
    for some, wanted in zip(torch.split(logits, rows), torch.split(targets, rows), strict=True):
        total += functional.cross_entropy(some / temperature, wanted, reduction="sum")
    return float(total / len(targets))
