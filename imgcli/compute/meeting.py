"""Where the processes of a launch meet: the key-value store that torchrun has, or process 0."""

import os
from datetime import timedelta
from typing import Any

from imgcli.compute import launch
from imgcli.errors import Refused, WrongUsage

JOIN = 10.0  # seconds for all processes to be there, once process 0 is
JOIN_NAME = "IMGCLI_JOIN_SECONDS"  # in the environment: other ones, as for a slow disk


def join_seconds() -> float:
    """How long processes may take to be there.

    Raises:
        WrongUsage: the environment says something else than a number.
    """
    try:
        return max(1.0, float(os.environ.get(JOIN_NAME, JOIN)))
    except ValueError:
        raise WrongUsage(f"{JOIN_NAME}={os.environ[JOIN_NAME]} is no number of seconds.") from None


def torchrun_has_store() -> bool:
    """Whether the store outlives process 0."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def connect(seconds: float) -> Any:
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
            is_master=launch.rank() == 0 and not torchrun_has_store(),
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


def about_this() -> dict[str, str]:
    """What must be the same in all processes, and the name of this machine."""
    import torch

    from imgcli import __version__

    return {"imgcli": __version__, "torch": torch.__version__, "host": os.uname().nodename}
