"""Which engine does the work of a command, and its verbs, for all engines alike.

    local           threads of this process
    distributed     processes that torchrun has started; see `imgcli.compute.team`
    ray             the nodes of a cluster; see `imgcli.compute.cluster`

Photos are mapped in chunks by `in_order`: under torchrun by the threads of process 0. Results and
their order are the same on all three.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from functools import partial
from itertools import chain, islice
from typing import Literal, TypeVar

from imgcli.compute import cluster, launch
from imgcli.compute.local import in_threads

T = TypeVar("T")
R = TypeVar("R")

CHUNKS = 8  # of photos that a node gets at once: handing over costs it a millisecond


def engine() -> Literal["local", "distributed", "ray"]:
    """Where the work of this command is done."""
    if cluster.wanted():
        return "ray"
    return "distributed" if launch.processes() > 1 else "local"


def in_order(
    work: Callable[[T], R], chunks: Iterable[T], files: Sequence[object] = ()
) -> Generator[R, None, None]:
    """`work(chunk)` for each chunk, in order, only a little ahead of the reader.

    Args:
        work: pure, and such that it can be sent elsewhere; of chunks that can.
        files: that it reads; a cluster whose nodes do not see them is refused.
    """
    if engine() != "ray":
        yield from in_threads(work, chunks)
        return
    chunks = iter(chunks)
    some = list(islice(chunks, CHUNKS))
    if not some:
        return
    nodes = cluster.connected()
    assert nodes
    nodes.need([str(file) for file in (*files[:1], *files[-1:])])
    blocks = iter(lambda: list(islice(chunks, CHUNKS)), [])
    done: Generator[list[R], None, None]
    with closing(nodes.in_order(partial(_each, work), chain([some], blocks))) as done:
        for results in done:
            yield from results


def _each(work: Callable[[T], R], chunks: list[T]) -> list[R]:
    return [work(chunk) for chunk in chunks]
