"""Many hosts at once, one thing at a time at each."""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_BUSY = 128  # hosts at once; each costs a thread that mostly waits
PATIENCE = 10.0  # seconds after which a host counts as slow


class Hosts(Generic[T]):
    """What is being done at which host.

    The caller starts work and takes the outcomes, in one thread. A host is busy until its outcome
    has been dealt with, so that whatever is fetched is safe before the next thing is asked for.
    """

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._failed: set[str] = set()
        self._outcomes: SimpleQueue[tuple[str, T | Exception]] = SimpleQueue()

    def __len__(self) -> int:
        return len(self._since)

    def is_free(self, host: str) -> bool:
        """Whether something may be started at `host` now."""
        return host not in self._since and len(self._since) < MOST_BUSY

    def is_slow(self, host: str) -> bool:
        """Whether nothing should wait for `host`: it failed last time, or takes long."""
        since = self._since.get(host)
        return host in self._failed or (since is not None and monotonic() - since > PATIENCE)

    def start(self, host: str, work: Callable[[], T]) -> None:
        """Do `work` in a thread of its own, which Ctrl-C does not wait for."""
        assert self.is_free(host)
        self._since[host] = monotonic()
        threading.Thread(target=self._run, args=(host, work), name=host, daemon=True).start()

    def _run(self, host: str, work: Callable[[], T]) -> None:
        try:
            self._outcomes.put((host, work()))
        except Exception as error:  # nobody but `wait`'s caller can say so
            self._outcomes.put((host, error))

    def wait(self, seconds: float) -> tuple[str, T] | None:
        """The next outcome and its host; None if there was none for so long."""
        try:
            host, outcome = self._outcomes.get(timeout=seconds)
        except Empty:
            return None
        if isinstance(outcome, Exception):
            raise outcome
        return host, outcome

    def done(self, host: str, failed: bool) -> None:
        """Its outcome is dealt with."""
        del self._since[host]
        (self._failed.add if failed else self._failed.discard)(host)
