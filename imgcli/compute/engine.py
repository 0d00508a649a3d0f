"""Which engine does the work of a command, and its verbs, for all engines alike.

    local           threads of this process
    distributed     processes that torchrun has started; see `imgcli.compute.team`
    ray             the nodes of a cluster; see `imgcli.compute.cluster`

Photos are mapped in chunks by `in_order`: under torchrun by the threads of process 0. Results and
their order are the same on all three.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import chain, islice
from typing import Literal, TypeVar

from imgcli.compute import cluster, launch
from imgcli.compute.local import in_threads

T = TypeVar("T")
R = TypeVar("R")

CHUNKS = 4  # of photos that a node gets at once: handing over costs it a millisecond
# Chunks per core that threads are ahead of the reader: while it stores a block of what they made,
# or waits for a chunk that takes several times as long as others, none is idle.
AHEAD = 2


def engine() -> Literal["local", "distributed", "ray"]:
    """Where the work of this command is done."""
    if cluster.wanted():
        return "ray"
    return "distributed" if launch.processes() > 1 else "local"


def in_order(
    work: Callable[[T], R],
    chunks: Iterable[T],
    files: Callable[[T], Sequence[str]] | None = None,
    unsure: Callable[[R], bool] | None = None,
) -> Generator[R, None, None]:
    """`work(chunk)` for each chunk, in order, only a little ahead of the reader.

    Args:
        work: pure, and such that it can be sent elsewhere; of chunks that can.
        files: those of a chunk that it reads; a cluster whose nodes do not see those of the first
            is refused.
        unsure: whether a result may be the node's fault, as of a file that it cannot read: this
            process does such a chunk again.
    """
    if engine() != "ray":
        yield from in_threads(work, chunks, AHEAD)
        return
    chunks = iter(chunks)
    blocks = iter(lambda: list(islice(chunks, CHUNKS)), [])
    first = next(blocks, None)
    if first is None:
        return
    nodes = cluster.connected()
    assert nodes
    nodes.need(files(first[0])[:1] if files else ())
    sent: deque[list[T]] = deque()

    def sending() -> Iterator[list[T]]:
        for block in chain([first], blocks):
            sent.append(block)
            yield block

    done: Generator[list[R], None, None]
    with closing(nodes.in_order(partial(_each, work), sending())) as done:
        for results in done:
            for chunk, result in zip(sent.popleft(), results, strict=True):
                yield work(chunk) if unsure and unsure(result) else result


def by_holders(
    make: Callable[[], Callable[[T], R]],
    items: Iterable[T],
    *,
    threads: int,
    gpu: bool,
    files: Callable[[T], Sequence[str]] | None = None,
    unsure: Callable[[R], bool] | None = None,
) -> Generator[R, None, None]:
    """`make()(item)` for each item, in order: of work that begins by making something heavy.

    Args:
        make: such that it can be sent elsewhere; each holder calls it once. A cluster has as many
            as it has room for; else this process is the only one.
        threads: that a holder computes with.
        gpu: whether each needs one.
        files: as of `in_order`.
        unsure: as of `in_order`.
    """
    items = iter(items)
    begun = list(islice(items, 2))
    nodes = cluster.connected() if len(begun) > 1 else None
    if nodes is None:
        if begun:
            yield from map(make(), chain(begun, items))
        return
    from imgcli.compute.holders import Holders

    nodes.need(files(begun[0])[:1] if files else ())
    sent: deque[T] = deque()

    def sending() -> Iterator[T]:
        for item in chain(begun, items):
            sent.append(item)
            yield item

    here: Callable[[T], R] | None = None
    done: Generator[R, None, None] = Holders(nodes, make, threads, gpu=gpu).in_order(sending())
    with closing(done):
        for result in done:
            item = sent.popleft()
            if unsure and unsure(result):
                here = here or make()
                yield here(item)
            else:
                yield result


def _each(work: Callable[[T], R], chunks: list[T]) -> list[R]:
    return [work(chunk) for chunk in chunks]
