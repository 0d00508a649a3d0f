"""Workers of a Ray cluster that do one thing together, as the processes of torchrun do.

Ray's TorchTrainer starts them, one per GPU or share of the CPUs, and connects them; each gets a
`Team` of them all. The first one tells the process of the command what it hears meanwhile. A worker
that fails, or is lost, ends the others.
"""

import os
import shutil
import signal
import threading
from _thread import interrupt_main
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from imgcli.compute.cluster import Cluster
from imgcli.compute.nodes import Caller
from imgcli.compute.team import Lost, Team
from imgcli.errors import ImgcliError, WrongUsage
from imgcli.progress import be_quiet

R = TypeVar("R")
Tell = Callable[[Any], None]
Work = Callable[[Team, Tell], R]

FAILURES = 3  # of workers, after which a training goes on by itself
FAILURES_NAME = "IMGCLI_MAX_FAILURES"  # in the environment: another number
_FILES = Path(".imgcli/ray")  # what the trainer writes, and nobody reads
_SILENCE = 600  # seconds, of another worker in the middle of work that is shared
_START = "120"  # seconds for all workers to be there
_LOST = "A worker of the cluster has ended or cannot be reached any more."


def max_failures() -> int:
    """How often work may go on after workers were lost.

    Raises:
        WrongUsage: the environment says something else than a number.
    """
    text = os.environ.get(FAILURES_NAME) or str(FAILURES)
    if not text.isdecimal():
        raise WrongUsage(f"{FAILURES_NAME}={text} is no number of failures, such as {FAILURES}.")
    return int(text)


@dataclass(frozen=True)
class Workers:
    """How many, and what each gets."""

    n: int
    device: str  # "cpu" or "cuda"
    cpus: int
    gpus: int


def together_on(nodes: Cluster, workers: Workers, work: Work[R], hear: Tell) -> R:
    """`work(team, tell)` in all workers at once; what it gives in the first of them.

    Args:
        work: may raise; what an ImgcliError says in one worker ends all.
        hear: gets what the first worker tells, in order, in a thread of this process. What it
            raises is raised here, and ends the workers.

    Raises:
        Lost: a worker has ended.
        KeyboardInterrupt: by Ctrl-C.
    """
    os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", _START)
    import ray.train
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.util.queue import Queue

    configs: Any = ray.train  # typed as those of its first version
    files = (_FILES / uuid4().hex[:8]).absolute()
    files.mkdir(parents=True)
    queue = Queue(actor_options={"num_cpus": 0})
    listener = _Listener(queue, hear)
    resources = {"CPU": workers.cpus, **({"GPU": workers.gpus} if workers.gpus else {})}
    trainer = TorchTrainer(
        _work,
        train_loop_config={
            "caller": Caller.of(work, workers.cpus),
            "queue": queue,
            "device": workers.device,
        },
        torch_config=TorchConfig(
            "gloo" if workers.device == "cpu" else "cpu:gloo,cuda:nccl", timeout_s=_SILENCE
        ),
        scaling_config=configs.ScalingConfig(
            num_workers=workers.n, use_gpu=workers.gpus > 0, resources_per_worker=resources
        ),
        run_config=configs.RunConfig(
            name="imgcli",
            storage_path=str(files),
            failure_config=configs.FailureConfig(max_failures=0, controller_failure_limit=0),
        ),
    )
    try:
        listener.start()
        _fit(trainer)
    except KeyboardInterrupt:
        if listener.failed is None:
            raise
    finally:
        listener.end()
        with suppress(Exception):
            queue.shutdown(force=True)
        shutil.rmtree(files, ignore_errors=True)
        with suppress(OSError):
            _FILES.rmdir()
    return listener.outcome()  # type: ignore[no-any-return]


def _fit(trainer: Any) -> None:
    """Run a trainer to its end, good or bad; Ctrl-C ends its workers first.

    Raises:
        KeyboardInterrupt: by Ctrl-C.
    """
    from ray.exceptions import RayError
    from ray.train import TrainingFailedError

    with _signals_as_ctrl_c():
        try:
            trainer.fit()
        except SystemExit:  # of its own handler, when the workers have ended
            raise KeyboardInterrupt from None
        except (TrainingFailedError, RayError):
            return  # what the workers have told says more


@contextmanager
def _signals_as_ctrl_c() -> Iterator[None]:
    """Inside it SIGTERM and SIGHUP do what the trainer makes of Ctrl-C; then all is as before."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in numbers[1:]:
            if before[number] != signal.SIG_IGN:
                signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Listener(threading.Thread):
    """Hears what workers tell: `(kind, value)`, of kind told, done, failed or, of us, end."""

    def __init__(self, queue: Any, hear: Tell) -> None:
        super().__init__(daemon=True)
        self.queue, self.hear = queue, hear
        self.failed: BaseException | None = None  # in this process
        self.done: list[Any] = []
        self.errors: list[BaseException] = []

    def run(self) -> None:
        with suppress(Exception):  # the queue has gone, and the cluster with it
            while True:
                kind, value = self.queue.get()
                if kind == "end":
                    return
                if kind == "done":
                    self.done.append(value)
                elif kind == "failed":
                    self.errors.append(value)
                elif self.failed is None:
                    self._hear(value)

    def _hear(self, value: Any) -> None:
        try:
            self.hear(value)
        except BaseException as error:
            self.failed = error
            interrupt_main()

    def end(self) -> None:
        """Hear what is left."""
        with suppress(Exception):
            self.queue.put(("end", None))
            self.join(60)

    def outcome(self) -> Any:
        """What the first worker gave; or else the error that is the cause of the others."""
        if self.failed is not None:
            raise self.failed
        if self.done:
            return self.done[0]
        own = [error for error in self.errors if not isinstance(error, Lost)]
        raise (own or self.errors or [Lost(_LOST)])[0]


# --- in a worker ----------------------------------------------------------------------------------


def _work(config: dict[str, Any]) -> None:
    """What a worker does."""
    be_quiet()
    queue, team = config["queue"], _team(config["device"])

    def tell(kind: str, value: Any) -> None:
        queue.put((kind, value))

    try:
        result = Caller.run(config["caller"], team, partial(tell, "told"))
    except Exception as error:
        why = str(error) if isinstance(error, ImgcliError) else f"{type(error).__name__}: {error}."
        with suppress(Exception):
            team.store.set(f"done/0/{team.rank}", why)
        tell("failed", error)
        raise
    if team.leads:
        tell("done", result)


def _team(device: str) -> Team:
    """All workers, which Ray has connected."""
    from torch import distributed
    from torch.distributed import PrefixStore  # type: ignore[attr-defined]

    store = distributed.distributed_c10d._get_default_store()
    rank, size = distributed.get_rank(), distributed.get_world_size()
    team = Team(PrefixStore("imgcli", store), rank, size)
    team.connected(device)
    return team
