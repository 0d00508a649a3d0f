"""Run benchmarks, each in a process of its own; with `--write`, keep the figures in RESULTS.md.

python -m tests.benchmarks                    all that README shows, about twelve minutes
python -m tests.benchmarks pixels features    some
python -m tests.benchmarks --write --readme   and put them into RESULTS.md and README
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks import machine, results
from tests.benchmarks.script import load, options, require_quiet

SHOWN = tuple(dict.fromkeys(row.script for row in results.ROWS))
OTHERS = ("duplicates", "shortcuts", "labels", "scaling")
NAMES = (*SHOWN, *OTHERS)
RESULTS = Path(__file__).parent / "RESULTS.md"
README = machine.PROJECT / "README.md"


def main() -> None:
    parser = options(argparse.ArgumentParser(prog="python -m tests.benchmarks"))
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; else {', '.join(SHOWN)}"
    )
    parser.add_argument("--write", action="store_true", help="put the figures into RESULTS.md")
    parser.add_argument(
        "--readme",
        action="store_true",
        help="put this machine's figures from RESULTS.md into README; without NAME or --write, "
        "measure nothing",
    )
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE", help="not RESULTS.md")
    chosen = parser.parse_args()
    unknown = set(chosen.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    if chosen.names or chosen.write or not chosen.readme:
        measure(chosen)
    if chosen.readme:
        show(chosen.out.read_text("utf-8"))


def measure(chosen: argparse.Namespace) -> None:
    require_quiet(busy=chosen.busy)
    start = time.perf_counter()
    with TemporaryDirectory(prefix="imgcli-benchmark-") as folder:
        work = chosen.work or Path(folder) / "data"
        for name in chosen.names or SHOWN:
            block = measured(name, forwarded(chosen, work), Path(folder) / f"{name}.json")
            if chosen.write:  # one by one: what is measured is kept, whatever ends the next
                old = chosen.out.read_text("utf-8") if chosen.out.is_file() else ""
                text = results.with_block(old, machine.title(), name, block)
                chosen.out.write_text(text, "utf-8")
    print(f"\n{(time.perf_counter() - start) / 60:.1f} minutes in all.")


def forwarded(chosen: argparse.Namespace, work: Path) -> list[str]:
    """The options for one script."""
    words = ["--data", str(chosen.data), "--work", str(work)]
    words += ["--device", chosen.device] if chosen.device != "auto" else []
    words += ["--rounds", str(chosen.rounds)] if chosen.rounds else []
    return words + [f"--{name}" for name in ("quick", "full", "busy") if getattr(chosen, name)]


def measured(name: str, words: list[str], file: Path) -> str:
    """One script's figures; with what ended it, if it did not come to its own end."""
    print(f"\n{name}", flush=True)
    command = [sys.executable, "-m", f"tests.benchmarks.{name}", *words, "--json", str(file)]
    done = subprocess.run(command, cwd=machine.PROJECT, stderr=subprocess.PIPE, text=True)
    failure = ""
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        failure = (done.stderr.strip().splitlines() or ["without a word"])[-1]
    return results.block(*load(file), failure)


def show(text: str) -> None:
    """README's table from what RESULTS.md has of this machine; what it lacks is said."""
    for sentence in results.missing(text, machine.title()):
        print(f"Not in README: {sentence}", file=sys.stderr)
    written = results.readme(README.read_text("utf-8"), text, machine.title())
    README.write_text(written, "utf-8")
    print(f"README shows the figures of {machine.title()}.")


if __name__ == "__main__":
    main()
