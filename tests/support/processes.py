"""Commands in several processes, as torchrun starts them."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]

# All commands of a script in one launch: torch is imported once.
COMMANDS = """
import json, os, sys
import imgcli
from imgcli.cli.main import app

with imgcli.together():
    for folder, words in json.loads(sys.argv[1]):
        os.chdir(folder)
        app(words, standalone_mode=False)
"""


def environment(**more: str) -> dict[str, str]:
    """The environment of a process that computes in one thread, and is no process of torchrun."""
    kept = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")}
    return {**kept, "OMP_NUM_THREADS": "1", **more}


def place_of(rank: int, size: int = 2) -> dict[str, str]:
    """What the environment says to a process, as by Slurm or Kubernetes without torchrun.

    Process 0 chooses a free port, which the others find in its environment.
    """
    port = os.environ.get("MASTER_PORT") if rank else str(_free_port())
    assert port
    own = {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank)}
    return {**own, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


# Imports what a training does, and then is a process for each line it gets.
HELPERS = """
import json, os, sys
from imgcli.cli.main import main
import imgcli.commands.train, imgcli.training.pipeline, imgcli.training.shared_fits

print("ready", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    if (child := os.fork()) == 0:
        os.close(0)
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(asked[name], os.O_WRONLY | os.O_CREAT), number)
        os.chdir(asked["folder"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.argv = ["imgcli", *asked["words"]]
        code = 1
        try:
            exec(asked["first"], {})
            main()
        except SystemExit as end:
            code = end.code or 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Helpers:
    """A process that is process 1 of two that run `imgcli WORDS`, as often as it is asked.

    Each time it is a child of one that has imported what takes seconds.
    """

    def __init__(self, folder: Path) -> None:
        self._said = folder / "out", folder / "err"
        self._parent = subprocess.Popen(
            [sys.executable, "-c", HELPERS],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._child = 0
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self._parent.stdout
        return self._parent.stdout.readline().strip()

    def start(self, *words: str, folder: Path, first: str = "pass") -> None:
        """Start it.

        Args:
            first: code that it runs before.
        """
        for file in self._said:
            file.unlink(missing_ok=True)
        out, err = map(str, self._said)
        asked = {"words": words, "folder": str(folder), "first": first, "out": out, "err": err}
        assert self._parent.stdin
        print(
            json.dumps({**asked, "environment": environment(**place_of(1))}),
            file=self._parent.stdin,
            flush=True,
        )
        self._child = int(self._line())

    def ended(self) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of what was started, which ends within a minute."""
        timer = threading.Timer(60, os.kill, (self._child, signal.SIGKILL))
        timer.start()
        code = int(self._line())
        timer.cancel()
        out, err = (file.read_text() for file in self._said)
        return code, out, err

    def close(self) -> None:
        self._parent.kill()
        self._parent.communicate()


def torchrun(words: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run `torchrun --nproc-per-node 2 WORDS`."""
    command = [*TORCHRUN, "--standalone", "--nproc-per-node", "2", *words]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
