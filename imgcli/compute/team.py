"""The processes of one command under torchrun, which do some of its work together.

Process 0 runs the command as ever: it alone reads its options, writes files and says anything. The
others wait for it. What it has them help with is a function of imgcli that it calls by
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

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imgcli.compute.interface import choose_interface
from imgcli.compute.meeting import JOIN_NAME, join_seconds
from imgcli.errors import Interrupted, Refused
from imgcli.reading import pixel_limit

if TYPE_CHECKING:
    from torch import Tensor, nn

_SILENCE = timedelta(minutes=10)  # of another process, in the middle of work that is shared
LOOK = 0.2  # seconds between looks at the store
PATIENCE = 5.0  # seconds that processes wait for one another when something has gone wrong
_BUCKET = 25 << 20  # bytes of gradients that are added up at once
SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


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
        self.busy = False  # in the middle of a task
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
        number, limit = self._tasks, pixel_limit()
        self.busy = True
        try:
            name = f"{function.__module__}:{function.__qualname__}:{self.device}"
            self.store.set(f"task/{number}", name)
            self.join()
            self.from_first((limit, arguments))
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
        finally:
            self.busy = False
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
            time.sleep(LOOK)

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
            time.sleep(LOOK)  # what it says comes by another way
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
        seconds = join_seconds()
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

    def connected(self, device: str) -> None:
        """Something else has connected all processes, for work on that device."""
        self.device, self._joined = device, True

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
            time.sleep(LOOK)

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
