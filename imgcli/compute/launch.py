"""What torchrun tells the processes that it starts: how many they are, and which one this is.

Nothing here imports torch.
"""

import os
from hashlib import sha256
from pathlib import Path

# The commands that train or extract features; of any other, process 0 does all of it.
SHARING = {"choose", "evaluate", "learning-curve", "report", "suggest-merges", "train", "tune"}


def processes() -> int:
    """How many processes run this command; 1 without torchrun."""
    known = all(os.environ.get(name) for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"))
    return max(1, _number("WORLD_SIZE", 1)) if known else 1


def rank() -> int:
    """The number of this process, from 0. Process 0 runs the command; the others help."""
    return _number("RANK", 0)


def local_rank() -> int:
    """The number of this process among those of its machine, and so the number of its GPU."""
    return _number("LOCAL_RANK", 0)


def is_helper() -> bool:
    """Whether this process helps another one, and reads, writes and says nothing by itself."""
    return processes() > 1 and rank() > 0


def shares(words: list[str]) -> bool:
    """Whether a command has anything that several processes can do together."""
    return any(word in SHARING for word in words[:1])


def restarted() -> bool:
    """Whether torchrun has started this command again, after a process was lost."""
    return _number("TORCHELASTIC_RESTART_COUNT", 0) > 0


def name_of_launch() -> str | None:
    """A name that this launch has, through all its restarts, and no other; None without torchrun.

    A launch is one process of torchrun's, which lives on when those that it started are lost.
    """
    if processes() == 1 or "TORCHELASTIC_RESTART_COUNT" not in os.environ:
        return None
    parent, began = os.getppid(), ""
    try:  # a process number is used again, but not at the same time
        began = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        pass
    parts = (os.uname().nodename, str(parent), began, os.environ.get("TORCHELASTIC_RUN_ID", ""))
    return sha256("\n".join(parts).encode()).hexdigest()[:16]


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else default
