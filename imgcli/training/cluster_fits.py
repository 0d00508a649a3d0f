"""One training by all GPUs of a Ray cluster, or by all its CPUs."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from imgcli.compute.cluster import Cluster, Node
from imgcli.compute.team import Lost, Team
from imgcli.compute.workers import Tell, Workers, max_failures, together_on
from imgcli.errors import Interrupted
from imgcli.locations import paths_in
from imgcli.progress import counter, note
from imgcli.runs import CACHE
from imgcli.text import count
from imgcli.training.cluster_share import share_of
from imgcli.training.context import FitResult, FitSpec, TrainingContext
from imgcli.training.device import as_many_threads, choose_device
from imgcli.training.sent_context import SentContext
from imgcli.training.shared_fits import Fit, sent_spec
from imgcli.training.shared_photos import same_photos
from imgcli.training.training_loop import Row, how_to_resume

_SETTLING = 30.0  # seconds, in which the cluster notices that one of its nodes is gone


def fit_on(nodes: Cluster, context: TrainingContext, spec: FitSpec, fit: Fit) -> FitResult | None:
    """One training, by as many workers as the cluster has room for, and again after a loss.

    Its checkpoint is written by the first worker, and all else by this process.

    Returns:
        None where the cluster is no more than this process.

    Raises:
        Refused: a node cannot see the photos, or the run.
        Lost: workers were lost too often; finished epochs are kept.
        Interrupted: by Ctrl-C; finished epochs are kept.
    """
    failures, seen = max_failures(), _Seen()
    epochs = context.config.optim.epochs
    assert epochs
    sent = SentContext.of(context)
    while True:
        machines = nodes.nodes
        share = share_of(nodes, context.device.type)
        if share.at_once == 1 and nodes.is_this_machine:
            return None
        nodes.need(_files(context, spec))
        note(f"On the cluster: training by {count(share.at_once, 'worker')}, {share}.")
        workers = Workers(share.at_once, share.device, share.cpus, share.gpus)
        work = _Work(sent, sent_spec(spec), spec.checkpoint, share.cpus, fit)
        try:
            with counter(spec.label, epochs, "epochs") as bar:

                def hear(told: _Told) -> None:
                    if seen.add(told):
                        bar.update(seen.epoch - bar.n)
                        spec.tracked.history(told.rows, told.steps)
                        spec.after_epoch(seen)

                spec.tracked.steps_begin()
                result = together_on(nodes, workers, work, hear)
            result.module.to(context.device)
            return replace(result, trained_on=result.trained_on.copy())  # Ray's is read-only
        except KeyboardInterrupt:
            if spec.checkpoint is None:
                raise
            where = how_to_resume(spec.checkpoint, seen.epoch, epochs)
            raise Interrupted(f"Interrupted {where}") from None
        except Lost as error:
            if not failures:
                where = how_to_resume(spec.checkpoint, seen.epoch, epochs)
                raise Lost(f"{error} This was {where}") from None
            failures -= 1
            note(f"{error} Going on after epoch {seen.epoch}.")
            _settle(nodes, machines)


def _settle(nodes: Cluster, before: list[Node]) -> None:
    """Wait until the cluster has noticed that a node is gone, if it is one: a worker may be."""
    until = time.monotonic() + _SETTLING
    while time.monotonic() < until and nodes.nodes == before:
        time.sleep(0.5)


def _files(context: TrainingContext, spec: FitSpec) -> list[str]:
    """Files that all nodes must see: a photo, and one of the run."""
    samples = context.dataset.samples
    photos = paths_in([samples.file(0)])
    return [*photos, *([str(spec.checkpoint.parent / "config.json")] if spec.checkpoint else [])]


@dataclass(frozen=True, eq=False)
class _Told:
    """An epoch, as the first worker tells of it."""

    epoch: int
    steps: int
    rows: list[Row]  # of the history, of this epoch


@dataclass(eq=False)
class _Seen:
    """What is known here of a training elsewhere."""

    epoch: int = 0
    steps: int = 0
    history: list[Any] = field(default_factory=list)

    def add(self, told: _Told) -> bool:
        """Whether it is news: an epoch that was lost is trained again, to the same figures."""
        if told.epoch <= self.epoch:
            return False
        self.epoch, self.steps = told.epoch, told.steps
        self.history += told.rows
        return True


@dataclass(frozen=True, eq=False)
class _Work:
    """What a worker does."""

    sent: SentContext
    spec: dict[str, Any]
    checkpoint: Path | None
    threads: int
    fit: Fit

    def __call__(self, team: Team, tell: Tell) -> FitResult:
        as_many_threads(self.threads)
        device, own = choose_device(team.device), self.sent
        pixels = same_photos(team, own.samples, own.views, CACHE, own.readable)
        context = own.with_inputs(own.inputs(pixels, device), device)
        checkpoint = self.checkpoint if team.leads else None
        spec = FitSpec(**self.spec, checkpoint=checkpoint, after_epoch=_teller(tell))
        result = self.fit(context, spec, team)
        result.module.cpu()
        return result


def _teller(tell: Tell) -> Callable[[Any], None]:
    def after_epoch(state: Any) -> None:
        rows = [row for row in state.history if row["epoch"] == state.epoch]
        tell(_Told(state.epoch, state.steps, rows))

    return after_epoch
