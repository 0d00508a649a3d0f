"""RESULTS.md and README's table: what was measured is written by these functions alone.

RESULTS.md has a section per machine. In it, what a script measured is between two comments, under a
heading with the script's name; everything outside of them is people's, and is kept as it is:

    ## Machine, 2 cores, no GPU

    ### pixels

    <!-- measured: pixels -->
    - date, command, whether the machine was quiet …
    | work | imgcli | … |
    <!-- end: pixels -->

    What a person adds.

README's table is made of rows of one machine, figure for figure, and only of runs in which no
other program was at work. Where a script compares imgcli with several peers on the same work, it
shows the row with the lowest ratio.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tests.benchmarks.script import BUSY
from tests.benchmarks.timing import HEADER, Result, table


class Shown(NamedTuple):
    """A row of README's table."""

    script: str
    work: str  # how the row's work begins in RESULTS.md
    words: str  # in README


ROWS = (
    Shown("pixels", "cold pass, caltech30,", "photos decoded for the first time, caltech30"),
    Shown("pixels", "cold pass, caltech30 enlarged", "the same, photos of 12 megapixels"),
    Shown("pixels", "a later epoch", "every later epoch, caltech30"),
    Shown("features", "frozen features, resnet101", "features of a frozen ResNet101"),
    Shown("features", "frozen features, mobilenetv2", "features of a frozen MobileNetV2"),
    Shown("features", "frozen features, vit_small", "features of a frozen ViT-small"),
    Shown("features", "frozen features, convnext_tiny", "features of a frozen ConvNeXt-tiny"),
    Shown("files", "`split --duplicates exact`, mnist", "`split --duplicates exact`, small files"),
    Shown("files", "`split --duplicates exact`, caltech30", "the same, large photos"),
    Shown("heads", "heads of 10 folds", "heads of ten folds, each with its L2 penalties"),
    Shown("folds", "`evaluate --folds 10` from JPEGs", "`evaluate --folds 10` from JPEGs"),
    Shown("scratch", "cifar-fast from scratch", "cifar-fast from scratch"),
    Shown("startup", "`imgcli --help`", "`imgcli --help`"),
)
NOTHING = "No run on a quiet machine is recorded yet."
_README = re.compile(r"<!-- speed: (.*?) -->\n.*?<!-- end: speed -->", re.DOTALL)


def block(facts: Sequence[str], results: Sequence[Result], failure: str = "") -> str:
    """What a script measured, as Markdown."""
    lines = [f"- {fact}" for fact in facts]
    lines += ["", table(results) if results else "Nothing was measured."]
    return "\n".join([*lines, *([f"\n- ended early: {failure}"] if failure else [])])


def with_block(text: str, machine: str, script: str, block: str) -> str:
    """The text of RESULTS.md with the block of a script put in, or in the place of an older one."""
    start, end = f"<!-- measured: {script} -->", f"<!-- end: {script} -->"
    marked = f"{start}\n{block.strip()}\n{end}"
    sections = _sections(text)
    body = sections.get(f"## {machine}", "\n\n")
    older = re.compile(f"{re.escape(start)}\n.*?{re.escape(end)}", re.DOTALL)
    heading = re.compile(rf"^### {re.escape(script)}$", re.MULTILINE)
    if older.search(body):
        body = older.sub(lambda _: marked, body, count=1)
    elif heading.search(body):
        body = heading.sub(lambda _: f"### {script}\n\n{marked}", body, count=1)
    else:
        body = f"{body.rstrip()}\n\n### {script}\n\n{marked}\n"
    return "".join(f"{name}{text}" for name, text in {**sections, f"## {machine}": body}.items())


def _sections(text: str) -> dict[str, str]:
    """Text by its headings of the second level, complete: joined again it is the same."""
    parts = re.split(r"^(## .*)$", text.rstrip() + "\n\n", flags=re.MULTILINE)
    sections = {"": parts[0]}
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        if name in sections:
            raise ValueError(f"RESULTS.md has two sections '{name}'. Join them.")
        sections[name] = body
    last = [*sections][-1]
    sections[last] = sections[last].rstrip() + "\n"
    return sections


class Row(NamedTuple):
    """A row of a table in RESULTS.md, with the first line of its block."""

    run: str
    cells: Mapping[str, str]  # by HEADER

    @property
    def ratio(self) -> float:
        """The median: how many times as fast as the peer imgcli was."""
        return float(self.cells["ratio"].partition("×")[0].replace(",", ""))

    @property
    def has_peer(self) -> bool:
        """Whether a peer took turns with imgcli: it is no bound, no estimate, not imgcli itself."""
        return " / " in self.cells["CPU s"] and "the cost" not in self.cells["goal"]

    @property
    def quiet(self) -> bool:
        return BUSY not in self.run and "disturbed" not in self.cells["n"]


def rows(text: str, machine: str, script: str) -> list[Row]:
    """The rows that a script measured on a machine."""
    body = _sections(text).get(f"## {machine}", "")
    found = re.search(rf"<!-- measured: {script} -->\n(.*?)<!-- end: {script} -->", body, re.DOTALL)
    lines = found[1].splitlines() if found else []
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return [
        Row(lines[0].removeprefix("- "), dict(zip(HEADER, row, strict=True))) for row in cells[2:]
    ]


def strongest(text: str, machine: str, shown: Shown) -> Row | None:
    """The row of a work beside the peer that did best; None without one."""
    of_work = [
        row
        for row in rows(text, machine, shown.script)
        if row.cells["work"].startswith(shown.work) and row.has_peer
    ]
    return min(of_work, key=lambda row: row.ratio, default=None)


def missing(text: str, machine: str) -> Iterator[str]:
    """Why rows of README's table would not be there, a sentence each."""
    for shown in ROWS:
        row = strongest(text, machine, shown)
        name = f"'{shown.work} …' of {shown.script}"
        if row is None:
            yield f"{name} is not measured beside a peer on this machine."
        elif not row.quiet:
            yield f"{name} was measured while others were at work: {row.run}."
        elif "--quick" in row.run:
            yield f"{name} was measured with --quick."


def readme(text: str, results: str, machine: str) -> str:
    """README's text with its table as RESULTS.md has the figures of a machine."""
    return _README.sub(lambda _: readme_block(results, machine), text, count=1)


def readme_machine(text: str) -> str:
    """The machine whose figures README shows."""
    found = _README.search(text)
    if not found:
        raise ValueError("README has no place for the table: <!-- speed: … --> is not there.")
    return found[1]


def readme_block(results: str, machine: str) -> str:
    """The table of README, between its comments."""
    shown, dates = [], set()
    for one in ROWS:
        row = strongest(results, machine, one)
        if row and row.quiet and "--quick" not in row.run:
            cells = row.cells
            amount = re.search(r"[\d,]+ (?:photos|pictures|rows)\b", cells["work"])
            words = f"{one.words}, {amount[0]}" if amount else one.words
            shown += [(words, cells["imgcli"], cells["peer"], cells["ratio"], cells["n"])]
            dates.add(row.run[:10])
    lines = [NOTHING]
    if shown:
        days = min(dates) if len(dates) == 1 else f"{min(dates)} to {max(dates)}"
        lines = [
            f"On {machine}; {days}.",
            "Both took turns on a quiet machine, the peer with its best options:",
            "median (lowest–highest) of n rounds.",
            "",
            *(
                f"| {' | '.join(row)} |"
                for row in [("work", "imgcli", "peer", "ratio", "n"), ("---",) * 5, *shown]
            ),
        ]
    return "\n".join([f"<!-- speed: {machine} -->", *lines, "<!-- end: speed -->"])
