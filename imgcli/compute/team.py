"""The processes of one command under torchrun, which do some of its work together.

Process 0 runs the command as ever: it alone reads its options, writes files and says anything. The
others wait for it (`serve`). What it has others help with is a function of imgcli that it calls by
`Team.call`: its name and arguments go to every process, and all run it at once, each with its
number. They end when process 0 ends, however that may be, with its exit code.

Two ways lead from process to process. Tensors go by torch.distributed: gloo between CPUs, NCCL
between GPUs. All else goes by the key-value store that torchrun has, which a process can ask at any
time, while others compute:

    hello/RANK      versions and machine of a process that waits
    task/N          the N-th function to run together
    done/N/RANK     a process has ended it: empty, or why it could not
    met/N/RANK      a process has come to the N-th meeting
    end             the exit code of process 0
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from imgcli.compute import launch
from imgcli.compute.interface import choose_interface
from imgcli.errors import ImgcliError, Interrupted, Refused, WrongUsage
from imgcli.progress import be_quiet

if TYPE_CHECKING:
    from torch import Tensor, nn

JOIN = 10.0  # seconds for all processes to be there, once process 0 is
JOIN_NAME = "IMGCLI_JOIN_SECONDS"  # in the environment: other ones, as for a slow disk
_SILENCE = timedelta(minutes=10)  # of another process, in the middle of work that is shared
_LOOK = 0.2  # seconds between looks at the store
PATIENCE = 5.0  # seconds that processes wait for one another when something has gone wrong
_BUCKET = 25 << 20  # bytes of gradients that are added up at once
_STUCK = (
    "Interrupted, while another process did not answer. What is finished is kept; a training "
    "continues with `imgcli train --resume`, all else with the same command."
)
_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class Lost(Refused):
    """Another process has ended, or cannot be reached, in the middle of shared work."""


class Stopped(Exception):
    """Process 0 has stopped work that is shared; its own reason ends the command, or not."""


class Team:
    """The processes that run one command, as one of them sees them."""

    def __init__(self, store: Any, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self.device = "cpu"  # or "cuda": what the command computes on
        self.store = store
        self._joined = False
        self._tasks = self._meetings = 0
        self.ready = False  # all processes have said that they are there
        self.broken: str | None = None  # why nothing can be shared any more
        self.kept: dict[str, Any] = {}  # what helpers keep from one task to the next

    @property
    def leads(self) -> bool:
        return self.rank == 0

    # --- tasks --------------------------------------------------------------------------------

    def call(self, function: Callable[..., Any], *arguments: Any, **own: Any) -> Any:
        """Run `function(team, *arguments)` in all processes; what it returns in this one.

        Args:
            function: of a module of imgcli; what it raises in one process, it raises in all.
            arguments: that travel, and must be the same everywhere.
            own: further arguments, of this process alone; the others have their defaults.

        Raises:
            Lost: another process has ended.
        """
        if self.broken:
            raise Lost(self.broken)
        self._tasks += 1
        number = self._tasks
        try:
            name = f"{function.__module__}:{function.__qualname__}:{self.device}"
            self.store.set(f"task/{number}", name)
            self.join()
            self.from_first([*arguments])
            result = function(self, *arguments, **own)
        except Interrupted as error:  # as by torchrun, when another process has failed
            self.broken = str(error)
            if why := self._reasons(number):
                raise Lost(f"{why} {error}") from None
            raise
        except Exception as error:
            self._end_task(number, error)
            raise
        except KeyboardInterrupt:
            self.broken = "Interrupted."
            if why := self._reasons(number):
                raise Lost(why) from None
            raise
        self.store.set(f"done/{number}/0", "")
        return result

    def _end_task(self, number: int, error: Exception) -> None:
        """Go on with the others only if they have ended a failed task too."""
        if isinstance(error, Lost):
            self.broken = str(error)
            return
        self.store.set(f"done/{number}/0", "failed")
        until = time.monotonic() + PATIENCE
        names = [f"done/{number}/{rank}" for rank in range(1, self.size)]
        while not self.store.check(names):
            if time.monotonic() > until:
                self.broken = str(error)
                return
            time.sleep(_LOOK)

    def _reasons(self, number: int | None = None) -> str:
        """What other processes have said of why they could not go on."""
        number = self._tasks if number is None else number
        found = []
        for rank in range(1, self.size):
            name = f"done/{number}/{rank}"
            with suppress(RuntimeError):
                if self.store.check([name]) and (why := self.store.get(name).decode()):
                    found.append(f"Process {rank} of {self.size}: {why}")
        return found[0] if found else ""

    def lost(self) -> Lost:
        """The sentence for a process that does not answer any more."""
        if self.leads:
            time.sleep(_LOOK)  # what it says comes by another way
            if why := self._reasons():
                return Lost(why)
        others = "the other process" if self.size == 2 else "one of the other processes"
        return Lost(f"Of {self.size} processes, {others} has ended or cannot be reached any more.")

    # --- what is done together ------------------------------------------------------------------

    def join(self) -> None:
        """Connect all processes; the first task that is shared does."""
        if self._joined:
            return
        from torch import distributed
        from torch.distributed import PrefixStore  # type: ignore[attr-defined]

        host, port = os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]
        choose_interface(host, int(port))
        seconds = _join_seconds()
        try:
            distributed.init_process_group(
                "gloo" if self.device == "cpu" else "cpu:gloo,cuda:nccl",
                store=PrefixStore("group", self.store),
                rank=self.rank,
                world_size=self.size,
                timeout=timedelta(seconds=seconds),
            )
        except RuntimeError as error:
            reason = str(error).partition("\n")[0][:200]
            raise Refused(
                f"The {self.size:,} processes cannot reach one another within {seconds:g} s "
                f"({reason}). Name the network interface that their hosts share, such as "
                f"GLOO_SOCKET_IFNAME=eth0; {JOIN_NAME}=60 waits longer."
            ) from None
        set_timeout = getattr(distributed, "set_timeout", None)  # its name in newer versions
        if set_timeout is None:
            set_timeout = distributed.distributed_c10d._set_pg_timeout
        set_timeout(_SILENCE)
        self._joined = True

    def leave(self) -> None:
        """Disconnect; between GPUs the end of the process does it, for NCCL may wait for others."""
        if self._joined and self.device == "cpu":
            from torch import distributed

            distributed.destroy_process_group()
        self._joined = False

    def meet(self) -> None:
        """Wait until all processes are here, however long that takes."""
        self._meetings += 1
        number = self._meetings
        self.store.set(f"met/{number}/{self.rank}", "")
        names = [f"met/{number}/{rank}" for rank in range(self.size)]
        while not self.store.check(names):
            if self.leads and (why := self._reasons()):
                raise Lost(why)
            time.sleep(_LOOK)

    def from_first(self, value: Any) -> Any:
        """The value that process 0 has, in all of them."""
        from torch import distributed

        values = [value]
        with _sentences(self):
            distributed.broadcast_object_list(values, 0)
        return values[0]

    def to_first(self, value: Any) -> list[Any]:
        """The values of all processes in process 0, in their order; nothing in the others."""
        from torch import distributed

        found: list[Any] | None = [None] * self.size if self.leads else None
        with _sentences(self):
            distributed.gather_object(value, found, 0)
        return found or []

    def agree(self, problem: str | None) -> None:
        """Go on if no process has a problem.

        Raises:
            Refused: in all processes, with the first problem.
        """
        problems = self.from_first(self.to_first(problem))
        for rank, one in enumerate(problems):
            if one is not None:
                raise Refused(f"Process {rank} of {self.size}: {one}")

    def first_alone(self, work: Callable[[], None]) -> None:
        """Do work in process 0 alone, the others waiting.

        Raises:
            Stopped: in the others, where it fails.
        """
        import torch

        error: BaseException | None = None
        if self.leads:
            try:
                work()
            except BaseException as raised:
                error = raised
        failed = torch.tensor([error is not None], dtype=torch.uint8)
        self.sum(failed)
        if error is not None:
            raise error
        if failed.item():
            raise Stopped

    def sum(self, tensor: "Tensor") -> "Tensor":
        """The sum of a tensor over all processes, in place and in all of them."""
        from torch import distributed

        with _sentences(self):
            distributed.all_reduce(tensor)
        return tensor

    def max(self, number: int) -> int:
        """The largest of the processes' numbers."""
        import torch
        from torch import distributed

        found = torch.tensor([number])
        with _sentences(self):
            distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return int(found.item())

    def sum_each(self, tensors: "Sequence[Tensor]") -> None:
        """The sums of many tensors of one type, in place, some megabytes at once."""
        import torch

        for some in _buckets(tensors):
            joined = self.sum(torch.cat([tensor.reshape(-1) for tensor in some]))
            start = 0
            for tensor in some:
                tensor.copy_(joined[start : start + tensor.numel()].view(tensor.shape))
                start += tensor.numel()

    def same_weights(self, module: "nn.Module") -> None:
        """Give a module the weights and buffers that process 0 has."""
        from torch import distributed

        for tensor in module.state_dict().values():
            with _sentences(self):
                if tensor.is_contiguous():
                    distributed.broadcast(tensor, 0)
                else:  # channels last
                    plain = tensor.contiguous()
                    distributed.broadcast(plain, 0)
                    tensor.copy_(plain)

    def joined(self, n: int, pieces: "Sequence[tuple[Any, Tensor]]") -> "Tensor":
        """Rows `(n, K)`, of which each process has made some.

        Args:
            pieces: positions and rows `(b, K)` of this process; each position is one process's.
        """
        import torch

        columns = self.max(max((rows.shape[1] for _, rows in pieces), default=0))
        out = torch.zeros(n, columns, device=self.device)
        for positions, rows in pieces:
            out[positions] = rows
        return self.sum(out)

    def own(self, n: int) -> "NDArray[np.int64]":
        """The positions among n that are this process's share: nearly as many for each."""
        return np.array_split(np.arange(n), self.size)[self.rank]


def _buckets(tensors: "Sequence[Tensor]") -> "list[list[Tensor]]":
    found: list[list[Tensor]] = []
    room = 0
    for tensor in tensors:
        size = tensor.numel() * tensor.element_size()
        if size > room or not found or found[-1][0].dtype != tensor.dtype:
            found.append([])
            room = _BUCKET
        found[-1].append(tensor)
        room -= size
    return found


class _sentences:
    """Turns what torch says of a process that is gone into a sentence."""

    def __init__(self, team: Team) -> None:
        self.team = team

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        import torch

        if isinstance(error, RuntimeError) and not isinstance(error, torch.OutOfMemoryError):
            raise self.team.lost() from None


# --- process 0 ----------------------------------------------------------------------------------

_leading = False  # this process is process 0 of a command that others can help with
_team: Team | None = None


@contextmanager
def together(words: list[str]) -> Iterator[None]:
    """Run the command in process 0, and end all processes with it; never returns in the others.

    Args:
        words: of the command line, after the program.
    """
    global _leading
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # its warnings are for programmers
    if launch.is_helper():
        _serve(words)
    _leading = launch.shares(words)
    code: object = 1
    if _leading:
        _answer_signals()
    try:
        if _leading and not _torchrun_has_store():
            _lead()  # this process has it: until then the others could not even wait
        yield
        code = 0
    except SystemExit as end:
        code = end.code or 0
        raise
    finally:
        if _leading:
            _end(code if isinstance(code, int) else 1)
        _leading = False


def team_for(device: str) -> Team | None:
    """The processes that this one leads, all of them ready to help; None where it is alone.

    Args:
        device: what the command computes on, "cpu" or "cuda".

    Raises:
        Refused: they are not there in time, or are of other versions.
    """
    if not _leading:
        return None
    team = _lead()
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
        for number in _SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores one
                signal.signal(number, act)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    except ValueError:  # not the main thread
        return
    threading.Thread(target=watch, args=(read,), daemon=True).start()


def _lead() -> Team:
    global _team
    if _team is None:
        _team = Team(_connect(_join_seconds()), 0, launch.processes())
    return _team


def _need_helpers(team: Team) -> None:
    """Wait until all processes have said what they are.

    Raises:
        Refused: some have not, or are not what this one is.
    """
    seconds = _join_seconds()
    until = time.monotonic() + seconds
    waiting = [*range(1, team.size)]
    own = _about_this()
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
            time.sleep(_LOOK / 2)
    team.ready = True


def _need_equal(rank: int, other: dict[str, str], own: dict[str, str]) -> None:
    for name in ("imgcli", "torch"):
        if other[name] != own[name]:
            raise Refused(
                f"Process {rank} on '{other['host']}' has {name} {other[name]}, and process 0 on "
                f"'{own['host']}' has {name} {own[name]}. Install the same version on both."
            )


def _about_this() -> dict[str, str]:
    import torch

    from imgcli import __version__

    return {"imgcli": __version__, "torch": torch.__version__, "host": os.uname().nodename}


def _end(code: int) -> None:
    """End the others with this process; nothing can interrupt that."""
    global _team
    with suppress(ValueError):  # not the main thread
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
    with suppress(Exception):
        team = _lead()
        team.store.set("end", str(code))
        if not (team.broken or _torchrun_has_store()):  # it ends with this process
            until = time.monotonic() + PATIENCE
            here = [r for r in range(1, team.size) if team.store.check([f"hello/{r}"])]
            names = [f"bye/{rank}" for rank in here]
            while names and not team.store.check(names) and time.monotonic() < until:
                time.sleep(_LOOK)
        team.leave()
    _team = None


def _join_seconds() -> float:
    try:
        return max(1.0, float(os.environ.get(JOIN_NAME, JOIN)))
    except ValueError:
        raise WrongUsage(f"{JOIN_NAME}={os.environ[JOIN_NAME]} is no number of seconds.") from None


def _torchrun_has_store() -> bool:
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def _connect(seconds: float) -> Any:
    """The key-value store of this launch.

    Raises:
        Refused: it cannot be reached in that time.
    """
    from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

    host, port = os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]
    try:
        store = TCPStore(
            host,
            int(port),
            is_master=launch.rank() == 0 and not _torchrun_has_store(),
            timeout=timedelta(seconds=seconds),
            wait_for_workers=False,
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0].partition(". Exception raised")[0]
        raise Refused(
            f"Process {launch.rank()} of {launch.processes()} cannot reach '{host}:{port}', where "
            f"the processes meet, within {seconds:g} seconds ({reason}). Check MASTER_ADDR and "
            "MASTER_PORT, or torchrun's --master-addr or --rdzv-endpoint."
        ) from None
    restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return PrefixStore(f"imgcli/{restart}", store)


# --- the others ---------------------------------------------------------------------------------


def _serve(words: list[str]) -> NoReturn:
    """Help process 0 until it ends, silently."""
    if not launch.shares(words):
        sys.exit(0)
    with suppress(AttributeError):  # one that the terminal sends goes to process 0 as well
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    own_stderr = os.dup(2)
    silence = os.open(os.devnull, os.O_RDWR)
    for number in (1, 2):
        os.dup2(silence, number)
    be_quiet()
    try:
        store = _connect(_join_seconds() if _torchrun_has_store() else 60.0)
        team = Team(store, launch.rank(), launch.processes())
        watched = _connect(_join_seconds())
        threading.Thread(target=_end_with_first, args=(watched, team.rank), daemon=True).start()
        store.set(f"hello/{team.rank}", json.dumps(_about_this()))
        number = 0
        while True:
            number += 1
            while not store.check([f"task/{number}"]):
                time.sleep(_LOOK / 10)
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
        getattr(import_module(module), name)(team, *team.from_first(None))
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
        time.sleep(_LOOK)


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
        return signal.sigtimedwait(_SIGNALS, _LOOK) is not None
    time.sleep(_LOOK)
    return False
