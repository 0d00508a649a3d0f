"""A map by actors of a Ray cluster, each of which keeps something heavy, such as a network."""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from imgcli.compute.cluster import Cluster, sentences
from imgcli.compute.nodes import Caller, Holder
from imgcli.errors import Refused

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 2  # items that an actor has: one to work on, and the next
PATIENCE = 20.0  # seconds for an actor to begin, before another one does what it was given
LOSSES = 12  # of the actors of one item; the cluster takes half a minute to notice a dead node


class _Sent(NamedTuple):
    item: Any
    actor: Any
    result: Any  # a reference


class Holders:
    """Actors that do items, as many as the nodes have room for and the items need.

    Args:
        make: gives what does an item; each actor calls it once.
        threads: that an actor computes with, where it has no GPU.
        gpu: whether each has one, and its share of the CPUs beside it.

    Raises:
        Refused: no node has a GPU.
    """

    def __init__(
        self, cluster: Cluster, make: Callable[[], Callable[[T], R]], threads: int, *, gpu: bool
    ) -> None:
        import ray

        gpus = int(gpu)
        nodes = [node for node in cluster.nodes if node.gpus >= gpus]
        if not nodes:
            raise Refused("No node of the cluster has a GPU; use --device cpu.")
        if gpu:
            cpus = min(max(1, node.cpus // node.gpus) for node in nodes)
        else:
            cpus = min(threads, max(node.cpus for node in nodes))
        self._cluster, self._cpus, self._gpus = cluster, cpus, gpus
        self._kind: Any = ray.remote(num_cpus=cpus, num_gpus=gpus)(Holder)
        self._make = ray.put(Caller.of(make, cpus))
        self._load: dict[Any, int] = {}  # items that each actor has
        self._begun: set[Any] = set()  # those that have done an item
        self._ahead: deque[_Sent] = deque()
        self._room = self._places()

    def in_order(self, items: Iterable[T]) -> Generator[R, None, None]:
        """The result of each item, in order, only a little ahead of the reader."""
        try:
            with sentences():
                for n, item in enumerate(items, 1):
                    self._ahead.append(self._send(item))
                    if n % 64 == 0:  # nodes come and go
                        self._room = self._places()
                    while len(self._ahead) >= AHEAD * max(1, self._room):
                        yield self._next()
                while self._ahead:
                    yield self._next()
        finally:
            self._end()

    def _places(self) -> int:
        """Actors that the nodes have room for."""
        return sum(
            min(node.cpus // self._cpus, node.gpus // self._gpus if self._gpus else node.cpus)
            for node in self._cluster.nodes
        )

    def _send(self, item: T) -> _Sent:
        """Give an item to the actor with the fewest, or to a new one where all have some."""
        known = [one for one in self._load if one in self._begun] or list(self._load)
        actor = min(known, key=lambda one: self._load[one], default=None)
        if actor is None or (self._load[actor] and len(self._load) < self._room):
            actor = self._kind.remote()
            self._load[actor] = 0
        self._load[actor] += 1
        return _Sent(item, actor, actor.do.remote(self._make, item))

    def _next(self) -> Any:
        """The result of the item that was sent first; again where its actor's node has died."""
        import ray
        from ray.exceptions import ObjectLostError, RayActorError

        one, lost = self._ahead.popleft(), 0
        while True:
            while not ray.wait([one.result], timeout=PATIENCE)[0]:
                if one.actor not in self._begun and self._begun:  # there is no room for it
                    one = self._instead(one)
            try:
                found = ray.get(one.result)
            except (RayActorError, ObjectLostError):  # before or after it had done it
                lost += 1
                if lost > LOSSES:
                    raise
                if not self._begun:  # a new one may come to the same dead node
                    time.sleep(min(lost, 5))
                one = self._instead(one)
                continue
            self._begun.add(one.actor)
            if one.actor in self._load:
                self._load[one.actor] -= 1
            return found

    def _instead(self, one: _Sent) -> _Sent:
        """Do without an actor: another one gets what it was to do."""
        import ray

        if self._load.pop(one.actor, None) is not None:
            with suppress(Exception):
                ray.kill(one.actor)
        self._begun.discard(one.actor)
        self._room = max(1, len(self._load))  # the nodes' own is looked at again later
        return self._send(one.item)

    def _end(self) -> None:
        import ray

        for actor in self._load:
            with suppress(Exception):
                ray.kill(actor)
