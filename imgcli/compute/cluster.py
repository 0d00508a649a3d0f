"""A Ray cluster that does work of a command, where `--cluster` names one.

    with on_cluster("auto"):        for the time of a command; connects to nothing yet
        ...
        cluster = connected()       at the first work for it; None where none was asked for
        cluster.in_order(work, chunks)

Nothing here imports ray before there is work. The process that runs the command alone writes files
and says anything; nodes get arguments and give results. Before a node's first work its versions are
compared with this machine's, and work that fails with its node is done again on another one.
"""

import logging
import os
import signal
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, TypeVar

from imgcli.compute import launch
from imgcli.compute.addresses import answers, host_and_port, recorded
from imgcli.compute.local import cores
from imgcli.compute.nodes import PACKAGES, Caller, look, of_this_machine
from imgcli.errors import Refused, WrongUsage

T = TypeVar("T")
R = TypeVar("R")

NONE = "none"  # the address that turns off the one of the environment
RETRIES = 5  # of work whose node died
_FORMS = "auto, ray://HOST:10001 or HOST:6379"
_QUIET = {  # the environment of ray, unless it says something else
    "RAY_USAGE_STATS_ENABLED": "0",  # it would report to its makers
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # and warn of what will change
}

_address: str | None = None  # asked for
_cluster: "Cluster | None" = None  # connected


@contextmanager
def on_cluster(address: str | None) -> Iterator[None]:
    """Do the work of commands on a Ray cluster: photos in blocks, folds, trials and trainings.

    Args:
        address: auto, for the cluster of this machine, or else one that is started on it;
            ray://HOST:PORT, from anywhere; HOST:PORT, on a node of the cluster. None or "none":
            this process does all of it.

    Raises:
        WrongUsage: that is no address.
    """
    global _address, _cluster
    if address is not None:
        _check(address)
    before = _address, _cluster
    _address, _cluster = (None if address == NONE else address), None
    try:
        yield
    finally:
        _leave()
        _address, _cluster = before


def _leave() -> None:
    if _cluster:
        _cluster.leave()


def wanted() -> bool:
    """Whether a cluster was asked for."""
    return _address is not None


def connected() -> "Cluster | None":
    """The cluster that was asked for, connected at the first call; None where none was.

    Raises:
        Refused: there is none, or its nodes differ from this machine.
    """
    global _cluster
    if _address is not None and _cluster is None:
        _cluster = _connect(_address)
    return _cluster


@dataclass(frozen=True)
class Node:
    """A machine of the cluster."""

    id: str
    host: str
    cpus: int
    gpus: int


class Cluster:
    """The nodes that work for this command.

    Args:
        own: this command connected to it, and disconnects.
        folder: of the processes that this command has started.
    """

    def __init__(self, own: bool, folder: "TemporaryDirectory[str] | None" = None) -> None:
        self.own, self._folder = own, folder
        self.seen: set[tuple[str, ...]] = set()  # files that all nodes were asked about

    def leave(self) -> None:
        """Disconnect, and end what this command has started."""
        if self.own:
            import ray

            ray.shutdown()
        if self._folder:
            self._folder.cleanup()

    @property
    def nodes(self) -> list[Node]:
        """The nodes that are alive."""
        import ray

        return [
            Node(
                one["NodeID"],
                one["NodeManagerHostname"],
                int(one["Resources"].get("CPU", 0)),
                int(one["Resources"].get("GPU", 0)),
            )
            for one in ray.nodes()  # type: ignore[no-untyped-call]
            if one["Alive"]
        ]

    @property
    def is_this_machine(self) -> bool:
        """Whether there is no other."""
        return {node.host for node in self.nodes} == {os.uname().nodename}

    @property
    def cpus(self) -> int:
        return sum(node.cpus for node in self.nodes)

    @property
    def free_gpus(self) -> int:
        """GPUs that no other work of the cluster has, nor the job that this process is of."""
        import ray

        free = ray.available_resources()  # type: ignore[no-untyped-call]
        return int(free.get("GPU", 0))

    @property
    def gpus(self) -> int:
        return sum(node.gpus for node in self.nodes)

    def need(self, files: Sequence[str] = ()) -> None:
        """Go on if every node has the versions of this machine, and sees these files.

        Raises:
            Refused: one differs, naming both versions; or does not see one of them.
        """
        if tuple(files) in self.seen:
            return
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        ask: Any = ray.remote(num_cpus=0)(look())
        there = [NodeAffinitySchedulingStrategy(node.id, soft=True) for node in self.nodes]
        answers = [
            ask.options(scheduling_strategy=one).remote(PACKAGES, os.getcwd(), list(files))
            for one in there
        ]
        own = of_this_machine(files)
        with sentences():
            for answer in answers:
                own.refuse_other(ray.get(answer))
        self.seen.add(tuple(files))

    def in_order(
        self, work: Callable[[T], R], items: Iterable[T], cpus: float = 1, gpus: float = 0
    ) -> Generator[R, None, None]:
        """`work(item)` for each item, in order, on all nodes, only a little ahead of the reader.

        Args:
            work: pure; what it raises is raised here.
            cpus: that one item takes; and gpus.
        """
        import ray

        run = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES)(Caller.run)
        caller = ray.put(Caller.of(work, cpus))
        ahead: deque[Any] = deque()
        try:
            with sentences():
                most = self._most(cpus)
                for n, item in enumerate(items, 1):
                    ahead.append(run.remote(caller, item))
                    if n % 64 == 0:  # nodes come and go
                        most = self._most(cpus)
                    while len(ahead) > most:
                        yield ray.get(ahead.popleft())
                while ahead:
                    yield ray.get(ahead.popleft())
        finally:
            for one in ahead:
                with suppress(Exception):
                    ray.cancel(one)

    def _most(self, cpus: float) -> int:
        """Items that may wait for the reader: enough for every CPU to go on."""
        return max(2, int(2 * self.cpus / cpus))


@contextmanager
def sentences() -> Iterator[None]:
    """Raises what work has raised on a node as it was, and in a sentence that a node has gone."""
    import ray
    from ray.exceptions import RayActorError, RayError, RayTaskError

    try:
        yield
    except RayTaskError as error:
        if isinstance(error.cause, RayError):  # it could not even begin
            reason = str(error.cause).strip().splitlines()[-1]
            raise Refused(
                f"A node of the cluster cannot do the work ({reason}). Install the same imgcli, "
                "and all it needs, on every node."
            ) from None
        raise (error.cause or error) from None
    except (RayError, RayActorError, ConnectionError) as error:
        reason = str(error).strip().partition("\n")[0].partition(". ")[0].rstrip(".")
        left = "" if ray.is_initialized() else " This machine is no longer connected to it."
        raise Refused(
            f"The cluster could not do its work ({reason}).{left} What is finished is kept: run "
            "the command again, or without --cluster."
        ) from None


# --- connecting -----------------------------------------------------------------------------------


def _check(address: str) -> None:
    """Refuse what is no address, before any work is done."""
    if address not in ("auto", NONE) and host_and_port(address) is None:
        raise WrongUsage(f"--cluster '{address}' is no address of a cluster, such as {_FORMS}.")
    if launch.processes() > 1 and address != NONE:
        raise WrongUsage(
            f"torchrun has started {launch.processes()} processes, and --cluster {address} is for "
            "one. Use the one or the other."
        )


def _connect(address: str) -> Cluster:
    """Connect to a cluster, or start one on this machine where `auto` finds none.

    Raises:
        Refused: Ray is not installed, nothing answers, or the nodes differ from this machine.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if address != "auto":  # seconds, to be told soon that it cannot be used
        os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "8")
    try:
        with warnings.catch_warnings(action="ignore"):
            import ray
    except ImportError:
        raise Refused(
            f"--cluster {address} needs Ray. Get it with: pip install 'imgcli[cluster]'"
        ) from None
    if ray.is_initialized():  # by the program that calls imgcli
        cluster = Cluster(own=False)
    else:
        if address == "auto" and not (address := os.environ.get("RAY_ADDRESS", "")):
            address = "auto" if recorded() else "local"
        if address not in ("auto", "local"):
            _need_answer(address)
        cluster = Cluster(own=True, folder=_init(address))
    try:
        cluster.need()
    except BaseException:
        cluster.leave()
        raise
    return cluster


def _init(address: str) -> "TemporaryDirectory[str] | None":
    """Connect; the folder of the processes that were started for it, if any."""
    import ray

    folder: TemporaryDirectory[str] | None = None

    options: dict[str, Any] = {"logging_level": logging.CRITICAL, "log_to_driver": False}
    if address == "local":
        # Not wherever TMPDIR says: the names of sockets may have 107 bytes.
        parent = os.environ.get("RAY_TMPDIR") or "/tmp"
        folder = TemporaryDirectory(prefix="ray-", dir=parent, ignore_cleanup_errors=True)
        options |= {"num_cpus": cores(), "include_dashboard": False, "_temp_dir": folder.name}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    said: list[str] = []
    try:
        with warnings.catch_warnings(action="ignore"), _stderr_into(said):
            ray.init(address=address, **options)
    except (ConnectionError, RuntimeError, ValueError, OSError, SystemExit) as error:
        raise _refusal(address, f"{error} {' '.join(said)}") from None
    finally:
        with suppress(ValueError):  # not the main thread
            for number, handler in handlers.items():
                signal.signal(number, handler)
    # What it says of a dying node would come on stdout, between the lines of a result.
    with suppress(AttributeError):
        ray._private.worker._worker_logs_enabled = False
    return folder


@contextmanager
def _stderr_into(said: list[str]) -> Iterator[None]:
    """Keep from the user what Ray's own code, which is not Python, says of each of its tries."""
    own = os.dup(2)
    try:
        with TemporaryFile() as file:
            os.dup2(file.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(own, 2)
                file.seek(0)
                said.append(file.read().decode(errors="replace"))
    finally:
        os.close(own)


def _refusal(address: str, said: str) -> Refused:
    """Why Ray does not connect, in a sentence."""
    text = " ".join(said.split())
    if "AuthToken" in text or "authentication token" in text.lower():
        return Refused(
            f"The cluster at '{address}' asks for a token. Set RAY_AUTH_MODE=token, with the token "
            "of its head in RAY_AUTH_TOKEN or ~/.ray/auth_token."
        )
    if address == "local":
        return Refused(f"Ray cannot be started on this machine: {text[:300]}")
    if "ersion mismatch" in text:
        return Refused(
            f"The cluster at '{address}' has other versions of Python or Ray than this machine: "
            f"{text[:400]} Install the same on both."
        )
    return Refused(
        f"The cluster at '{address}' cannot be used from this machine ({text[:200]}). HOST:6379 "
        "works on a node of the cluster alone; from elsewhere use ray://HOST:10001."
    )


def _need_answer(address: str) -> None:
    """Go on if a cluster listens there: Ray itself would try for more than a minute."""
    found = host_and_port(address)
    if found is None:  # of RAY_ADDRESS
        raise WrongUsage(f"RAY_ADDRESS={address} is no address of a cluster, such as {_FORMS}.")
    if reason := answers(*found):
        raise Refused(
            f"No cluster answers at '{address}' ({reason}). Start one with `ray start --head`, or "
            "see `ray status` on its head; --cluster auto starts one on this machine."
        )
