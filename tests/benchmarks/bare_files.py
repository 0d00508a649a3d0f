"""What the system alone takes for each of n small files: the floor of what opens every file.

    python -m tests.benchmarks.bare_files                        30,000 and 100,000 files
    python -m tests.benchmarks.bare_files --sizes 300000

A bare loop of Python in this process, on files of 800 bytes in ten folders: it makes them, opens
and reads them, asks for their status, links them; in the end it removes all and makes as many
again at once. Microseconds of processor time a file, user and system. What is above linear in
`tests.benchmarks.scaling` is imgcli's own only as far as it is not here too.
"""

import argparse
import os
import resource
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks import machine

FOLDERS = 10
DATA = bytes(800)


def make(root: Path, n: int) -> None:
    for folder in range(FOLDERS):
        os.makedirs(f"{root}/{folder}")
        for i in range(n // FOLDERS):
            handle = os.open(f"{root}/{folder}/{i}", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            os.write(handle, DATA)
            os.close(handle)


def read(root: Path) -> None:
    for path in paths(root):
        handle = os.open(path, os.O_RDONLY)
        os.read(handle, os.fstat(handle).st_size + 1)
        os.close(handle)


def ask(root: Path) -> None:
    for path in paths(root):
        os.stat(path)


def link(root: Path, other: Path) -> None:
    for folder in range(FOLDERS):
        os.makedirs(f"{other}/{folder}")
    for path in paths(root):
        os.link(path, f"{other}/{os.path.relpath(path, root)}")


def paths(root: Path) -> Iterator[str]:
    for folder in range(FOLDERS):
        with os.scandir(f"{root}/{folder}") as entries:
            yield from (entry.path for entry in entries)


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Processor seconds of some work: user and system."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime


def measure(work: Path, sizes: Sequence[int]) -> Iterator[tuple[int, str, tuple[float, float]]]:
    """Each kind of work on so many files, and what it took."""
    for n in sizes:
        root = work / f"files-{n}"
        yield n, "make", seconds(partial(make, root, n))
        yield n, "open, read", seconds(partial(read, root))
        yield n, "stat", seconds(partial(ask, root))
        yield n, "link", seconds(partial(link, root, work / f"links-{n}"))
    for folder in work.iterdir():  # all at once: a size must not pay for the one before it
        shutil.rmtree(folder)
    for n in sizes:
        root = work / f"again-{n}"
        yield n, "make, others just removed", seconds(partial(make, root, n))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", default="30000,100000", metavar="N,N", help="files")
    parser.add_argument("--work", type=Path, metavar="DIR", help="where they are made")
    chosen = parser.parse_args()
    print("\n".join([machine.title(), *machine.facts(), ""]), flush=True)
    print("| files | work | µs a file, user | system |\n| --- | --- | --- | --- |", flush=True)
    sizes = [int(n) for n in chosen.sizes.split(",")]
    with TemporaryDirectory(prefix="imgcli-files-", dir=chosen.work) as folder:
        for n, name, (user, system) in measure(Path(folder), sizes):
            print(
                f"| {n:,} | {name} | {1e6 * user / n:.1f} | {1e6 * system / n:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
