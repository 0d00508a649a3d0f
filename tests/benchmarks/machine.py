"""What the figures were taken on, and how much memory a command takes at most."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.meter import cores

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("torch", "torchvision", "timm", "pillow", "numpy", "scikit-learn")
# Peers, and what makes imgcli or a peer faster where it is installed.
OPTIONAL = (
    "openvino",
    "simplejpeg",
    "split-folders",
    "imagededup",
    "cleanlab",
    "ultralytics",
)
# What decides how fast a CPU is at products of float32 and bfloat16, and at SHA-256.
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_int8", "sha_ni", "neon", "asimd")
# Asked of a process of its own: one that has grown large passes its size on to its children.
_MEASURE = (
    "import resource, subprocess, sys; r = subprocess.run(sys.argv[1:], stdout=sys.stderr);"
    "u = resource.getrusage(resource.RUSAGE_CHILDREN);"
    "print(u.ru_maxrss, u.ru_utime + u.ru_stime); sys.exit(r.returncode)"
)


class Cost(NamedTuple):
    """What a command and its children took."""

    seconds: float  # of processor time, user and system: other programs change it little
    megabytes: float  # the most that one process held at once, mapped files included


def imgcli(*words: str | Path) -> list[str]:
    """The command line of `imgcli WORDS`."""
    return [sys.executable, "-m", "imgcli", *map(str, words)]


def run(command: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a command in a folder and give its stdout; what it says on stderr if it fails."""
    path = os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, **(env or {})},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return done.stdout


def peak_megabytes(command: Sequence[str], cwd: Path) -> float:
    """The most memory that a command's process holds at once, mapped files included."""
    return cost(command, cwd).megabytes


def cost(command: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None) -> Cost:
    """What a command costs, run as a process of its own."""
    most, seconds = run([sys.executable, "-c", _MEASURE, *command], cwd, env).split()[-2:]
    unit = 1 if platform.system() == "Darwin" else 1024
    return Cost(float(seconds), int(most) * unit / 1e6)


def has_gpu() -> bool:
    return bool(_gpu())


def title() -> str:
    """One line that tells machines apart."""
    gpu = _gpu()
    return f"{_cpu_model()}, {cores()} cores{f', {gpu}' if gpu else ', no GPU'}"


def facts() -> list[str]:
    """What else there is to know, a line each."""
    versions = [f"{name} {_version(name) or 'absent'}" for name in PACKAGES]
    versions += [f"{name} {found}" for name in OPTIONAL if (found := _version(name))]
    present = (_cpu_field("flags") or _cpu_field("Features")).split()
    flags = [flag for flag in FLAGS if flag in present]
    return [
        f"{', '.join(flags) or 'instruction sets unknown'}; {_memory():.0f} GB of memory; "
        f"{platform.system()} {platform.release().split('-')[0]}",
        f"Python {platform.python_version()}, {', '.join(versions)}",
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _cpu_model() -> str:
    return _cpu_field("model name") or platform.processor() or platform.machine()


def _cpu_field(name: str) -> str:
    """A field of the first core in /proc/cpuinfo; empty elsewhere than on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def _gpu() -> str:
    """The first GPU, asked of its driver: importing torch for it would take seconds."""
    try:
        found = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
    return ", driver ".join(found.splitlines()[0].split(", ")) if found else ""
