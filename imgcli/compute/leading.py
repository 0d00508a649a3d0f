"""Process 0: it runs the command, has the others help, and ends them with it."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from imgcli.compute import launch
from imgcli.compute.helping import serve
from imgcli.compute.meeting import JOIN_NAME, about_this, connect, join_seconds, torchrun_has_store
from imgcli.compute.team import LOOK, PATIENCE, SIGNALS, Team
from imgcli.errors import ImgcliError, Interrupted, Refused

_STUCK = (
    "Interrupted, while another process did not answer. What is finished is kept; a training "
    "continues with `imgcli train --resume`, all else with the same command."
)

_EACH_ALONE = (
    "torchrun has started {:,} processes, and each of them does the whole work of this script. Put "
    "its calls inside `with imgcli.together():`, and they share it; or start one process."
)

_inside = False  # this process knows that others were started with it
_leading = False  # it is process 0 of a command that others can help with
_team: Team | None = None


@contextmanager
def together(shares: bool = True) -> Iterator[None]:
    """Run the command in process 0, and end all processes with it; never returns in the others.

    Args:
        shares: whether the command has anything that several processes can do together.
    """
    global _inside, _leading
    _inside = True
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # its warnings are for programmers
    if launch.is_helper():
        serve(shares)
    _leading = shares
    code: object = 1
    if _leading:
        _answer_signals()
    try:
        if _leading and not torchrun_has_store():
            _open_store()
        yield
        code = 0
    except SystemExit as end:
        code = end.code or 0
        raise
    finally:
        if _leading:
            _end(code if isinstance(code, int) else 1)
        _inside = _leading = False


def refuse_each_alone() -> None:
    """Refuse work that each process would do by itself, as in a script that shares nothing.

    Raises:
        Refused: nothing has said that this process leads the others or helps.
    """
    if not _inside and launch.processes() > 1:
        raise Refused(_EACH_ALONE.format(launch.processes()))


def _open_store() -> None:
    """Open the store that is in this process: until then the others cannot even wait."""
    try:
        _lead()
    except ImgcliError as error:
        os.write(2, f"imgcli: {error}\n".encode())
        sys.exit(error.exit_code)


def team_for(device: str) -> Team | None:
    """The processes that this one leads, all of them ready to help; None where it is alone.

    In the middle of a task that they do together it is alone too: what that calls is not shared.

    Args:
        device: what the command computes on, "cpu" or "cuda".

    Raises:
        Refused: they are not there in time, or are of other versions.
    """
    if not _leading:
        return None
    team = _lead()
    if team.busy:
        return None
    team.device = device
    if not team.ready:
        _need_helpers(team)
    return team


def _answer_signals() -> None:
    """Take signals as Ctrl-C, even where the main thread waits for a process that does not answer.

    Python acts on a signal in the main thread alone, and not while that is in a library's code.
    """
    acted = threading.Event()

    def act(number: int, frame: object) -> NoReturn:
        acted.set()
        raise KeyboardInterrupt

    def watch(pipe: int) -> None:
        while os.read(pipe, 1):
            if not acted.wait(PATIENCE) and _leading:
                with suppress(Exception):
                    _lead().store.set("end", str(Interrupted.exit_code))
                os.write(2, f"imgcli: {_STUCK}\n".encode())
                os._exit(Interrupted.exit_code)
            acted.clear()

    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores one
                signal.signal(number, act)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    except ValueError:  # not the main thread
        return
    threading.Thread(target=watch, args=(read,), daemon=True).start()


def _lead() -> Team:
    global _team
    if _team is None:
        _team = Team(connect(join_seconds()), 0, launch.processes())
    return _team


def _need_helpers(team: Team) -> None:
    """Wait until all processes have said what they are.

    Raises:
        Refused: some have not, or are not what this one is.
    """
    seconds = join_seconds()
    until = time.monotonic() + seconds
    waiting = [*range(1, team.size)]
    own = about_this()
    while waiting:
        for rank in [*waiting]:
            if team.store.check([f"hello/{rank}"]):
                waiting.remove(rank)
                _need_equal(rank, json.loads(team.store.get(f"hello/{rank}")), own)
        if waiting and time.monotonic() > until:
            absent = " and ".join(map(str, waiting[:2]))
            more = f" and {len(waiting) - 2:,} more" if len(waiting) > 2 else ""
            raise Refused(
                f"Of {team.size:,} processes, number {absent}{more} did not join within "
                f"{seconds:g} s. See what stopped them, and whether their hosts reach "
                f"this one; {JOIN_NAME}=60 waits longer."
            )
        if waiting:
            time.sleep(LOOK / 2)
    team.ready = True


def _need_equal(rank: int, other: dict[str, str], own: dict[str, str]) -> None:
    for name in ("imgcli", "torch"):
        if other[name] != own[name]:
            raise Refused(
                f"Process {rank} on '{other['host']}' has {name} {other[name]}, and process 0 on "
                f"'{own['host']}' has {name} {own[name]}. Install the same version on both."
            )


def _end(code: int) -> None:
    """End the others with this process; nothing can interrupt that."""
    global _team
    with suppress(ValueError):  # not the main thread
        signal.set_wakeup_fd(-1)
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
    with suppress(Exception):
        team = _lead()
        team.store.set("end", str(code))
        if not (team.broken or torchrun_has_store()):  # it ends with this process
            until = time.monotonic() + PATIENCE
            here = [r for r in range(1, team.size) if team.store.check([f"hello/{r}"])]
            names = [f"bye/{rank}" for rank in here]
            while names and not team.store.check(names) and time.monotonic() < until:
                time.sleep(LOOK)
        team.leave()
    _team = None
