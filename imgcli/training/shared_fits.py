"""Trainings by all processes of a team: one that they share, or many, whole ones each.

One training is shared: each process takes its part of every batch. Of many, as of folds, each
process trains whole ones by itself, so that they come out with the same bits as in one process.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imgcli.compute.team import Team
from imgcli.errors import ImgcliError
from imgcli.runs import CACHE
from imgcli.training.context import FitResult, FitSpec, TrainingContext
from imgcli.training.device import choose_device
from imgcli.training.inputs import PixelInputs, views_of
from imgcli.training.shared_photos import same_photos

Fit = Callable[[TrainingContext, FitSpec, Team | None], FitResult]
# What a team keeps for the next training: the inputs, their number, and whose all have seen.
_INPUTS, _NUMBER, _SEEN = "inputs", "number", "seen"


@dataclass(frozen=True, eq=False)
class _Sent:
    """A context and specs on their way to other processes."""

    number: int  # of the inputs, which are the same as long as it is
    context: dict[str, Any]  # without inputs, on the CPU
    recipe: Any
    readable: NDArray[np.bool_]  # (N,)
    specs: list[dict[str, Any]]


def fit_shared(team: Team, context: TrainingContext, spec: FitSpec, fit: Fit) -> FitResult:
    """One training, by all processes."""
    sent = _sent(team, context, [spec])
    result: FitResult = team.call(_fit_together, sent, fit, here=(context, spec))
    return result


def fit_dealt(
    team: Team, context: TrainingContext, specs: Sequence[FitSpec], fit: Fit
) -> Iterator[FitResult]:
    """Each training by one process, as many at once as there are; in the order of the specs."""
    for start in range(0, len(specs), team.size):
        some = specs[start : start + team.size]
        results = team.call(_fit_each, _sent(team, context, some), fit, here=(context, some[0]))
        for spec, result in zip(some, results, strict=True):
            if isinstance(result, ImgcliError):
                raise result
            if spec is not some[0]:
                spec.tracked.steps_begin()
                spec.tracked.history(result.history, result.epochs)
                result.module.to(context.device)
            yield result


def _fit_together(
    team: Team, sent: _Sent, fit: Fit, here: tuple[TrainingContext, FitSpec] | None = None
) -> FitResult:
    context, specs = _received(team, sent, here and here[0])
    return fit(context, here[1] if here else specs[0], team)


def _fit_each(
    team: Team, sent: _Sent, fit: Fit, here: tuple[TrainingContext, FitSpec] | None = None
) -> list[FitResult | ImgcliError]:
    context, specs = _received(team, sent, here and here[0])
    outcome: FitResult | ImgcliError | None = None
    if team.rank < len(specs):
        try:
            outcome = fit(context, here[1] if here else specs[team.rank], None)
        except ImgcliError as error:
            outcome = error
    if isinstance(outcome, FitResult) and not team.leads:
        outcome = replace(outcome, module=outcome.module.cpu())
    team.meet()  # trainings end when they end
    return [found for found in team.to_first(outcome) if found is not None]


def _sent(team: Team, context: TrainingContext, specs: Sequence[FitSpec]) -> _Sent:
    inputs = context.inputs
    assert isinstance(inputs, PixelInputs)
    if team.kept.get(_INPUTS) is not inputs:
        team.kept[_INPUTS] = inputs
        team.kept[_NUMBER] = team.kept.get(_NUMBER, 0) + 1
    classifier = copy.deepcopy(context.network.classifier).cpu()
    values = {name: getattr(context, name) for name in context.__dataclass_fields__}
    values |= {"network": replace(context.network, classifier=classifier, given_head=None)}
    values |= {"inputs": None, "targets": None, "device": None}
    fields = ("rows", "val", "chosen", "watched", "label")
    return _Sent(
        team.kept[_NUMBER],
        values,
        inputs.recipe,
        inputs.readable(),
        [{name: getattr(spec, name) for name in fields} for spec in specs],
    )


def _received(
    team: Team, sent: _Sent, here: TrainingContext | None
) -> tuple[TrainingContext, list[FitSpec]]:
    """The context and the specs in this process; of process 0 the context that it has."""
    samples, preprocess = sent.context["dataset"].samples, sent.context["network"].preprocess
    specs = [FitSpec(**values) for values in sent.specs]
    device = choose_device(team.device)
    if team.kept.get(_SEEN) != sent.number:
        views = views_of(preprocess, sent.recipe)
        pixels = same_photos(team, samples, views, CACHE, sent.readable)
        team.kept[_SEEN] = sent.number
        if here is None:
            team.kept[_INPUTS] = PixelInputs.of(pixels, preprocess, sent.recipe, device)
    if here is not None:
        return here, specs
    targets = torch.from_numpy(samples.targets).to(device)
    own = {"inputs": team.kept[_INPUTS], "targets": targets, "device": device}
    return TrainingContext(**{**sent.context, **own}), specs
