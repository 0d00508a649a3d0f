"""How much of the machine a stretch of work had, and how much other programs took meanwhile."""

import hashlib
import os
import platform
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

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


def cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def own_seconds() -> float:
    """Processor seconds of this process and all below it, those that ended included.

    What ended is counted with the process that waited for it; what still runs, such as the workers
    of a loader, is read from /proc, where there is one.
    """
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages) + sum(_living().values())


def _living() -> dict[int, float]:
    """Processor seconds of each process below this one, with those that it waited for."""
    parents, seconds = {}, {}
    tick = os.sysconf("SC_CLK_TCK")
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        process = int(file.parent.name)
        parents[process] = int(fields[1])
        seconds[process] = sum(map(int, fields[11:15])) / tick
    below = {os.getpid()}
    while found := {one for one, parent in parents.items() if parent in below} - below:
        below |= found
    return {one: seconds[one] for one in below - {os.getpid()} if one in seconds}


def all_seconds() -> float | None:
    """Seconds that the cores of this process have worked for anybody; None where unknown."""
    mine = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    try:
        lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    except OSError:
        return None
    tick = os.sysconf("SC_CLK_TCK")
    names = {f"cpu{core}" for core in mine}
    worked = [[int(value) for value in line[1:]] for line in lines if line[0] in names]
    return sum(line[i] for line in worked for i in _BUSY) / tick if worked else None


def others_share(seconds: float = 1.0) -> float:
    """The share of the cores that others take, over so many seconds in which nothing is done here.

    Where the system does not say, all cores are kept at work, and what is not got is others'.
    """
    meter = Meter()
    time.sleep(seconds)
    others = meter.read().others
    return calibrate(seconds).others or 0.0 if others is None else others


class Calibration(NamedTuple):
    """All cores at one fixed kind of work, SHA-256 of a block that stays in the cache."""

    rate: float  # bytes per second
    others: float  # share of the cores that was not got

    def __str__(self) -> str:
        return f"{self.rate / 1e9:.2f} GB/s"


def calibrate(seconds: float = 0.5) -> Calibration:
    """How fast the machine is just now: what slows one run and not the next shows here."""
    block = bytes(2**18)

    def work(_: int) -> int:
        blocks = 0
        while time.perf_counter() < end:
            hashlib.sha256(block).digest()
            blocks += 1
        return blocks

    start, worked = time.perf_counter(), time.process_time()
    end = start + seconds
    with ThreadPoolExecutor(cores()) as pool:
        blocks = sum(pool.map(work, range(cores())))
    took, worked = time.perf_counter() - start, time.process_time() - worked
    return Calibration(blocks * len(block) / took, max(0.0, 1 - worked / (took * cores())))


def wait_until_quiet(at_most: float) -> bool:
    """Wait for others to be done; whether they were."""
    start = time.perf_counter()
    while time.perf_counter() - start < at_most:
        if others_share() <= MAX_OTHERS:
            return True
    return False


def load() -> str:
    """The load average of the last minute; the system's name where it keeps none."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else platform.system()
