"""Whether the machine is quiet, and how fast it is just now."""

import hashlib
import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from imgcli.compute import load
from imgcli.compute.load import MAX_OTHERS, Meter, Turn
from imgcli.compute.local import cores

__all__ = ["MAX_OTHERS", "Meter", "Turn", "cores"]


def others_share(seconds: float = 1.0) -> float:
    """The share of the cores that others take.

    Where the system does not say, all cores are kept at work, and what is not got is others'.
    """
    share = load.others_share(seconds)
    return calibrate(seconds).others if share is None else share


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


def load_average() -> str:
    """The load average of the last minute; the system's name where it keeps none."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else platform.system()
