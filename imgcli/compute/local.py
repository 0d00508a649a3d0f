"""Threads of this process."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_most = 1 << 16  # cores to use


def in_threads(
    work: Callable[[T], R], items: Iterable[T], ahead_each: int = 1
) -> Generator[R, None, None]:
    """`work(item)` for each item, in order, on all cores, only a few items ahead of the reader.

    A reader that stops, by Ctrl-C too, waits for what has begun and nothing more is begun.

    Args:
        ahead_each: items per core to be ahead of the reader.
    """
    threads = cores()
    pool = ThreadPoolExecutor(threads)
    ahead: deque[Future[R]] = deque()
    try:
        for item in items:
            ahead.append(pool.submit(work, item))
            if len(ahead) > ahead_each * threads + 1:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def cores() -> int:
    """Cores this process may use, where the system tells; a container's share is smaller."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), _most)
    return min(os.cpu_count() or 1, _most)


def use_cores(n: int) -> None:
    """Use no more than n from now on: the others of this machine are for other processes."""
    global _most
    _most = max(1, n)
