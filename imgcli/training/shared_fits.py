"""What all processes of a team do for trainings.

One training is shared: each process takes its part of every batch. Of many jobs, such as folds,
each process does whole ones by itself, so that they come out with the same bits as in one process.
The logits of many photos are computed in whole batches, which gives the same bits too.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor, nn

from imgcli.compute.team import Team
from imgcli.errors import ImgcliError
from imgcli.records import IntArray
from imgcli.runs import CACHE
from imgcli.training.context import FitResult, FitSpec, TrainingContext
from imgcli.training.device import choose_device
from imgcli.training.inputs import logits_of
from imgcli.training.sent_context import SentContext
from imgcli.training.shared_photos import same_photos

T = TypeVar("T")
Fit = Callable[[TrainingContext, FitSpec, Team | None], FitResult]
Job = Callable[[TrainingContext], T]
# What a team keeps for the next training: the inputs, their number, and whose all have seen.
_INPUTS, _NUMBER, _SEEN = "inputs", "number", "seen"


@dataclass(frozen=True, eq=False)
class _Sent:
    """A context on its way to the other processes."""

    number: int  # of the inputs, which are the same as long as it is
    context: SentContext


def fit_shared(team: Team, context: TrainingContext, spec: FitSpec, fit: Fit) -> FitResult:
    """One training, by all processes."""
    sent = _sent(team, context)
    result: FitResult = team.call(_fit_together, sent, sent_spec(spec), fit, here=(context, spec))
    return result


def sent_spec(spec: FitSpec) -> dict[str, Any]:
    """What another process needs to know of a spec: nothing that it would write or tell."""
    fields = ("rows", "val", "chosen", "watched", "label")
    return {name: getattr(spec, name) for name in fields}


def _fit_together(
    team: Team,
    sent: _Sent,
    spec: dict[str, Any],
    fit: Fit,
    here: tuple[TrainingContext, FitSpec] | None = None,
) -> FitResult:
    context = _received(team, sent, here and here[0])
    return fit(context, here[1] if here else FitSpec(**spec), team)


def deal(team: Team, context: TrainingContext, jobs: Sequence[Job[T]]) -> Iterator[T]:
    """Each job by one process, as many at once as there are; in the order of the jobs."""
    for start in range(0, len(jobs), team.size):
        some = list(jobs[start : start + team.size])
        for outcome in team.call(_run_each, _sent(team, context), some, here=context):
            if isinstance(outcome, ImgcliError):
                raise outcome
            yield outcome


def _run_each(
    team: Team, sent: _Sent, jobs: list[Job[T]], here: TrainingContext | None = None
) -> list[T | ImgcliError]:
    context = _received(team, sent, here)
    outcome: T | ImgcliError | None = None
    if team.rank < len(jobs):
        try:
            outcome = jobs[team.rank](context)
        except ImgcliError as error:
            outcome = error
    team.meet()  # jobs end when they end
    return team.to_first(outcome)[: len(jobs)]


def logits_shared(
    team: Team, context: TrainingContext, module: nn.Module, rows: IntArray
) -> Tensor:
    """Logits `(M, K)` of some rows, by all processes."""
    own = copy.deepcopy(module).cpu()
    sent = _sent(team, context)
    found: Tensor = team.call(_logits_together, sent, own, rows, here=(context, module))
    return found


def _logits_together(
    team: Team,
    sent: _Sent,
    module: nn.Module,
    rows: IntArray,
    here: tuple[TrainingContext, nn.Module] | None = None,
) -> Tensor:
    context = _received(team, sent, here and here[0])
    module = here[1] if here else module.to(context.device)
    return logits_of(module, context.inputs, rows, context.config.optim.precision, team)


def _sent(team: Team, context: TrainingContext) -> _Sent:
    if team.kept.get(_INPUTS) is not context.inputs:
        team.kept[_INPUTS] = context.inputs
        team.kept[_NUMBER] = team.kept.get(_NUMBER, 0) + 1
    return _Sent(team.kept[_NUMBER], SentContext.of(context))


def _received(team: Team, sent: _Sent, here: TrainingContext | None) -> TrainingContext:
    """The context in this process; in process 0 the one that it has."""
    device = choose_device(team.device)
    if team.kept.get(_SEEN) != sent.number:
        own = sent.context
        pixels = same_photos(team, own.samples, own.views, CACHE, own.readable)
        team.kept[_SEEN] = sent.number
        if here is None:
            team.kept[_INPUTS] = own.inputs(pixels, device)
    return here or sent.context.with_inputs(team.kept[_INPUTS], device)
