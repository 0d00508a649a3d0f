"""What runs on a node of a cluster, and what a node must have to give the results of this machine.

A node may have another imgcli or none, so what asks for its versions travels as code.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from imgcli.compute.local import use_cores
from imgcli.errors import Refused

# What decides results, as by which library a photo is decoded and resized.
PACKAGES = (
    *("imgcli", "ray", "torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn"),
    *("pillow", "cykooz.resizer", "pillow-heif", "pillow-jxl-plugin"),
)
Looked = dict[str, Any]  # the host, versions of packages by name, files with their sizes


def look() -> Callable[[Sequence[str], str, Sequence[str]], Looked]:
    """A function that tells of the node that it runs on."""

    def ask(packages: Sequence[str], folder: str, files: Sequence[str]) -> Looked:
        import os
        import platform
        from hashlib import sha256
        from importlib.metadata import PackageNotFoundError, version
        from importlib.util import find_spec
        from pathlib import Path

        versions: dict[str, str | None] = {"Python": platform.python_version()}
        for name in packages:
            try:
                versions[name] = version(name)
            except PackageNotFoundError:
                versions[name] = None
        own = find_spec("imgcli") if "imgcli" in packages else None
        if own and own.origin:  # copies of one version may differ
            code = sorted(Path(own.origin).parent.rglob("*.py"))
            found = sha256(b"".join(file.read_bytes() for file in code)).hexdigest()
            versions["imgcli"] = f"{versions['imgcli']} of {found[:8]}"
        sizes: dict[str, int | None] = {}
        for file in files:
            try:
                sizes[file] = os.stat(os.path.join(folder, file)).st_size
            except OSError:
                sizes[file] = None
        return {"host": os.uname().nodename, "versions": versions, "sizes": sizes}

    return ask


@dataclass(frozen=True)
class Own:
    """What this machine has."""

    looked: Looked

    def refuse_other(self, other: Looked) -> None:
        """Go on if a node has the same versions and sees the same files.

        Raises:
            Refused: it does not.
        """
        host, here = other["host"], self.looked["host"]
        for name, version in self.looked["versions"].items():
            found = other["versions"][name]
            if found != version:
                raise Refused(
                    f"Node '{host}' of the cluster has {_named(name, found)}, and '{here}', which "
                    f"runs the command, has {_named(name, version)}. Install the same version on "
                    "both."
                )
        for file, size in self.looked["sizes"].items():
            if size is not None and other["sizes"][file] != size:
                what = "another" if other["sizes"][file] is not None else "no"
                raise Refused(
                    f"Node '{host}' of the cluster sees {what} file '{os.path.abspath(file)}'. Put "
                    "the photos on a file system that all nodes have at the same path."
                )


def of_this_machine(files: Sequence[str] = ()) -> Own:
    """What this machine has of all that nodes are asked for."""
    sizes = look()((), os.getcwd(), files)["sizes"]
    return Own({**_versions_here(), "sizes": sizes})


@cache
def _versions_here() -> Looked:
    return look()(PACKAGES, os.getcwd(), ())


def _named(name: str, version: str | None) -> str:
    return f"{name} {version}" if version else f"no {name}"


@dataclass(frozen=True)
class Caller:
    """Work for a node, with what of this process's surroundings it depends on."""

    own: "Own"  # of the process that runs the command
    work: Callable[..., Any]
    cpus: int  # of the node that it may use
    folder: str  # that relative paths start from
    environment: dict[str, str]  # imgcli's own variables, such as the largest photo to decode

    @classmethod
    def of(cls, work: Callable[..., Any], cpus: float) -> "Caller":
        return cls(of_this_machine(), work, max(1, int(cpus)), os.getcwd(), _environment())

    @staticmethod
    def run(caller: "Caller", *items: Any) -> Any:
        """The result of the work for an item, on a node.

        Raises:
            Refused: the node has other versions, as one that has joined since may have.
        """
        caller.own.refuse_other(of_this_machine().looked)
        try:
            os.chdir(caller.folder)
        except OSError:
            os.chdir("/")  # where no relative path is
        for name in _environment().keys() - caller.environment.keys():
            del os.environ[name]
        os.environ.update(caller.environment)
        use_cores(caller.cpus)
        return caller.work(*items)


class Holder:
    """Work on a node that keeps something heavy from one item to the next: an actor of Ray's."""

    def __init__(self) -> None:
        self.work: Callable[[Any], Any] | None = None

    def do(self, make: Caller, item: Any) -> Any:
        """The result for an item; the first one makes what does the work."""
        if self.work is None:
            self.work = Caller.run(make)
        return self.work(item)


def _environment() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if name.startswith("IMGCLI_")}
