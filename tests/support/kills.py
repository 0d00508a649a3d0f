"""Work that is killed at each of its changes to the disk, in turn."""

import ctypes
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from imgcli import files
from imgcli.files import sync_folder
from imgcli.photos.quarantine import Moved

EXCHANGES = ("renameat2", "renamex_np")  # of Linux, of macOS
CHANGES = ("rename", "replace", "link", "symlink", "unlink", "rmdir", "mkdir", "fsync")


def alone(check: Callable[..., None], *words: object) -> None:
    """Call a function of a test module in a process without threads, which may be forked."""
    name = check.__name__
    code = f"import sys; from {check.__module__} import {name}; {name}(*sys.argv[1:])"
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
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


def without_exchange(patch: pytest.MonkeyPatch, error: int = errno.EINVAL) -> None:
    """Be on a file system that cannot exchange two names."""

    def renameat2(*words: object) -> int:
        ctypes.set_errno(error)
        return -1

    patch.setattr(ctypes, "CDLL", lambda *_, **__: SimpleNamespace(renameat2=renameat2))


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
    libc = ctypes.CDLL(None, use_errno=True)
    exchange = {n: counted(getattr(libc, n)) for n in EXCHANGES if hasattr(libc, n)}
    ctypes.CDLL = lambda *_, **__: SimpleNamespace(**exchange)  # type: ignore[assignment,misc]


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it runs, but for what `finally` removes."""


def stopped_at(call: int, work: Callable[[], Moved], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Do the work until its so manieth rename, folder made or removed; whether it came so far."""
    calls = 0

    def counted(real: Callable[..., None]) -> Callable[..., None]:
        def wrapper(*words: object, **named: object) -> None:
            nonlocal calls
            calls += 1
            if calls == call:
                raise Killed
            real(*words, **named)

        return wrapper

    with monkeypatch.context() as patch:
        for module, name in ((os, "rename"), (os, "replace"), (os, "makedirs"), (os, "rmdir")):
            patch.setattr(module, name, counted(getattr(module, name)))
        patch.setattr(files, "sync_folder", counted(sync_folder))
        try:
            work()
        except Killed:
            return True
    return False
