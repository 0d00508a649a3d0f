"""Independent jobs of one context as tasks of a Ray cluster.

A node that dies costs the jobs that it was doing: they are done again on another one. What a job
gives depends on neither, so that it has the same bits.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import uuid4

from imgcli.compute.cluster import Cluster
from imgcli.locations import paths_in
from imgcli.progress import be_quiet, note_once, track
from imgcli.runs import CACHE
from imgcli.text import count
from imgcli.training.cluster_share import Share, share_of
from imgcli.training.context import TrainingContext
from imgcli.training.device import as_many_threads, choose_device
from imgcli.training.sent_context import SentContext
from imgcli.training.shared_photos import known_photos

T = TypeVar("T")
Job = Callable[[TrainingContext], T]


def run_on(nodes: Cluster, context: TrainingContext, jobs: Sequence[Job[T]]) -> Iterator[T] | None:
    """What the jobs give, in their order; None where the cluster is no more than this process.

    Raises:
        Refused: a node cannot see the photos.
    """
    share = share_of(nodes, context.device.type)
    if share.at_once == 1 and nodes.is_this_machine:
        return None
    samples = context.dataset.samples
    nodes.need(paths_in([samples.file(0)]))
    at_once = min(share.at_once, len(jobs))
    note_once(f"On the cluster: {count(at_once, 'training')} at once, {share}.")
    work = _Work(SentContext.of(context), uuid4().hex, share)
    done = nodes.in_order(work, jobs, share.cpus, share.gpus)
    return track(done, "Trainings", total=len(jobs), unit="trainings")


@dataclass(frozen=True, eq=False)
class _Work:
    """What a node does with a job."""

    sent: SentContext
    name: str  # of the context
    share: Share

    def __call__(self, job: Job[Any]) -> Any:
        be_quiet()
        as_many_threads(self.share.cpus)
        if self.name not in _opened:
            _opened.clear()  # a process has one at a time
            device, own = choose_device(self.share.device), self.sent
            pixels = known_photos(own.samples, own.views, CACHE, own.readable)
            _opened[self.name] = own.with_inputs(own.inputs(pixels, device), device)
        return job(_opened[self.name])


_opened: dict[str, TrainingContext] = {}  # by name; of a process of a node
