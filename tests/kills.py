"""Work that is killed at each of its changes to the disk, in turn."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from imgcli import staging

CHANGES = ("rename", "replace", "link", "unlink", "rmdir", "mkdir", "fsync")


def alone(check: Callable[..., None], *words: object) -> None:
    """Call a function of a test module in a process without threads, which may be forked."""
    name = check.__name__
    code = f"import sys; from {check.__module__} import {name}; {name}(*sys.argv[1:])"
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Do some work in a child that dies instead of its n-th change; whether it came so far."""
    child = os.fork()
    if child == 0:
        try:
            _die_at(step)
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def without_exchange() -> None:
    """Be on a file system that cannot exchange two names."""
    staging._exchange = lambda one, other: False


def _die_at(step: int) -> None:
    left = iter(range(step - 1, -1, -1))

    def counted(change: Callable[..., object]) -> Callable[..., object]:
        def call(*words: object, **options: object) -> object:
            if next(left, 1) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*words, **options)

        return call

    for name in CHANGES:
        setattr(os, name, counted(getattr(os, name)))
    staging._exchange = counted(staging._exchange)  # type: ignore[assignment]
