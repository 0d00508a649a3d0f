"""How much of the machine a stretch of work had, and how much other programs took meanwhile."""

import os
import resource
import time
from pathlib import Path
from typing import NamedTuple

from imgcli.compute.local import cores

MAX_OTHERS = 0.05  # share of the cores that others may take on a machine called quiet
_SLACK = 0.1  # seconds that are no sign of anything: clocks of the system tick every 0.01 s
_BUSY = (0, 1, 2, 7)  # of a line in /proc/stat: user, nice, system, and stolen by other guests


class Turn(NamedTuple):
    """What one stretch of work took."""

    seconds: float  # by the clock
    cpu: float  # processor seconds, user and system, of this process and all below it
    others: float | None  # share of the cores that others took; None: the system does not say

    @property
    def disturbed(self) -> bool:
        """Whether others took more than what a quiet machine does by itself."""
        if self.others is None:
            return False
        return self.others > MAX_OTHERS and self.others * self.seconds * cores() > _SLACK


class Meter:
    """Runs from when it is made: `Meter().read()` is the turn so far."""

    def __init__(self) -> None:
        self._all = all_seconds()
        self._own = own_seconds()
        self._start = time.perf_counter()

    def read(self) -> Turn:
        seconds = time.perf_counter() - self._start
        own = own_seconds() - self._own
        all_ = all_seconds()
        if self._all is None or all_ is None:
            return Turn(seconds, own, None)
        others = (all_ - self._all - own) / (seconds * cores())
        return Turn(seconds, own, min(1.0, max(0.0, others)))


def own_seconds() -> float:
    """Processor seconds of this process and all below it, those that ended included.

    What ended is counted with the process that waited for it; what still runs, such as the workers
    of a loader, is read from /proc, where there is one.
    """
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    running = _processes()
    below = {os.getpid()}
    while found := {one for one, (parent, _) in running.items() if parent in below} - below:
        below |= found
    living = sum(seconds for one, (_, seconds) in running.items() if one in below - {os.getpid()})
    return sum(usage.ru_utime + usage.ru_stime for usage in usages) + living


def kernel_seconds() -> float:
    """Processor seconds of the system's own threads, which write to disks for whoever asked."""
    try:
        if Path("/proc/2/comm").read_text().strip() != "kthreadd":
            return 0.0  # a container has no view of them
    except OSError:
        return 0.0
    return sum(seconds for parent, seconds in _processes().values() if parent == 2)


def _processes() -> dict[int, tuple[int, float]]:
    """Parent and processor seconds of each process, with those of children it has waited for."""
    found = {}
    tick = os.sysconf("SC_CLK_TCK")
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        found[int(file.parent.name)] = int(fields[1]), sum(map(int, fields[11:15])) / tick
    return found


def all_seconds() -> float | None:
    """Seconds that the cores of this process have worked for any program; None where unknown."""
    mine = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    try:
        lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    except OSError:
        return None
    tick = os.sysconf("SC_CLK_TCK")
    names = {f"cpu{core}" for core in mine}
    worked = [[int(value) for value in line[1:]] for line in lines if line[0] in names]
    if not worked:
        return None
    return sum(line[i] for line in worked for i in _BUSY) / tick - kernel_seconds()


def others_share(seconds: float = 1.0) -> float | None:
    """The share of the cores that others take while this program waits for so many seconds.

    None where the system does not say.
    """
    meter = Meter()
    time.sleep(seconds)
    return meter.read().others
