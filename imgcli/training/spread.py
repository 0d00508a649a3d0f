"""Independent jobs of one context, done by other processes too.

A job is a function of the context, of a module of imgcli, whose arguments travel with it. It is
done whole by one process, so that it gives the same bits wherever that is.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from imgcli.compute.cluster import connected
from imgcli.training.cluster_jobs import run_on
from imgcli.training.context import TrainingContext
from imgcli.training.shared_fits import Job, deal
from imgcli.training.shared_photos import team_on

T = TypeVar("T")


def spread(context: TrainingContext, jobs: Sequence[Job[T]]) -> Iterator[T] | None:
    """What the jobs give, in their order; None where this process is alone.

    Raises:
        Refused: the cluster cannot be used, or other processes are not there.
    """
    if nodes := connected():
        return run_on(nodes, context, jobs)
    if team := team_on(context.device):
        return deal(team, context, jobs)
    return None
