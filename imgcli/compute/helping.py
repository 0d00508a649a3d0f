"""The other processes of a launch: silent, they help process 0 until it ends."""

import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

from imgcli.compute import launch
from imgcli.compute.meeting import about_this, connect, join_seconds, torchrun_has_store
from imgcli.compute.team import LOOK, PATIENCE, SIGNALS, Stopped, Team
from imgcli.errors import ImgcliError, Interrupted
from imgcli.progress import be_quiet
from imgcli.reading import pixels_up_to


def serve(shares: bool) -> NoReturn:
    """Help process 0 until it ends, silently; where there is nothing to share, end now."""
    if not shares:
        sys.exit(0)
    with suppress(AttributeError):  # one that the terminal sends goes to process 0 as well
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    own_stderr = os.dup(2)
    silence = os.open(os.devnull, os.O_RDWR)
    for number in (1, 2):
        os.dup2(silence, number)
    be_quiet()
    try:
        store = connect(join_seconds() if torchrun_has_store() else 60.0)
        team = Team(store, launch.rank(), launch.processes())
        watched = connect(join_seconds())
        threading.Thread(target=_end_with_first, args=(watched, team.rank), daemon=True).start()
        store.set(f"hello/{team.rank}", json.dumps(about_this()))
        number = 0
        while True:
            number += 1
            while not store.check([f"task/{number}"]):
                time.sleep(LOOK / 10)
            _help(team, number)
    except ImgcliError as error:  # no store
        time.sleep(PATIENCE)  # process 0 says what is wrong
        os.write(own_stderr, f"imgcli: {error}\n".encode())
    except BaseException as error:
        os.write(own_stderr, f"imgcli: {type(error).__name__}: {error}\n".encode())
    os._exit(1)


def _help(team: Team, number: int) -> None:
    """Run a task with the others; end this process if it alone has failed."""
    module, name, team.device = team.store.get(f"task/{number}").decode().split(":")
    why, failed = "", True
    try:
        assert module.startswith("imgcli."), module
        team.join()
        limit, arguments = team.from_first(None)
        with pixels_up_to(limit):
            getattr(import_module(module), name)(team, *arguments)
        failed = False
    except Stopped:
        pass
    except ImgcliError as error:
        why = str(error)
    except MemoryError:
        why = "There is not enough memory."
    except Exception as error:
        why = f"{type(error).__name__}: {error}."
    team.store.set(f"done/{number}/{team.rank}", why)
    if not failed:
        return
    until = time.monotonic() + PATIENCE
    while not team.store.check([f"done/{number}/0"]):
        if time.monotonic() > until:
            os._exit(1)  # which process 0 notices
        time.sleep(LOOK)


def _end_with_first(store: Any, rank: int) -> NoReturn:
    """End this process with process 0, whatever it is doing; on a signal, soon in any case.

    Its answer to the signal comes first: this process goes on, for in the middle of work that is
    shared process 0 cannot act on a signal until that work is done.
    """
    until: float | None = None
    while True:
        if _signalled() and until is None:
            until = time.monotonic() + 2 * PATIENCE
        try:
            if store.check(["end"]):
                code = int(store.get("end"))
                store.set(f"bye/{rank}", "")
                os._exit(code)
        except Exception:  # the store has gone, and process 0 with it
            os._exit(1)
        if until is not None and time.monotonic() > until:
            os._exit(Interrupted.exit_code)


def _signalled() -> bool:
    """Whether a signal comes in the next moment."""
    if hasattr(signal, "sigtimedwait"):
        return signal.sigtimedwait(SIGNALS, LOOK) is not None
    time.sleep(LOOK)
    return False
