"""Run every benchmark, each in a process of its own, and write the figures down.

`RESULTS.md` has a section per machine; the one of this machine is written anew.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks import machine
from tests.benchmarks.script import load, options
from tests.benchmarks.timing import table

NAMES = (
    "startup",
    "files",
    "pixels",
    "features",
    "heads",
    "folds",
    "scratch",
    "duplicates",
    "shortcuts",
    "labels",
    "merges",
    "scaling",
)
RESULTS = Path(__file__).parent / "RESULTS.md"
TITLE = """# How fast, measured

Written by `python -m tests.benchmarks`; what each row measures is said in the scripts beside this
file. imgcli and its peer take turns on the same work, n times each, after a first turn that does
not count; figures and ratios are mean ± standard deviation over the n rounds. A ratio is how many
times as fast imgcli was, or, where the goal is one of cost, how many times the peer's cost it had.
"""


UNMEASURED = (
    "No GPU here: what `features` and `scratch` measure on one (frozen ResNet101 beside timm's "
    "benchmark, cifar-fast to 94 %, photos kept on the device) is unmeasured."
)


def main() -> None:
    parser = options(argparse.ArgumentParser(prog="python -m tests.benchmarks"))
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; else all")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE")
    chosen = parser.parse_args()
    unknown = set(chosen.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    title, facts = machine.title(), machine.facts()
    with TemporaryDirectory(prefix="imgcli-benchmark-") as folder:
        work = chosen.work or Path(folder) / "data"
        parts = {
            name: measured(name, forwarded(chosen, work), Path(folder) / f"{name}.json")
            for name in chosen.names or NAMES
        }
    section = as_section([date.today().isoformat(), *facts], parts)
    old = sections(chosen.out.read_text("utf-8")) if chosen.out.is_file() else {}
    whole = [f"## {name}\n\n{text}" for name, text in {**old, title: section}.items()]
    chosen.out.write_text("\n".join([TITLE, *whole]), "utf-8")
    print(f"\n{section}\nWritten to {chosen.out}.")


def forwarded(chosen: argparse.Namespace, work: Path) -> list[str]:
    """The options for one script."""
    words = ["--data", str(chosen.data), "--work", str(work), "--device", chosen.device]
    words += ["--rounds", str(chosen.rounds)] if chosen.rounds else []
    return words + [f"--{name}" for name in ("quick", "full") if getattr(chosen, name)]


def measured(name: str, words: list[str], file: Path) -> str:
    """One script's table; with what ended it, if it did not come to its own end."""
    print(f"\n{name}", flush=True)
    command = [sys.executable, "-m", f"tests.benchmarks.{name}", *words, "--json", str(file)]
    done = subprocess.run(command, cwd=machine.PROJECT, stderr=subprocess.PIPE, text=True)
    results = load(file)
    shown = table(results) if results else "Nothing was measured."
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        shown += f"\n- ended early: {done.stderr.strip().splitlines()[-1]}"
    return shown


def as_section(facts: list[str], parts: Mapping[str, str]) -> str:
    lines = [*(f"- {fact}" for fact in facts), ""]
    if not machine.has_gpu():
        lines += [f"{UNMEASURED}\n"]
    for name, shown in parts.items():
        lines += [f"### {name}", "", shown, ""]
    return "\n".join(lines)


def sections(text: str) -> dict[str, str]:
    """What an earlier run wrote, by machine."""
    found = {}
    for part in text.split("\n## ")[1:]:
        name, _, body = part.partition("\n")
        found[name.strip()] = body.strip() + "\n"
    return found


if __name__ == "__main__":
    main()
