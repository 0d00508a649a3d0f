"""Start-up: commands that need no torch start without it; what is asked often is instant."""

import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.benchmarks.machine import imgcli, run
from tests.benchmarks.script import Setting, main
from tests.benchmarks.timing import Goal, Result, alternate, repeat


def measure(setting: Setting) -> Iterator[Result]:
    rounds = setting.rounds(20)
    libraries = "python -c 'import typer, rich'"
    times = alternate(
        {
            "imgcli": lambda folder: run(imgcli("--help"), folder),
            libraries: lambda folder: run([sys.executable, "-c", "import typer, rich"], folder),
            "bare": lambda folder: run([sys.executable, "-c", ""], folder),
        },
        rounds,
        setting.work,
    )
    bare = 1000 * median(times["bare"])
    yield Result(
        "`imgcli --help`",
        times["imgcli"],
        times[libraries],
        libraries,
        goal=Goal("below", 0.5),
        note=f"an empty `python -c ''` takes {bare:.0f} ms",
    )

    def find(folder: Path) -> None:
        run(imgcli("archs", "resnet"), folder)

    yield Result(
        "`imgcli archs resnet`", repeat(find, rounds, setting.work), goal=Goal("below", 1.0)
    )
    ten = setting.material.photos(10, classes=2)

    def split(folder: Path) -> None:
        run(imgcli("split", ten.root, "--quiet"), folder)

    yield Result(
        f"`imgcli split`, {ten}, near-duplicates too",
        repeat(split, rounds, setting.work),
        goal=Goal("below", 0.5),
    )


if __name__ == "__main__":
    main(measure, __doc__)
