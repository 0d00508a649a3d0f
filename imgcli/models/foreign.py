"""What a file holds that cannot be read as weights, found without running anything in it.

A pickle is a program that builds objects. Its instructions are listed, never followed.
"""

import io
import pickletools
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from imgcli.models.inert import is_data
from imgcli.text import listed

HEAD = 512  # bytes that tell a format
PROGRAM = 1 << 22  # bytes looked at of a pickle; those of large networks have some 100 kB
LONGEST = 80  # characters of a name

_TEXTS = {
    b"version https://git-lfs": "a pointer of Git LFS in place of the file; fetch it: git lfs pull",
    b"<": "a web page",
}


def what_it_is(path: Path) -> str:
    """What the file is, to follow "is": "empty", "a pickle of Python objects …".

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(HEAD)
    if not head:
        return "empty"
    for start, said in _TEXTS.items():
        if head.lstrip().startswith(start):
            return said
    if head.startswith(b"PK"):
        return _what_archive(path)
    if head[8:9] == b"{":
        damaged = path.suffix == ".safetensors"
        return "damaged, or cut short" if damaged else "a .safetensors file by another name"
    with open(path, "rb") as file:
        names = list(_imported(file.read(PROGRAM)))
    return _what_pickle(names) if names else "damaged, or of a format that is not known here"


def _what_archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            inside = archive.namelist()
            if any(name.endswith("/constants.pkl") for name in inside):
                return "a TorchScript program, with code in it"
            pickled = [name for name in inside if name.rpartition("/")[2] == "data.pkl"]
            if not pickled:
                return "a zip archive that holds no tensors of PyTorch"
            with archive.open(pickled[0]) as file:
                return _what_pickle(list(_imported(file.read(PROGRAM))))
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, ValueError):
        return "damaged, or cut short"


def _what_pickle(names: list[str]) -> str:
    others = [name for name in dict.fromkeys(names) if not is_data(*_divided(name))]
    if not others:
        return "a checkpoint that is damaged"
    return would_run(others)


def would_run(names: list[str]) -> str:
    """What a pickle is that names functions, to follow "is"."""
    shown = listed([name[:LONGEST] for name in names], 3)
    return f"a pickle of more than tensors: reading it would run {shown}, which imgcli does not"


def _divided(name: str) -> tuple[str, str]:
    module, _, own = name.rpartition(".")
    return module, own


def _imported(data: bytes) -> Iterator[str]:
    """The functions and classes that a pickle, or several in succession, would call, by name."""
    stream = io.BytesIO(data)
    try:
        while stream.tell() < len(data):
            yield from _globals(stream)
    except (ValueError, LookupError, OverflowError, MemoryError):
        return  # the rest is damaged, or the tensors' own bytes


def _globals(stream: io.BytesIO) -> Iterator[str]:
    """The globals of one pickle; since protocol 4 their names are strings put down before."""
    memo: dict[int, str] = {}
    texts = ["", ""]
    for code, argument, _ in pickletools.genops(stream):
        if code.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".")
        elif code.name == "STACK_GLOBAL":
            yield ".".join(texts[-2:])
        elif "PUT" in code.name or code.name == "MEMOIZE":
            memo[len(memo) if argument is None else int(argument)] = texts[-1]
        elif code.name.endswith("GET"):
            texts.append(memo.get(int(argument or 0), ""))
        elif isinstance(argument, str):
            texts.append(argument)
