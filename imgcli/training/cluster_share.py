"""What one training gets of a cluster: a GPU where there are any, else as many CPUs as here."""

from typing import NamedTuple

import torch

from imgcli.compute.cluster import Cluster
from imgcli.errors import Refused
from imgcli.text import count


class Share(NamedTuple):
    """What one of the trainings, or one worker of a training, gets."""

    device: str  # "cpu" or "cuda"
    cpus: int  # and threads
    gpus: int
    at_once: int  # of them there are on the cluster

    def __str__(self) -> str:
        return "a GPU each" if self.gpus else f"{count(self.cpus, 'CPU')} each"


def share_of(nodes: Cluster, device: str) -> Share:
    """The share of a training on all GPUs that are free, or on all CPUs.

    On CPUs it computes in as many threads as it would in this process, so that it comes out with
    the same bits, unless no node has so many.

    Args:
        device: that this process computes on, "cpu" or "cuda".

    Raises:
        Refused: a GPU, and no node has one.
    """
    machines = nodes.nodes
    if device == "cuda":
        if not nodes.gpus:
            raise Refused("No node of the cluster has a GPU; use --device cpu.")
        return Share("cuda", 1, 1, max(1, nodes.free_gpus))
    cpus = max(1, min(torch.get_num_threads(), max(node.cpus for node in machines)))
    return Share("cpu", cpus, 0, max(1, sum(node.cpus // cpus for node in machines)))
