"""Commands in several processes, as torchrun starts them."""

import os
import socket
import subprocess
import sys
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


def helping(*words: str, folder: Path, first: str = "pass") -> "subprocess.Popen[str]":
    """Start process 1 of two that run `imgcli WORDS`.

    Args:
        first: code that it runs before.
    """
    code = f"{first}; from imgcli.cli.main import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        env=environment(**place_of(1)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def torchrun(words: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run `torchrun --nproc-per-node 2 WORDS`."""
    command = [*TORCHRUN, "--standalone", "--nproc-per-node", "2", *words]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
